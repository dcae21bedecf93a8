import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HttpClient } from '../../src/http-client/http-client.ts';
import type { BlobId } from '../../src/gitlab/schema.ts';
import { GitLabClient } from '../../src/gitlab/client.ts';
import { BlobCache } from '../../src/build/blob-cache.ts';
import { Blobs } from '../../src/build/blobs.ts';
import { hashBytes } from '../../src/build/hashed-file.ts';
import { startGitLab, type Project, type StandIn } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';

let gitlab: StandIn;
let folder: string;
let cache: BlobCache;
let blobs: Blobs;
let project: Project;

beforeEach(async () => {
  gitlab = await startGitLab();
  folder = await mkdtemp(join(tmpdir(), 'modpress-blobs-'));
  cache = new BlobCache(folder);
  blobs = new Blobs({
    gitlab: new GitLabClient({
      http: new HttpClient(),
      url: gitlab.url,
      token: gitlab.rootToken,
      beforeCall: async () => undefined,
    }),
    cache,
    temporaryRoot: folder,
  });
  project = await gitlab.createProject('group/blobs');
  await using tree = await WorkTree.create(project);
  tree.write(Object.fromEntries(TEXTS.map((text, index) => [`f${index}`, text])));
  await tree.commit('Only');
  await tree.push();
  gitlab.clearRequests();
});
afterEach(async () => {
  await cache.clear();
  await gitlab.close();
  await rm(folder, { recursive: true, force: true });
});

const TEXTS = Array.from({ length: 40 }, (_, index) => `text ${index}\n`);

function idOf(text: string | Buffer): BlobId {
  return hashBytes(Buffer.from(text), 40).blob as BlobId;
}

const IDS = TEXTS.map(idOf);
const [FIRST = '' as BlobId] = IDS;

async function read(id: BlobId): Promise<string> {
  return (await buffer((await blobs.open(project.id, id)).body)).toString();
}

test('Blobs downloads a blob once for all concurrent callers', async () => {
  expect(await Promise.all(Array.from({ length: 20 }, () => read(FIRST)))).toEqual(
    Array.from({ length: 20 }, () => TEXTS[0]),
  );
  expect(await read(FIRST)).toBe(TEXTS[0]);
  expect(gitlab.requests).toHaveLength(1);
});

test('Blobs downloads only missing blobs, and each of them once', async () => {
  await read(FIRST);
  await Promise.all([blobs.fetch(project.id, [...IDS, ...IDS]), blobs.fetch(project.id, IDS)]);
  expect(gitlab.requests).toHaveLength(IDS.length);
  expect(await Promise.all(IDS.map(read))).toEqual(TEXTS);
  expect(gitlab.requests).toHaveLength(IDS.length);
  expect(await readdir(folder), 'nothing is left behind').toEqual([]);
});

test.each(['truncate', 'drop'] as const)(
  'Blobs rejects a damaged download (%s) with a Retry, does not keep it, and succeeds at the next attempt',
  async (kind) => {
    gitlab.faults.add({ path: /\/blobs\//, kind });
    await expect(blobs.open(project.id, FIRST)).rejects.toMatchObject({ name: 'Retry' });
    expect(blobs.has(FIRST)).toBe(false);
    expect(await read(FIRST)).toBe(TEXTS[0]);
  },
);

test('Blobs rejects wrong bytes with a Retry, and does not keep them', async () => {
  gitlab.faults.add({ path: /\/blobs\//, kind: { status: 200, body: 'text 1\n' } });
  await expect(blobs.open(project.id, FIRST)).rejects.toMatchObject({
    name: 'Retry',
    message: expect.stringContaining(FIRST),
  });
  expect(blobs.has(FIRST)).toBe(false);
});

test('Blobs stops downloading at the first failure, and keeps the blobs that it has downloaded', async () => {
  gitlab.faults.add({ path: /\/blobs\//, times: 1000, kind: { status: 403, body: {} } });
  await expect(blobs.fetch(project.id, IDS)).rejects.toMatchObject({ name: 'Retry' });
  expect(gitlab.requests.length).toBeLessThan(IDS.length);
  gitlab.faults.clear();
  await blobs.fetch(project.id, IDS);
  expect(IDS.every((id) => blobs.has(id))).toBe(true);
});

test('Blobs rejects a blob that the cache cannot hold with a Retry, after a few downloads', async () => {
  const small = new BlobCache(folder, { bytes: 3 });
  blobs = new Blobs({
    gitlab: { blob: async () => Readable.from([Buffer.from('four')], { objectMode: false }) },
    cache: small,
    temporaryRoot: folder,
  });
  await expect(blobs.open(project.id, idOf('four'))).rejects.toMatchObject({ name: 'Retry' });
});

test('Blobs keeps large blobs on disk, not in memory', async () => {
  const chunk = Buffer.alloc(2 ** 16, 'x');
  const chunks = 3200;
  let most = 0;
  const large = async function* (): AsyncGenerator<Buffer> {
    for (let index = 0; index < chunks; index++) {
      most = Math.max(most, process.memoryUsage().arrayBuffers);
      yield chunk;
    }
  };
  blobs = new Blobs({
    gitlab: { blob: async () => Readable.from(large(), { objectMode: false }) },
    cache,
    temporaryRoot: folder,
  });
  const id = idOf(Buffer.alloc(chunks * chunk.length, 'x'));
  const before = process.memoryUsage().arrayBuffers;
  const found = await blobs.open(project.id, id);
  for await (const piece of found.body as AsyncIterable<Buffer>)
    most = Math.max(most, process.memoryUsage().arrayBuffers, piece.length);
  expect(found.size).toBe(chunks * chunk.length);
  expect(most - before).toBeLessThan(found.size / 2);
});
