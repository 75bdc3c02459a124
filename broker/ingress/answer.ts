import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../../runtime/clock.ts';
import { problemDocument, problemMediaType, type Refusal } from './problem.ts';

/** What is left of a refused request's body is read and dropped up to this; beyond, the connection ends. */
const droppedBodyMaxBytes = 64 * 1024;

/**
 * How long the rest of a refused request is read and dropped before its connection is closed. Closed at once, the
 * sender that is still writing would see a reset in place of the answer.
 */
const lingerMs = 2_000;

/** @param duplicates how many of the events the log had already */
export function answerAccepted(response: ServerResponse, duplicates: number): void {
  response.writeHead(202, {
    'content-length': 0,
    ...(duplicates > 0 && { 'posthorn-duplicates': String(duplicates) }),
  });
  response.end();
}

export function answerRefused(
  request: IncomingMessage,
  response: ServerResponse,
  refusal: Refusal,
  clock: Clock,
): void {
  const document = problemDocument(refusal);
  response.setHeader('content-type', problemMediaType);
  response.setHeader('content-length', document.length);
  for (const [name, value] of Object.entries(refusal.headers)) response.setHeader(name, value);
  if (request.complete || isRestShort(request)) {
    response.writeHead(refusal.status);
    response.end(document);
    return;
  }
  response.setHeader('connection', 'close');
  response.writeHead(refusal.status);
  response.write(document);
  const end = (): void => {
    timer.cancel();
    request.off('end', end).off('close', end);
    response.end();
  };
  const timer = clock.setTimer(end, lingerMs);
  request.on('end', end).on('close', end).resume();
}

function isRestShort(request: IncomingMessage): boolean {
  const declared = request.headers['content-length'];
  if (declared === undefined) return request.headers['transfer-encoding'] === undefined;
  return Number(declared) <= droppedBodyMaxBytes;
}

/** Answers what is not a whole HTTP request, and ends the connection. */
export function answerMalformed(socket: Socket, refusal: Refusal, clock: Clock): void {
  const document = problemDocument(refusal);
  const timer = clock.setTimer(() => socket.destroy(), lingerMs);
  socket.once('close', () => timer.cancel());
  socket.end(
    `HTTP/1.1 ${refusal.status} ${refusal.title}\r\n` +
      `content-type: ${problemMediaType}\r\ncontent-length: ${document.length}\r\nconnection: close\r\n\r\n${document}`,
  );
  socket.resume();
}
