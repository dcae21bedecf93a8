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
