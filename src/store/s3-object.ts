import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { MAX_GET_BYTES } from './store.ts';

/**
 * The metadata with the checksum of an object. An ETag is the MD5 of the object only in some buckets, and not all
 * services have the checksums of S3 itself (x-amz-checksum-sha256).
 */
const CHECKSUM = 'x-amz-meta-sha256';

/** Returns the metadata with the checksum of an object that consists of these bytes. */
export function checksumMetadata(bytes: Buffer): Record<string, string> {
  return { [CHECKSUM]: sha256(bytes) };
}

/** The size and the time of an object, from the headers of its response. */
export interface ObjectHeaders {
  readonly size: number;
  readonly modified: Date;
}

/**
 * Reads the size and the time of an object. `isPart` is true for the response to a request with a range. Throws an
 * Error if a header is missing, which means that the response is not from an S3 service.
 */
export function readHeaders(headers: IncomingHttpHeaders, isPart: boolean): ObjectHeaders {
  const size = Number(isPart ? headers['content-range']?.split('/')[1] : headers['content-length']);
  const modified = new Date(headers['last-modified'] ?? '');
  if (!Number.isSafeInteger(size) || Number.isNaN(modified.getTime()))
    throw new Error('the response lacks the size or the time of the object');
  return { size, modified };
}

/**
 * Reads a whole object into memory and checks it. Throws an Error if it is too large, if its bytes do not match their
 * number or their checksum in the headers, or if they do not arrive within `timeoutMs` milliseconds.
 */
export async function readObject(response: Readable, timeoutMs: number): Promise<Buffer> {
  // The client returns Node's IncomingMessage, but declares only a stream.
  const { headers } = response as IncomingMessage;
  const timer = setTimeout(
    () => response.destroy(new Error(`the object did not arrive within ${timeoutMs / 1000} s`)),
    timeoutMs,
  );
  try {
    const { size } = readHeaders(headers, false);
    if (size > MAX_GET_BYTES) throw new Error(`the object has ${size} bytes, more than ${MAX_GET_BYTES}`);
    const chunks: Buffer[] = [];
    // Node compares the number of bytes with Content-Length.
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    const expected = headers[CHECKSUM];
    if (expected !== undefined && expected !== sha256(bytes))
      throw new Error('the object does not have the checksum with which it was stored');
    return bytes;
  } finally {
    clearTimeout(timer);
    response.destroy();
  }
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
