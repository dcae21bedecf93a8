import { Transform, type Readable } from 'node:stream';
import { StoreUnavailable, type ByteRange, type PutStream } from './store.ts';

/** Helpers for stores that read and write the bytes of objects as the contract in store.ts requires. */

/**
 * Calls `write` with the bytes of a put, in chunks. The iteration of the chunks throws if the stream fails or does not
 * have the declared length. Finally destroys the stream, even if `write` has not read all of it.
 */
export async function withChunks(
  body: Buffer | PutStream,
  write: (chunks: AsyncIterable<Buffer>) => Promise<void>,
): Promise<void> {
  if (Buffer.isBuffer(body)) {
    await write(single(body));
    return;
  }
  // Without a listener, a stream that fails before the iteration begins would end the process. The iteration reports
  // the same error.
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
      throw new Error(`the stream is longer than its declared size of ${size} bytes`);
    yield bytes;
  }
  if (size !== undefined && length < size)
    throw new Error(`the stream ended after ${length} bytes, before its declared size of ${size} bytes`);
}

/** Joins the chunks into parts of exactly `size` bytes. The last part is shorter and may be empty. */
export async function* inParts(chunks: AsyncIterable<Buffer>, size: number): AsyncGenerator<Buffer> {
  let pending: Buffer[] = [];
  let length = 0;
  for await (let chunk of chunks) {
    while (length + chunk.length >= size) {
      const end = size - length;
      yield Buffer.concat([...pending, chunk.subarray(0, end)]);
      chunk = chunk.subarray(end);
      pending = [];
      length = 0;
    }
    pending.push(chunk);
    length += chunk.length;
  }
  yield Buffer.concat(pending);
}

/**
 * Returns a stream with the same bytes as `source`. If `source` fails, the returned stream fails with
 * `translate(error)`. If `source` does not have exactly `length` bytes, it fails with StoreUnavailable. Destroying the
 * returned stream also destroys `source`, even before the first read.
 */
export function translated(source: Readable, length: number, translate: (error: unknown) => Error): Readable {
  let passed = 0;
  const wrongLength = (): Error =>
    new StoreUnavailable(`the store returned ${passed} bytes of an object instead of ${length}`);
  const body = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      passed += chunk.length;
      if (passed > length) done(wrongLength());
      else done(null, chunk);
    },
    flush(done) {
      done(passed < length ? wrongLength() : null);
    },
  });
  // The reader also gets the error. Without a listener, a connection that is lost before anyone reads would end the
  // process.
  body.on('error', () => undefined);
  source.on('error', (error) => body.destroy(translate(error)));
  body.on('close', () => source.destroy());
  return source.pipe(body);
}

/** Returns the number of bytes in the range, or in the whole object of `size` bytes without a range. */
export function lengthOf(range: ByteRange | undefined, size: number): number {
  return range === undefined ? size : range.last - range.first + 1;
}

/** Throws RangeError unless the whole range lies within an object of `size` bytes. */
export function checkRange({ first, last }: ByteRange, size = Infinity): void {
  if (Number.isSafeInteger(first) && Number.isSafeInteger(last) && first >= 0 && first <= last && last < size) return;
  throw new RangeError(`bytes ${first} to ${last} are not within the object's ${size} bytes`);
}
