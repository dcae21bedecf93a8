import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { constants, crc32, deflateRaw, deflateRawSync } from 'node:zlib';

/** The sizes and the checksum of one file, which are updated while the file is deflated. */
export interface Deflation {
  /** The number of bytes before compression. */
  size: number;
  /** The CRC-32 of the bytes before compression. */
  crc32: number;
  /** The number of bytes after compression. */
  compressedSize: number;
}

/**
 * The maximum size of a file that is deflated synchronously, in bytes. Such a file takes one or two milliseconds. On a
 * busy machine, a round trip to another thread takes longer.
 */
const MAX_SYNC_BYTES = 64 * 2 ** 10;
/** The size of the blocks in which larger files are deflated, in bytes. */
const BLOCK_BYTES = 2 ** 20;
/** The maximum number of blocks that are deflated at the same time. It limits the use of memory. */
const MAX_PARALLEL_BLOCKS = 4;
/** The window size of deflate, in bytes (RFC 1951). */
const WINDOW_BYTES = 32 * 2 ** 10;
/** An empty last block. Every deflate stream can end with it. */
const END = Buffer.from([0x03, 0x00]);

const deflateInThread = promisify(deflateRaw);

/**
 * Deflates a buffer or a stream of `size` bytes, and updates `deflation`. Equal bytes always result in equal output,
 * from a buffer as well as from a stream with chunks of any size.
 */
export async function* deflate(
  source: Buffer | Readable,
  size: number,
  level: number,
  deflation: Deflation,
): AsyncGenerator<Buffer> {
  const outputs =
    size <= MAX_SYNC_BYTES
      ? [deflateSync(await bytesOf(source), level, deflation)]
      : deflateBlocks(source, level, deflation);
  for await (const output of outputs) {
    deflation.compressedSize += output.length;
    yield output;
  }
}

async function bytesOf(source: Buffer | Readable): Promise<Buffer> {
  return Buffer.isBuffer(source) ? source : buffer(source);
}

function deflateSync(bytes: Buffer, level: number, deflation: Deflation): Buffer {
  countBytes(bytes, deflation);
  return deflateRawSync(bytes, { level });
}

/**
 * Deflates several blocks at the same time, each in a thread. A flushed block ends at a byte boundary, so the outputs
 * can be joined into one stream. Each block uses the end of the previous block as its dictionary, as in a single
 * stream.
 */
async function* deflateBlocks(source: Buffer | Readable, level: number, deflation: Deflation): AsyncGenerator<Buffer> {
  const outputs: Promise<Buffer>[] = [];
  let previous: Buffer | undefined;
  for await (const block of inBlocks(Buffer.isBuffer(source) ? [source] : source)) {
    countBytes(block, deflation);
    const options = { level, finishFlush: constants.Z_SYNC_FLUSH, chunkSize: BLOCK_BYTES };
    outputs.push(deflateInThread(block, previous ? { ...options, dictionary: previous } : options));
    previous = block.subarray(-WINDOW_BYTES);
    const oldest = outputs.length === MAX_PARALLEL_BLOCKS ? outputs.shift() : undefined;
    if (oldest) yield await oldest;
  }
  for (const output of outputs) yield await output;
  yield END;
}

/**
 * Joins and splits chunks into blocks of BLOCK_BYTES, so that the output does not depend on the chunks. The last block
 * may be shorter.
 */
async function* inBlocks(source: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of source) {
    let rest = chunk;
    while (length + rest.length >= BLOCK_BYTES) {
      yield Buffer.concat([...parts, rest.subarray(0, BLOCK_BYTES - length)]);
      rest = rest.subarray(BLOCK_BYTES - length);
      parts = [];
      length = 0;
    }
    if (rest.length > 0) parts.push(rest);
    length += rest.length;
  }
  if (length > 0) yield Buffer.concat(parts);
}

function countBytes(bytes: Buffer, deflation: Deflation): void {
  deflation.size += bytes.length;
  deflation.crc32 = crc32(bytes, deflation.crc32);
}
