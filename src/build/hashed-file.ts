import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { Refuse } from '../errors.ts';
import { blobHash } from '../gitlab/blob-hash.ts';
import { collect } from '../io/read-body.ts';
import { MAX_ZIP } from '../module/zip/writer.ts';

/** A file that has been read and hashed, and can be read again. */
export interface HashedFile {
  readonly size: number;
  /** The hexadecimal SHA-256 of the bytes, for the h1. */
  readonly sha256: string;
  /** The blob id that git computes for these bytes. */
  readonly blob: string;
  /**
   * The bytes, or a function that opens a stream of the bytes. The function is valid until the next file is hashed in
   * the same folder.
   */
  readonly content: Buffer | (() => Readable);
}

/** The maximum size of a file in memory, in bytes. Larger files are written to disk. */
const MAX_MEMORY_BYTES = 2 ** 20;

/**
 * Reads and hashes a file of known size. `idLength` is the number of hexadecimal digits of the repository's object ids:
 * 40 or 64.
 */
export async function hashFile(
  body: AsyncIterable<Buffer>,
  size: number,
  idLength: number,
  folder: string,
): Promise<HashedFile> {
  if (size <= MAX_MEMORY_BYTES)
    return hashBytes(await collect(body, MAX_MEMORY_BYTES, 'a file of the archive'), idLength);
  const path = join(folder, 'large-file');
  const git = blobHash(idLength, size);
  const sha256 = createHash('sha256');
  await writeFile(body, path, (chunk) => {
    git.update(chunk);
    sha256.update(chunk);
  });
  return { size, sha256: sha256.digest('hex'), blob: git.digest('hex'), content: () => createReadStream(path) };
}

/**
 * Reads and hashes a file of unknown size. Git hashes the size before the bytes, so a large file is written to disk
 * first. `idLength` has the same meaning as in `hashFile`.
 */
export async function hashUnsized(body: AsyncIterable<Buffer>, idLength: number, folder: string): Promise<HashedFile> {
  const path = join(folder, 'unsized-file');
  const start: Buffer[] = [];
  let size = 0;
  const chunks = body[Symbol.asyncIterator]();
  try {
    while (size <= MAX_MEMORY_BYTES) {
      const next = await chunks.next();
      if (next.done === true) return hashBytes(Buffer.concat(start), idLength);
      start.push(next.value);
      size += next.value.length;
    }
    size = 0;
    await writeFile(joined(start, chunks), path, (chunk) => {
      size += chunk.length;
    });
  } finally {
    await chunks.return?.();
  }
  return hashFile(createReadStream(path), size, idLength, folder);
}

/** Hashes bytes that are in memory. `idLength` has the same meaning as in `hashFile`. */
export function hashBytes(bytes: Buffer, idLength: number): HashedFile {
  return {
    size: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    blob: blobHash(idLength, bytes.length).update(bytes).digest('hex'),
    content: bytes,
  };
}

async function* joined(start: readonly Buffer[], rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield* start;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}

async function writeFile(body: AsyncIterable<Buffer>, path: string, onChunk: (chunk: Buffer) => void): Promise<void> {
  await rm(path, { force: true });
  const file = await open(path, 'wx');
  let size = 0;
  try {
    for await (const chunk of body) {
      size += chunk.length;
      if (size > MAX_ZIP) throw new Refuse(`a file is larger than ${MAX_ZIP} bytes, the size limit of a module`);
      onChunk(chunk);
      await file.write(chunk);
    }
  } finally {
    await file.close();
  }
}
