import type { IncomingMessage, ServerResponse } from 'node:http';
import { Refusal, unavailable } from './problem.ts';

/** The sender went away before its request was complete. There is nobody to answer. */
export class SenderGoneError extends Error {}

/** Reads bodies, each within its limit and all of them together within `receivedBytesMax`. */
export class Receiver {
  readonly #receivedBytesMax: number;
  #receivedBytes = 0;

  constructor(receivedBytesMax: number) {
    this.#receivedBytesMax = receivedBytesMax;
  }

  /**
   * The body, which counts until it is released. A `content-length` above the limit is refused without reading, a
   * chunked body is cut at the limit. A sender that waits for `100 Continue` gets it only once nothing is against it.
   *
   * @throws Refusal (413, 503), SenderGoneError
   */
  receive(request: IncomingMessage, response: ServerResponse, bodyMaxBytes: number): Promise<Buffer> {
    const declaredBytes = Number(request.headers['content-length'] ?? 0);
    if (declaredBytes > bodyMaxBytes) return Promise.reject(tooLarge(`${declaredBytes} bytes`, bodyMaxBytes));
    if (request.destroyed) return Promise.reject(new SenderGoneError());
    if (/100-continue/i.test(request.headers.expect ?? '')) response.writeContinue();
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      const stop = (): void => {
        request.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone);
      };
      const refuse = (error: Error): void => {
        stop();
        request.pause();
        this.release(bytes);
        reject(error);
      };
      const onData = (chunk: Buffer): void => {
        if (bytes + chunk.length > bodyMaxBytes) {
          refuse(tooLarge('longer', bodyMaxBytes));
        } else if (this.#receivedBytes + chunk.length > this.#receivedBytesMax) {
          refuse(unavailable('buffer_full', 'too many requests are being received at this moment'));
        } else {
          bytes += chunk.length;
          this.#receivedBytes += chunk.length;
          chunks.push(chunk);
        }
      };
      const onEnd = (): void => {
        stop();
        const [first] = chunks;
        resolve(first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks, bytes));
      };
      const onGone = (): void => refuse(new SenderGoneError());
      request.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone);
    });
  }

  /** The bytes of a received body are no longer held. */
  release(bytes: number): void {
    this.#receivedBytes -= bytes;
  }
}

function tooLarge(seen: string, bodyMaxBytes: number): Refusal {
  return new Refusal(413, 'too_large', `the body is ${seen}; at most ${bodyMaxBytes} bytes of this kind are accepted`);
}
