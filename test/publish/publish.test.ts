import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { Retry } from '../../src/errors.ts';
import { Ownership } from '../../src/resolve/ownership.ts';
import { MemoryRateLimiter } from '../../src/rate-limit/memory-rate-limiter.ts';
import type { Outcome } from '../../src/store/outcome.ts';
import { hashStoredZip } from '../../src/publish/stored-zip.ts';
import { DiskStore } from '../../src/store/disk.ts';
import { StoreUnavailable, type Store } from '../../src/store/store.ts';
import type { Fault } from '../fake-gitlab/faults.ts';
import type { Project, StandIn } from '../fake-gitlab/stand-in.ts';
import type { WorkTree } from '../fake-gitlab/work-tree.ts';
import { withStore } from '../proxy/server.ts';
import { HOST, test as base, type Repository } from './fixtures.ts';

const test = base
  /** Creates a project with a small module and these tags on it. */
  .extend('createLibrary', ({ gitlab, createRepository }) => async (...tags: string[]): Promise<Repository> => {
    const repository = await createRepository();
    const { tree, module } = repository;
    await tree.write({ 'go.mod': `module ${module}\n\ngo 1.24\n`, 'lib.go': 'package lib\n' }).commit('Library');
    await tree.tag(tags);
    await tree.push();
    gitlab.clearRequests();
    return repository;
  })
  /** Publishes a tag with the publisher of the test. */
  .extend('publish', ({ publishing }) => async (project: Project, tag: string): Promise<Outcome> => {
    const result = await publishing.publisher.publish({ projectId: project.id, tag });
    if ('dismissed' in result) throw new Error(result.dismissed);
    return result.outcome;
  })
  /** Lists the keys in the store of the test that begin with a prefix. */
  .extend(
    'keys',
    ({ publishing }) =>
      async (prefix: string): Promise<string[]> =>
        (await keysOf(publishing.store)).filter((key) => key.startsWith(prefix)),
  );

test.afterEach(({ gitlab }) => gitlab.faults.clear());

describe('an outcome', () => {
  test('describes the published version, which is in the index and in the list', async ({
    createLibrary,
    keys,
    publish,
    publishing,
  }) => {
    const { project, module } = await createLibrary('v1.0.0', 'v1.1.0');
    const outcome = await publish(project, 'v1.0.0');
    await publish(project, 'v1.1.0');
    expect(outcome).toMatchObject({
      status: 'published',
      projectId: project.id,
      project: project.path,
      module,
      version: 'v1.0.0',
      tag: 'v1.0.0',
    });
    expect(await keys('index/')).toHaveLength(2);
    const list = await publishing.store.get(`modules/${module}/@v/list`);
    expect(list?.toString()).toBe('v1.0.0\nv1.1.0\n');
    const [first] = await keys('index/');
    expect(JSON.parse((await publishing.store.get(first ?? ''))?.toString() ?? '')).toEqual({
      Path: outcome.module,
      Version: 'v1.0.0',
      Timestamp: first?.slice('index/'.length, 'index/'.length + 24),
    });
  });

  test('of simultaneous publishes has one entry in the index', async ({ createLibrary, keys, publish }) => {
    const { project } = await createLibrary('v1.0.0');
    await Promise.all([1, 2, 3].map(() => publish(project, 'v1.0.0')));
    expect(await keys('index/')).toHaveLength(1);
  });

  test('is recorded once, and publishing again costs one call and changes nothing', async ({
    gitlab,
    createLibrary,
    keys,
    publish,
  }) => {
    const { project } = await createLibrary('v1.0.0');
    const first = await publish(project, 'v1.0.0');
    gitlab.clearRequests();
    const before = await keys('');
    expect(await publish(project, 'v1.0.0')).toEqual(first);
    expect(await keys('')).toEqual(before);
    expect(apiCalls(gitlab)).toHaveLength(1);
  });

  test('costs one call for a tag that is not a version, and at most three for a repository without go.mod', async ({
    gitlab,
    createLibrary,
    publish,
  }) => {
    const { project, tree } = await createLibrary('nightly', 'v1.2');
    tree.write({ 'go.mod': null, 'lib.go': 'package lib\n' });
    await tree.commit('No module');
    await tree.tag(['v1.0.0', 'v2.0.0']);
    await tree.push();
    for (const [tag, calls] of [
      ['nightly', 1],
      ['v1.2', 1],
      ['v1.0.0', 3],
      ['v2.0.0', 3],
    ] as const) {
      gitlab.clearRequests();
      expect(await publish(project, tag)).toMatchObject({ status: 'skipped' });
      expect(apiCalls(gitlab), tag).toHaveLength(calls);
    }
  });

  test('is not recorded for a deleted tag or a project outside GITLAB_SCOPE', async ({
    createLibrary,
    createPublishing,
    keys,
    publishing,
  }) => {
    const { project } = await createLibrary('v1.0.0');
    expect(await publishing.publisher.publish({ projectId: project.id, tag: 'v9.9.9' })).toEqual({
      dismissed: expect.stringContaining('v9.9.9'),
    });
    const scoped = await createPublishing({ ownership: new Ownership(HOST, [], ['other/group']) });
    expect(await scoped.publisher.publish({ projectId: project.id, tag: 'v1.0.0' })).toEqual({
      dismissed: expect.stringContaining('GITLAB_SCOPE'),
    });
    expect(await keys('')).toEqual([]);
  });

  test('is determined again when its version is missing from the store', async ({
    createLibrary,
    keys,
    publish,
    publishing,
  }) => {
    const { project, module } = await createLibrary('v1.0.0');
    const { h1 } = await publish(project, 'v1.0.0');
    await publishing.store.delete(`modules/${module}/@v/v1.0.0.info`);
    expect(await publish(project, 'v1.0.0')).toMatchObject({ status: 'published', h1 });
    expect(await keys(`modules/${module}/@v/v1.0.0.info`)).toHaveLength(1);
  });
});

describe('a moved tag', () => {
  test('is refused, the published version stays, and the reason says what to do', async ({
    createLibrary,
    folder,
    publish,
    publishing,
  }) => {
    const { project, tree, module } = await createLibrary('v1.0.0');
    const first = await publish(project, 'v1.0.0');
    await move(tree);
    const second = await publish(project, 'v1.0.0');
    expect(second).toMatchObject({ status: 'refused', reason: expect.stringContaining('Tag a new version instead') });
    expect(second.reason).toContain(first.h1);
    expect((await hashStoredZip(publishing.store, `modules/${module}/@v/v1.0.0.zip`, folder))?.h1).toBe(first.h1);
  });

  test('with equal content is accepted', async ({ createLibrary, publish }) => {
    const { project, tree } = await createLibrary('v1.0.0');
    const first = await publish(project, 'v1.0.0');
    await tree.commit('Nothing changed');
    await tree.tag('v1.0.0', { force: true });
    await tree.push('+v1.0.0');
    expect(await publish(project, 'v1.0.0')).toMatchObject({ status: 'published', h1: first.h1 });
  });

  test('replaces the version with RETAG=replace', async ({
    createLibrary,
    createPublishing,
    folder,
    publish,
    publishing,
  }) => {
    const { project, tree, module } = await createLibrary('v1.0.0');
    const first = await publish(project, 'v1.0.0');
    await move(tree);
    const replacing = await createPublishing({ retag: 'replace' });
    const result = await replacing.publisher.publish({ projectId: project.id, tag: 'v1.0.0' });
    const outcome = 'outcome' in result ? result.outcome : undefined;
    expect(outcome).toMatchObject({ status: 'published' });
    expect(outcome?.h1).not.toBe(first.h1);
    expect((await hashStoredZip(publishing.store, `modules/${module}/@v/v1.0.0.zip`, folder))?.h1).toBe(outcome?.h1);
  });
});

describe('when GitLab fails', () => {
  test.for<[string, Fault]>([
    ['a truncated archive', { path: /archive/, kind: 'truncate' }],
    ['a connection dropped in the archive', { path: /archive/, kind: 'drop' }],
    ['a response with status 500 for the archive', { path: /archive/, kind: { status: 500 }, times: 10 }],
    ['a response with status 502 for the tree', { path: /\/tree/, kind: { status: 502 }, times: 10 }],
    ['a refused token', { path: /\/tags\//, kind: { status: 401 }, times: 10 }],
  ])(
    '%s is a Retry that leaves nothing behind, and the next attempt publishes the tag',
    async ([, fault], { gitlab, createLibrary, folder, keys, publish, publishing }) => {
      const { project } = await createLibrary('v1.0.0');
      gitlab.faults.add(fault);
      await expect(publishing.publisher.publish({ projectId: project.id, tag: 'v1.0.0' })).rejects.toBeInstanceOf(
        Retry,
      );
      expect(await keys('')).toEqual([]);
      expect(await readdir(join(folder, 'temporary'))).toEqual([]);
      gitlab.faults.clear();
      expect(await publish(project, 'v1.0.0')).toMatchObject({ status: 'published' });
    },
  );

  test('a short series of 502 is retried within the attempt', async ({ gitlab, createLibrary, publish }) => {
    const { project } = await createLibrary('v1.0.0');
    const fault = gitlab.faults.add({ path: /repository\/tree/, kind: { status: 502 }, times: 1 });
    expect(await publish(project, 'v1.0.0')).toMatchObject({ status: 'published' });
    expect(fault.hits).toBe(1);
  });

  test('a 429 without Retry-After delays the job by a minute', async ({ gitlab, createLibrary, publishing }) => {
    const { project } = await createLibrary('v1.0.0');
    gitlab.faults.add({ path: /archive/, kind: { status: 429 } });
    await expect(publishing.publisher.publish({ projectId: project.id, tag: 'v1.0.0' })).rejects.toMatchObject({
      afterMs: 60_000,
    });
  });

  test('the sixth archive of a minute is not requested', async ({ gitlab, createLibrary, createPublishing }) => {
    const paced = await createPublishing({ rateLimiter: new MemoryRateLimiter(), archivesPerMinute: 5 });
    const tags = ['v1.0.0', 'v1.0.1', 'v1.0.2', 'v1.0.3', 'v1.0.4', 'v1.0.5'];
    const { project } = await createLibrary(...tags);
    for (const tag of tags.slice(0, 5)) await paced.publisher.publish({ projectId: project.id, tag });
    gitlab.clearRequests();
    await expect(paced.publisher.publish({ projectId: project.id, tag: 'v1.0.5' })).rejects.toMatchObject({
      name: 'Retry',
      afterMs: expect.any(Number),
    });
    expect(apiCalls(gitlab).filter((path) => path.includes('archive'))).toEqual([]);
  });
});

describe('when the store fails', () => {
  test.for(['.zip', '.mod', '.info', 'outcomes/', 'index/'])(
    'at the key %s, no version is visible in part, and the next attempt completes it',
    async (where, { createLibrary, createPublishing, folder }) => {
      const { project } = await createLibrary('v1.0.0');
      const disk = await DiskStore.open(join(folder, 'failing'));
      const failing = await createPublishing({ store: failingAt(disk, where) });
      await expect(failing.publisher.publish({ projectId: project.id, tag: 'v1.0.0' })).rejects.toThrow(
        'the store is not available',
      );
      const visible = await keysOf(disk);
      expect(visible.some((key) => key.endsWith('.info'))).toBe(visible.some((key) => key.endsWith('/list')));
      const working = await createPublishing({ store: disk });
      expect(await working.publisher.publish({ projectId: project.id, tag: 'v1.0.0' })).toMatchObject({
        outcome: { status: 'published' },
      });
      const kinds = (await keysOf(disk)).map((key) => key.replace(/^(\w+)\/.*?(\.\w+|list)$/, '$1 $2')).toSorted();
      // A tag with an outcome is not checked again, so all other files have to exist before the outcome.
      if (where === 'index/') expect(visible.filter((key) => key.startsWith('outcomes/'))).toEqual([]);
      expect(kinds).toEqual([
        'index .json',
        'modules .info',
        'modules .mod',
        'modules .zip',
        'modules list',
        'outcomes .json',
      ]);
    },
  );
});

async function move(tree: WorkTree): Promise<void> {
  tree.write({ 'lib.go': 'package lib // moved\n' });
  await tree.commit('Moved');
  await tree.tag('v1.0.0', { force: true });
  await tree.push('+v1.0.0');
}

/** The paths of the API calls since the requests were cleared. */
function apiCalls(gitlab: StandIn): string[] {
  return gitlab.requests.map((request) => request.path).filter((path) => path.startsWith('/api/'));
}

async function keysOf(store: Store): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of store.list('')) found.push(key);
  return found;
}

/** The store, with failing puts of keys that contain `where`. */
function failingAt(store: Store, where: string): Store {
  return withStore(store, {
    put: async (key, body) => {
      if (key.includes(where)) throw new StoreUnavailable('the store is not available');
      await store.put(key, body);
    },
  });
}
