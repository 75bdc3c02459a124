import { Socket, type SocketConnectOpts } from 'node:net';

/*
 * Loaded into a Posthorn under test before anything else: it calls subscribers from the address that CALL_FROM names,
 * by which these tell the processes apart. Nothing else is changed.
 */
const localAddress = process.env.CALL_FROM;
const connect = Socket.prototype.connect;

/** node:net hands on its arguments in an array, the options first; kafkajs and undici both come this way. */
function connectFrom(this: Socket, ...args: Parameters<typeof connect>): Socket {
  const [first] = args as unknown as [[SocketConnectOpts] | SocketConnectOpts];
  const options = Array.isArray(first) ? first[0] : first;
  if (typeof options === 'object' && 'port' in options && options.host === '127.0.0.1') {
    Object.assign(options, { localAddress });
  }
  return connect.apply(this, args);
}

if (localAddress !== undefined) Socket.prototype.connect = connectFrom as typeof connect;
