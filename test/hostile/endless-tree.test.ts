import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setImmediate, setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildZip } from '../../src/build/build-zip.ts';
import { BlobCache } from '../../src/build/blob-cache.ts';
import { Blobs } from '../../src/build/blobs.ts';
import type { CommitFiles } from '../../src/build/commit-files.ts';
import { CommitTrees } from '../../src/build/commit-tree.ts';
import { buildFromArchive } from '../../src/build/from-archive.ts';
import { LargeModules } from '../../src/build/large-modules.ts';
import { hashBytes } from '../../src/build/hashed-file.ts';
import { planZip } from '../../src/build/plan-zip.ts';
import { Refuse } from '../../src/errors.ts';
import type { GitLabClient } from '../../src/gitlab/client.ts';
import type { BlobId, CommitId, TreeEntry } from '../../src/gitlab/schema.ts';
import type { Version } from '../../src/module/version.ts';
import { MemoryRateLimiter } from '../../src/rate-limit/memory-rate-limiter.ts';
import type { ResolvedVersion } from '../../src/resolve/resolver.ts';
import { modulePath } from '../proxy/modules.ts';
import { MAX_BLOCK_MS, measure } from './event-loop.ts';

/**
 * Trees that are much larger than the repository that contains them, because git stores equal directories once. The
 * tests run one after the other, because they measure the whole process.
 */

const PAGE = 100;
const EMPTY = hashBytes(Buffer.alloc(0), 40).blob as BlobId;
const GO_MOD = Buffer.from('module gitlab.example/x\n\ngo 1.24\n');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modpress-endless-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function version(number: number): ResolvedVersion {
  return {
    path: modulePath('gitlab.example/x'),
    version: `v1.${number}.0` as Version,
    project: { id: 1 },
    commit: `${number}`.padStart(40, '0') as CommitId,
    directory: '',
    gomod: GO_MOD,
  } as ResolvedVersion;
}

/** A tree of `count` empty files or directories in pages, which fails if it is read further. */
class Tree implements CommitFiles {
  /** The number of entries that were read. */
  read = 0;
  readonly #count: number;
  readonly #pathOf: (index: number) => string;
  readonly #type: 'blob' | 'tree';

  constructor(count: number, pathOf: (index: number) => string, type: 'blob' | 'tree' = 'blob') {
    this.#count = count;
    this.#pathOf = pathOf;
    this.#type = type;
  }

  async *tree(): AsyncGenerator<TreeEntry> {
    while (this.read < this.#count) {
      await setImmediate();
      const mode = this.#type === 'blob' ? '100644' : '040000';
      for (let index = 0; index < PAGE; index++) {
        // As in parsed JSON, each id is a string of its own.
        const blob = Buffer.from(EMPTY).toString() as BlobId;
        yield { path: this.#pathOf(this.read++), type: this.#type, mode, blob };
      }
    }
    throw new Error('the whole tree was read');
  }

  async file(): Promise<Buffer | undefined> {
    return undefined;
  }
}

/** A path of about 4,000 characters: without its last element, it is the same for all files. */
const longPath = (index: number): string => `${'d'.repeat(250)}/`.repeat(16) + `${index}`.padStart(8, '0');
const shortPath = (index: number): string => `a/b/c/d/e/${index.toString(36).padStart(6, '0')}`;

/** A tree in memory, which is read without a pause. */
const inMemory = (paths: readonly string[]): CommitFiles => ({
  async *tree() {
    for (const path of paths) yield { path, type: 'blob', mode: '100644', blob: EMPTY };
  },
  file: async () => undefined,
});

/** A part of the client that never returns an archive. */
function withoutArchive(parts: Partial<Record<keyof GitLabClient, unknown>> = {}): GitLabClient {
  return { archive: () => new Promise(() => undefined), ...parts } as unknown as GitLabClient;
}

describe('a tree without an end', () => {
  test.each(['blob', 'tree'] as const)('of long paths (%s) is refused for its names', async (type) => {
    const tree = new Tree(70_000, longPath, type);
    const { result, longestBlockMs } = await measure(() => {
      tree.read = 0;
      return planZip(tree, version(1)).catch((error: unknown) => error);
    });
    expect(result).toMatchObject({ name: 'Refuse', message: expect.stringContaining('their names alone') });
    expect(longestBlockMs).toBeLessThan(MAX_BLOCK_MS);
  });

  test('that four tags have is read for one tag at a time, in bounded memory', { timeout: 120_000 }, async () => {
    const trees = Array.from({ length: 4 }, () => new Tree(4_000_000, shortPath));
    let largeModules = new LargeModules();
    const parts = () => ({ gitlab: withoutArchive(), rateLimiter: new MemoryRateLimiter(), largeModules });
    const { result, longestBlockMs, grewBytes } = await measure(async () => {
      // A repeated measurement must not find the traces of the one before.
      largeModules = new LargeModules();
      const shared = parts();
      for (const tree of trees) tree.read = 0;
      return await Promise.all(
        trees.map((files, index) =>
          buildZip(shared, version(index), folder, { files }).catch((error: unknown) => error),
        ),
      );
    });
    expect(result.map((error) => (error as Error).name).sort()).toEqual(['Refuse', 'Retry', 'Retry', 'Retry']);
    expect(result.filter((error) => (error as Error).message.includes('very many files'))).toHaveLength(3);
    expect(trees.filter(({ read }) => read <= 101_000)).toHaveLength(3);
    expect(longestBlockMs).toBeLessThan(MAX_BLOCK_MS);
    expect(grewBytes).toBeLessThan(700 * 2 ** 20);
    // The second attempt waits without reading the tree, and succeeds in entering once no large module is being built.
    const again = new Tree(200_000, shortPath);
    await largeModules.run('other', async (onLarge) => {
      onLarge();
      const waiting = buildZip(parts(), version(1), folder, { files: again });
      await expect(waiting).rejects.toMatchObject({ name: 'Retry', afterMs: 60_000 });
    });
    expect(again.read).toBe(0);
    await expect(buildZip(parts(), version(1), folder, { files: again })).rejects.toThrow('the whole tree was read');
  });

  test('is no longer read once its archive has failed', async () => {
    const tree = new Tree(2_000_000, shortPath);
    const failure = new Refuse('the archive is too large');
    const archive = async (): Promise<Readable> => {
      await wait(20);
      return new Readable({ read: (): void => undefined, objectMode: false }).destroy(failure);
    };
    const built = buildFromArchive(withoutArchive({ archive }), tree, version(1), folder, () => undefined);
    await expect(built).rejects.toBe(failure);
    expect(tree.read).toBeLessThan(1_000_000);
  });

  test('ends the download of its archive once it is refused, even if GitLab does not answer', async () => {
    let destroyed = 0;
    const late: ((archive: Readable) => void)[] = [];
    const archive = (): Promise<Readable> => new Promise((resolve) => late.push(resolve));
    const tree = new Tree(70_000, longPath);
    const built = buildFromArchive(withoutArchive({ archive }), tree, version(1), folder, () => undefined);
    await expect(built).rejects.toMatchObject({ name: 'Refuse' });
    const body = new Readable({
      read: () => undefined,
      destroy: (_error, done) => {
        destroyed++;
        done(null);
      },
    });
    late[0]?.(body);
    await expect.poll(() => destroyed).toBe(1);
  });

  test('of directories is too large for the memory of a commit', async () => {
    const tree = new Tree(200_000, shortPath, 'tree');
    const gitlab = withoutArchive({ tree: () => tree.tree() });
    const cache = new BlobCache(folder);
    const blobs = new Blobs({ gitlab, cache, temporaryRoot: folder });
    const trees = new CommitTrees({ gitlab, blobs, rateLimiter: new MemoryRateLimiter(), temporaryRoot: folder });
    expect(await trees.of(1, version(1).commit)).toBeUndefined();
    expect(tree.read).toBeLessThan(60_000);
  });
});

describe('a large tree that the go command accepts', () => {
  test('of deep directories does not take quadratic time', { timeout: 120_000 }, async () => {
    const directory = 'd/'.repeat(2_000);
    const paths = [
      ...Array.from({ length: 3_000 }, (_, index) => `${directory}${`${index}`.padStart(6, '0')}`),
      'go.mod',
      'nested/go.mod',
    ];
    const { result, longestBlockMs } = await measure(() => planZip(inMemory(paths), version(1)));
    expect(result.files.length).toBe(3_001);
    expect(longestBlockMs).toBeLessThan(MAX_BLOCK_MS);
  });
});
