import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { BlobId } from '../../src/gitlab/schema.ts';
import { BlobCache, type BlobCacheLimits } from '../../src/build/blob-cache.ts';
import { hashBytes } from '../../src/build/hashed-file.ts';

let folder: string;
let cache: BlobCache;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modpress-blob-cache-'));
  cache = new BlobCache(folder);
});
afterEach(async () => {
  await cache.clear();
  await rm(folder, { recursive: true, force: true });
});

async function withLimits(limits: BlobCacheLimits): Promise<void> {
  await cache.clear();
  cache = new BlobCache(folder, limits);
}

async function keep(bytes: Buffer, fromDisk = false): Promise<BlobId> {
  const hashed = hashBytes(bytes, 40);
  const id = hashed.blob as BlobId;
  await cache.keep(id, fromDisk ? { ...hashed, content: () => Readable.from([bytes], { objectMode: false }) } : hashed);
  return id;
}

async function read(id: BlobId): Promise<Buffer | undefined> {
  const found = await cache.open(id);
  if (!found) return undefined;
  const bytes = await buffer(found.body);
  expect(bytes).toHaveLength(found.size);
  return bytes;
}

async function* broken(): AsyncGenerator<Buffer> {
  yield Buffer.from('half');
  throw new Error('the disk is gone');
}

/** Returns `size` bytes that differ for each `number`. */
function bytesOf(number: number, size: number): Buffer {
  return Buffer.alloc(size, `${number} `);
}

test('the blob cache returns every added blob, whether small, large or empty, at once and later', async () => {
  const contents = [
    Buffer.alloc(0),
    Buffer.from('x'),
    bytesOf(1, 700_000),
    bytesOf(2, 5_000_000),
    ...Array.from({ length: 500 }, (_, index) => bytesOf(index, index)),
  ];
  const ids: BlobId[] = [];
  for (const [index, content] of contents.entries()) {
    const id = await keep(content, index % 3 === 0);
    ids.push(id);
    expect(cache.has(id)).toBe(true);
    if (index % 7 === 0) expect(await read(id)).toEqual(content);
  }
  expect(
    (await Promise.all(ids.map(read))).map((bytes, index) => bytes?.equals(contents[index] ?? Buffer.alloc(1))),
  ).toEqual(contents.map(() => true));
  expect(cache.has('0'.repeat(40) as BlobId)).toBe(false);
  expect(await cache.open('0'.repeat(40) as BlobId)).toBeUndefined();
});

test('the blob cache keeps concurrent additions apart', async () => {
  const contents = Array.from({ length: 300 }, (_, index) => bytesOf(index, 20_000));
  const ids = await Promise.all(contents.map((content, index) => keep(content, index % 2 === 0)));
  const found = await Promise.all(ids.map(read));
  expect(found.every((bytes, index) => bytes?.equals(contents[index] ?? Buffer.alloc(1)))).toBe(true);
});

test('the blob cache leaves no file name in its folder', async () => {
  await keep(bytesOf(1, 2_000_000));
  expect(await readdir(folder)).toEqual([]);
});

test('the blob cache removes the oldest blobs above its limit on bytes, and keeps the newest', async () => {
  await withLimits({ bytes: 16_000 });
  const ids: BlobId[] = [];
  for (let index = 0; index < 100; index++) ids.push(await keep(bytesOf(index, 500)));
  const held = ids.filter((id) => cache.has(id));
  expect(held.length * 500).toBeLessThanOrEqual(16_000);
  expect(held.length * 500).toBeGreaterThan(12_000);
  expect(held).toEqual(ids.slice(-held.length));
  expect(await read(ids.at(-1) ?? ('' as BlobId))).toEqual(bytesOf(99, 500));
});

test('the blob cache removes the oldest blobs above its limit on the number of blobs', async () => {
  await withLimits({ blobs: 160 });
  const ids: BlobId[] = [];
  for (let index = 0; index < 500; index++) ids.push(await keep(Buffer.from(String(index))));
  const held = ids.filter((id) => cache.has(id));
  expect(held.length).toBeLessThanOrEqual(160);
  expect(held.length).toBeGreaterThan(140);
  expect(held).toEqual(ids.slice(-held.length));
});

test('the blob cache uses at most half of the free disk space, and shrinks when other programs use the disk', async () => {
  let disk = 20_000;
  let usedBytes = 0;
  await withLimits({ free: async () => disk - usedBytes });
  const ids: BlobId[] = [];
  const heldBytes = (): number => ids.filter((id) => cache.has(id)).length * 100;
  for (let index = 0; index < 400; index++) {
    ids.push(await keep(bytesOf(index, 100)));
    usedBytes = heldBytes();
    expect(usedBytes).toBeLessThanOrEqual(10_000);
  }
  expect(usedBytes).toBeGreaterThan(8_000);
  disk = 10_000;
  for (let index = 400; index < 600; index++) {
    ids.push(await keep(bytesOf(index, 100)));
    usedBytes = heldBytes();
  }
  expect(usedBytes).toBeLessThanOrEqual(5_000);
});

test('the blob cache does not return a blob that is removed while it is being opened', async () => {
  const id = await keep(bytesOf(1, 1000));
  const [, found] = await Promise.all([cache.clear(), cache.open(id)]);
  expect(found).toBeUndefined();
  expect(await read(await keep(bytesOf(1, 1000)))).toEqual(bytesOf(1, 1000));
});

test('the blob cache removes other blobs to add a large one, and does not add a blob larger than the cache', async () => {
  await withLimits({ bytes: 1_000_000 });
  const first = await keep(bytesOf(1, 400_000));
  const second = await keep(bytesOf(2, 900_000), true);
  expect([cache.has(first), cache.has(second)]).toEqual([false, true]);
  expect(await read(second)).toEqual(bytesOf(2, 900_000));
  const third = await keep(bytesOf(3, 1_000_001));
  expect([cache.has(second), cache.has(third)]).toEqual([true, false]);
});

test('the blob cache lets an open reader finish after its blob is removed, and after clear', async () => {
  await withLimits({ bytes: 4_000_000 });
  const content = bytesOf(1, 3_000_000);
  const id = await keep(content, true);
  const found = await cache.open(id);
  const [first] =
    (await found?.body
      .take(1)
      .toArray()
      .catch(() => [])) ?? [];
  expect(first).toBeInstanceOf(Buffer);
  const again = await cache.open(id);
  for (let index = 0; index < 8; index++) await keep(bytesOf(index, 1_000_000));
  expect(cache.has(id)).toBe(false);
  await cache.clear();
  expect(again && (await buffer(again.body)).equals(content)).toBe(true);
});

test('the blob cache rejects bytes that do not match the given id', async () => {
  await expect(cache.keep('1'.repeat(40) as BlobId, hashBytes(Buffer.from('x'), 40))).rejects.toThrow(
    'does not have the blob id',
  );
});

test('the blob cache adds nothing of a file that cannot be read, and still adds the next blob', async () => {
  const kept = await keep(Buffer.from('before'));
  const hashed = hashBytes(bytesOf(1, 1000), 40);
  await expect(
    cache.keep(hashed.blob as BlobId, { ...hashed, content: () => Readable.from(broken()) }),
  ).rejects.toThrow('the disk is gone');
  expect(cache.has(hashed.blob as BlobId)).toBe(false);
  expect([undefined, 'before']).toContain((await read(kept))?.toString());
  expect(await read(await keep(Buffer.from('after')))).toEqual(Buffer.from('after'));
});
