import type { IncomingMessage } from 'node:http';
import { pipeline, Transform } from 'node:stream';

/** The largest response that the S3 client reads into memory. A page of a listing has about 300 KB. */
const MAX_BYTES = 16 * 2 ** 20;

/**
 * Returns a response that fails if it is too large or does not end within `timeoutMs` milliseconds. The S3 client reads
 * listings and errors into memory without a limit.
 */
export function boundedResponse(response: IncomingMessage, timeoutMs: number): IncomingMessage {
  let bytes = 0;
  const body = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes > MAX_BYTES) done(new Error(`the response is larger than ${MAX_BYTES} bytes`));
      else done(null, chunk);
    },
  });
  const timer = setTimeout(
    () => body.destroy(new Error(`the response did not end within ${timeoutMs / 1000} s`)),
    timeoutMs,
  );
  body.once('close', () => clearTimeout(timer));
  // If one of the two streams fails, pipeline destroys the other one, and the reader gets the error.
  pipeline(response, body, () => undefined);
  const { statusCode, statusMessage, headers } = response;
  // The client uses only these properties of a response.
  return Object.assign(body, { statusCode, statusMessage, headers }) as unknown as IncomingMessage;
}

/** A service that sends fewer bytes of an object in one window is too slow. */
const MIN_BYTES = 256 * 1024;

/**
 * Fails a response whose bytes arrive too slowly: fewer than 256 KiB in `windowMs` milliseconds in which the reader
 * took all of them. A reader that is slower than the service pauses the response, and does not cause a failure.
 */
export function requireMinimumRate(response: IncomingMessage, windowMs: number): void {
  const { socket } = response;
  let bytes = socket.bytesRead;
  let wasPaused = false;
  response.on('pause', () => (wasPaused = true));
  const timer = setInterval(() => {
    if (socket.bytesRead - bytes < MIN_BYTES && !wasPaused && response.readableLength === 0)
      response.destroy(new Error(`the service sent fewer than ${MIN_BYTES} bytes within ${windowMs / 1000} s`));
    bytes = socket.bytesRead;
    wasPaused = response.isPaused();
  }, windowMs);
  response.once('close', () => clearInterval(timer));
}
