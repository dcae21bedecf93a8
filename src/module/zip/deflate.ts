import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { constants, crc32, deflateRaw, deflateRawSync } from 'node:zlib';

/** Bytes on their way through deflate: what went in and what came out of it so far. */
export interface Deflation {
  /** Bytes that went in. */
  size: number;
  /** CRC-32 of them. */
  crc32: number;
  /** Bytes that came out. */
  compressedSize: number;
}

/**
 * Up to this many bytes are deflated on the spot: a millisecond or two, less than handing them to another thread
 * and back costs on a busy machine.
 */
const ON_THE_SPOT = 64 * 2 ** 10;
/** More are deflated in blocks of this many bytes, so many at a time, which bounds the memory that it takes. */
const BLOCK = 2 ** 20;
const AT_A_TIME = 4;
/** How far back deflate looks for repetitions (RFC 1951). */
const WINDOW = 32 * 2 ** 10;
/** An empty last block: all that a deflate stream needs to end. */
const END = Buffer.from([0x03, 0x00]);

const deflateAside = promisify(deflateRaw);

/**
 * Deflates `size` bytes, in memory or as a stream, and keeps count in `deflation`. How they are deflated follows from
 * their number alone, so that equal bytes give equal output however they come.
 */
export async function* deflate(
  source: Buffer | Readable,
  size: number,
  level: number,
  deflation: Deflation,
): AsyncGenerator<Buffer> {
  const outputs =
    size <= ON_THE_SPOT ? [deflateNow(await allOf(source), level, deflation)] : deflateBlocks(source, level, deflation);
  for await (const output of outputs) {
    deflation.compressedSize += output.length;
    yield output;
  }
}

async function allOf(source: Buffer | Readable): Promise<Buffer> {
  return Buffer.isBuffer(source) ? source : buffer(source);
}

function deflateNow(bytes: Buffer, level: number, deflation: Deflation): Buffer {
  count(bytes, deflation);
  return deflateRawSync(bytes, { level });
}

/**
 * Several blocks at a time, in threads of their own. A block that is flushed ends at a byte, so that the outputs
 * follow each other as if made in one go; and each knows the end of the one before it, as it would then.
 */
async function* deflateBlocks(source: Buffer | Readable, level: number, deflation: Deflation): AsyncGenerator<Buffer> {
  const outputs: Promise<Buffer>[] = [];
  let before: Buffer | undefined;
  for await (const block of inBlocks(Buffer.isBuffer(source) ? [source] : source)) {
    count(block, deflation);
    const options = { level, finishFlush: constants.Z_SYNC_FLUSH, chunkSize: BLOCK };
    outputs.push(deflateAside(block, before ? { ...options, dictionary: before } : options));
    before = block.subarray(-WINDOW);
    const oldest = outputs.length === AT_A_TIME ? outputs.shift() : undefined;
    if (oldest) yield await oldest;
  }
  for (const output of outputs) yield await output;
  yield END;
}

/** The same bytes in blocks of exactly that size but for the last, so that the output does not depend on how they arrive. */
async function* inBlocks(source: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let length = 0;
  for await (const chunk of source) {
    let rest = chunk;
    while (length + rest.length >= BLOCK) {
      yield Buffer.concat([...waiting, rest.subarray(0, BLOCK - length)]);
      rest = rest.subarray(BLOCK - length);
      waiting = [];
      length = 0;
    }
    if (rest.length > 0) waiting.push(rest);
    length += rest.length;
  }
  if (length > 0) yield Buffer.concat(waiting);
}

function count(bytes: Buffer, deflation: Deflation): void {
  deflation.size += bytes.length;
  deflation.crc32 = crc32(bytes, deflation.crc32);
}
