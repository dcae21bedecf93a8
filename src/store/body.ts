import { PassThrough, type Readable } from 'node:stream';
import type { ByteRange, PutStream } from './store.ts';

/** The bytes of objects on their way in and out: what all stores promise about them, in one place. */

/**
 * Runs `write` with the bytes of a put, in chunks. The chunks end with an error if the stream fails, or is not as
 * long as declared. The stream is destroyed in the end, however far it was read.
 */
export async function withChunks(
  body: Buffer | PutStream,
  write: (chunks: AsyncIterable<Buffer>) => Promise<void>,
): Promise<void> {
  if (Buffer.isBuffer(body)) {
    await write(single(body));
    return;
  }
  // A stream that fails before anyone iterates would end the process for want of a listener. The iteration, when it
  // begins, reports that same error.
  body.stream.on('error', () => undefined);
  try {
    await write(measured(body));
  } finally {
    body.stream.destroy();
  }
}

async function* single(buffer: Buffer): AsyncGenerator<Buffer> {
  yield buffer;
}

async function* measured({ stream, size }: PutStream): AsyncGenerator<Buffer> {
  let length = 0;
  for await (const chunk of stream as AsyncIterable<string | Uint8Array>) {
    const bytes =
      typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    length += bytes.length;
    if (size !== undefined && length > size)
      throw new Error(`the stream goes on after the ${size} bytes that were declared`);
    yield bytes;
  }
  if (size !== undefined && length < size) throw new Error(`the stream ended after ${length} of ${size} bytes`);
}

/** The chunks joined into parts of exactly `size` bytes, but for the last one, which is shorter and may be empty. */
export async function* inParts(chunks: AsyncIterable<Buffer>, size: number): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let length = 0;
  for await (let chunk of chunks) {
    while (length + chunk.length >= size) {
      const end = size - length;
      yield Buffer.concat([...waiting, chunk.subarray(0, end)]);
      chunk = chunk.subarray(end);
      waiting = [];
      length = 0;
    }
    waiting.push(chunk);
    length += chunk.length;
  }
  yield Buffer.concat(waiting);
}

/**
 * The same bytes as `source`, failing with `translate(error)` where that fails. Destroying the result releases the
 * source, also when nothing was read yet.
 */
export function translated(source: Readable, translate: (error: unknown) => Error): Readable {
  const body = new PassThrough();
  source.on('error', (error) => body.destroy(translate(error)));
  body.on('close', () => source.destroy());
  return source.pipe(body);
}

/** Throws RangeError unless all of the range lies within an object of `size` bytes. */
export function checkRange({ first, last }: ByteRange, size = Infinity): void {
  if (Number.isSafeInteger(first) && Number.isSafeInteger(last) && first >= 0 && first <= last && last < size) return;
  throw new RangeError(`bytes ${first} to ${last} are not within the object's ${size} bytes`);
}
