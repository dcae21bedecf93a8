import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { describe, expect } from 'vitest';
import type { ModulePath } from '../../src/module/path.ts';
import { memoryLock } from '../../src/redis/version-lock.ts';
import { redisLock } from '../../src/redis/redis-version-lock.ts';
import type { PublisherParts } from '../../src/publish/publisher.ts';
import { withdrawVersion, type WithdrawResult } from '../../src/publish/withdraw.ts';
import { listKey, moduleKey, withdrawalKey } from '../../src/store/layout.ts';
import { readWithdrawal, withdrawnVersions } from '../../src/store/withdrawal.ts';
import type { Store } from '../../src/store/store.ts';
import { archiveRequests } from '../e2e/office.ts';
import { version } from '../proxy/modules.ts';
import { withStore } from '../proxy/server.ts';
import { connectTo, locationIn, removeKeys } from '../services/redis-kinds.ts';
import { startRedis } from '../services/redis.ts';
import { sweepOnce } from '../sweep/sweeping.ts';
import { test as base, type Repository } from './fixtures.ts';

const REASON = 'a token was in config.go';
const BAD = version('v1.1.0');

type Parts = Partial<PublisherParts>;

const test = base
  /**
   * A project with two versions, of which none is published. Its module path has an upper-case letter, which keys
   * escape.
   */
  .extend('lib', async ({ gitlab, createRepository }): Promise<Repository> => {
    const repository = await createRepository('group/Lib');
    const { tree, module } = repository;
    await tree.write({ 'go.mod': `module ${module}\n`, 'lib.go': 'package lib\n' }).commit('First');
    await tree.tag('v1.0.0');
    await tree.write({ 'config.go': 'package lib\n' }).commit('Second');
    await tree.tag('v1.1.0');
    await tree.push();
    gitlab.clearRequests();
    return repository;
  })
  .extend('store', ({ publishing }) => publishing.store)
  /** Publishes a tag with a new publisher that has these parts. */
  .extend('publish', ({ createPublishing, lib: { project }, store }) => async (tag: string, parts: Parts = {}) => {
    const { publisher } = await createPublishing({ store, ...parts });
    return await publisher.publish({ projectId: project.id, tag });
  })
  /** Withdraws v1.1.0, in the store of the test by default. */
  .extend(
    'withdraw',
    ({ lib: { module }, store }) =>
      (into: Store = store, reason = REASON): Promise<WithdrawResult> =>
        withdrawVersion({ store: into }, module, BAD, reason),
  )
  /** Lists the existing files of a version. */
  .extend('filesOf', ({ lib: { module }, store }) => async (of: string): Promise<string[]> => {
    const files = ['info', 'mod', 'zip'] as const;
    const stats = await Promise.all(files.map((file) => store.stat(moduleKey(module, version(of), file))));
    return files.filter((_, index) => stats[index] !== undefined);
  })
  .extend('redis', async ({}, { onCleanup }) => {
    const redis = await startRedis();
    onCleanup(() => redis.close());
    return redis;
  });

describe('a withdrawn version', () => {
  test('loses its files and its line in the static list, and other versions stay', async ({
    lib: { module },
    store,
    publish,
    withdraw,
    filesOf,
  }) => {
    await publish('v1.0.0');
    await publish('v1.1.0');
    expect(await withdraw()).toMatchObject({
      before: undefined,
      hadFiles: true,
      withdrawal: { module, version: BAD, reason: REASON },
    });
    expect(await filesOf('v1.1.0')).toEqual([]);
    expect(await filesOf('v1.0.0')).toEqual(['info', 'mod', 'zip']);
    expect((await store.get(listKey(module)))?.toString()).toBe('v1.0.0\n');
    expect(await withdrawnVersions(store, module)).toEqual(new Set(['v1.1.0']));
    const marker = JSON.parse(String(await store.get(withdrawalKey(module, BAD)))) as { withdrawnAt: string };
    expect(marker).toEqual({ module, version: 'v1.1.0', reason: REASON, withdrawnAt: expect.any(String) });
    expect(Math.abs(Date.now() - Date.parse(marker.withdrawnAt))).toBeLessThan(60_000);
  });

  test('keeps its outcome, and publishing its tag again costs no archive and does not restore it', async ({
    gitlab,
    lib: { project },
    publish,
    withdraw,
    filesOf,
  }) => {
    const first = await publish('v1.1.0');
    await withdraw();
    gitlab.clearRequests();
    expect(await publish('v1.1.0')).toEqual({ ...first, known: true });
    expect(archiveRequests(gitlab, project)).toEqual([]);
    expect(await filesOf('v1.1.0')).toEqual([]);
  });

  test.for(['refuse', 'replace'] as const)(
    'is refused when its tag is moved, with RETAG=%s',
    async (retag, { gitlab, lib: { project, tree, module }, publish, withdraw, filesOf }) => {
      await publish('v1.1.0');
      await withdraw();
      gitlab.clearRequests();
      await tree.write({ 'config.go': 'package lib // clean\n' }).commit('Third');
      await tree.tag('v1.1.0', { force: true });
      await tree.push('+main', '+refs/tags/v1.1.0');
      expect(await publish('v1.1.0', { retag })).toMatchObject({
        known: false,
        outcome: { status: 'refused', reason: expect.stringMatching(refusal(module)) },
      });
      expect(archiveRequests(gitlab, project)).toEqual([]);
      expect(await filesOf('v1.1.0')).toEqual([]);
    },
  );

  test('is never published if it was not published before', async ({
    gitlab,
    lib: { project, module },
    store,
    publish,
    withdraw,
  }) => {
    expect(await withdraw()).toMatchObject({ hadFiles: false, before: undefined });
    expect(await store.stat(listKey(module))).toBeUndefined();
    expect(await publish('v1.1.0')).toMatchObject({
      outcome: { status: 'refused', reason: expect.stringMatching(refusal(module)) },
    });
    expect(archiveRequests(gitlab, project)).toEqual([]);
    expect(await publish('v1.0.0')).toMatchObject({ outcome: { status: 'published' } });
  });

  test.for(['published', 'not published'] as const)(
    'that was %s before is not published under the path to which its project moves',
    async (state, { gitlab, lib: { project }, store, createPublishing, publish, withdraw, filesOf }) => {
      if (state === 'published') await publish('v1.1.0');
      await withdraw();
      if (state === 'not published') await publish('v1.1.0');
      await publish('v1.0.0');
      await sweepOnce(gitlab, store, [project.path]);
      await gitlab.moveProject(project, project.path.replace('Lib', 'Moved'));
      const { publisher } = await createPublishing({ store });
      for (const job of (await sweepOnce(gitlab, store, [project.path])).jobs) await publisher.publish(job);
      expect([await filesOf('v1.0.0'), await filesOf('v1.1.0')]).toEqual([['info', 'mod', 'zip'], []]);
    },
  );

  test('stays withdrawn although its marker is damaged', async ({ lib: { module }, store, publish, withdraw }) => {
    await store.put(withdrawalKey(module, BAD), Buffer.from('{"reason'));
    expect(await publish('v1.1.0')).toMatchObject({
      outcome: { status: 'refused', reason: expect.stringContaining(`${module}@v1.1.0 was withdrawn: withdrawn/`) },
    });
    await withdraw();
    expect((await readWithdrawal(store, module, BAD))?.reason).toBe(REASON);
  });
});

describe('withdrawing a version again', () => {
  test('changes nothing but the reason', async ({ lib: { module }, store, publish, withdraw }) => {
    await publish('v1.1.0');
    const { withdrawal } = await withdraw();
    const marker = await store.stat(withdrawalKey(module, BAD));
    expect(await withdraw()).toEqual({ withdrawal, before: withdrawal, hadFiles: false });
    expect(await store.stat(withdrawalKey(module, BAD))).toEqual(marker);
    await withdraw(store, 'another');
    expect(await readWithdrawal(store, module, BAD)).toEqual({ ...withdrawal, reason: 'another' });
  });

  test.for(['info', 'mod', 'zip', 'list'] as const)(
    'completes a withdrawal that was interrupted at %s',
    async (at, { lib: { module }, store, publish, withdraw, filesOf }) => {
      await publish('v1.0.0');
      await publish('v1.1.0');
      const cutAt = at === 'list' ? listKey(module) : moduleKey(module, BAD, at);
      const cut = async (key: string): Promise<void> => {
        if (key === cutAt) throw new Error('cut off');
      };
      const failing = withStore(store, {
        delete: async (key) => (await cut(key), await store.delete(key)),
        put: async (key, body) => (await cut(key), await store.put(key, body)),
      });
      await expect(withdraw(failing)).rejects.toThrow('cut off');
      expect(await readWithdrawal(store, module, BAD)).toBeDefined();
      await withdraw();
      expect(await filesOf('v1.1.0')).toEqual([]);
      expect((await store.get(listKey(module)))?.toString()).toBe('v1.0.0\n');
    },
  );
});

describe('without a shared lock, a publish in progress does not restore a version', () => {
  const writes = (['zip', 'mod', 'info', 'list'] as const).flatMap((file) => [
    ['before', file] as const,
    ['after', file] as const,
  ]);
  test.for(writes)(
    'that was withdrawn %s the publish wrote %s',
    async ([when, file], { lib: { module }, store, publish, withdraw, filesOf }) => {
      const key = file === 'list' ? listKey(module) : moduleKey(module, BAD, file);
      let withdrawn: WithdrawResult | undefined;
      const racing = withStore(store, {
        put: async (written, body) => {
          if (written === key && when === 'before') withdrawn ??= await withdraw();
          await store.put(written, body);
          if (written === key && when === 'after') withdrawn ??= await withdraw();
        },
      });
      expect(await publish('v1.1.0', { store: racing, lock: memoryLock() })).toMatchObject({
        outcome: { status: 'refused', reason: expect.stringMatching(refusal(module)) },
      });
      expect(withdrawn).toBeDefined();
      expect(await filesOf('v1.1.0')).toEqual([]);
      expect(String((await store.get(listKey(module))) ?? '')).toBe('');
    },
  );

  test('and the next publish deletes the files of a publish that died before its last check', async ({
    lib: { module },
    store,
    publish,
    withdraw,
    filesOf,
  }) => {
    const dying = withStore(store, {
      put: async (key, body) => {
        if (key === listKey(module)) throw new Error('died');
        if (key === moduleKey(module, BAD, 'zip')) await withdraw();
        await store.put(key, body);
      },
    });
    await expect(publish('v1.1.0', { store: dying })).rejects.toThrow('died');
    expect(await filesOf('v1.1.0')).toEqual(['info', 'mod', 'zip']);
    expect(await publish('v1.1.0')).toMatchObject({ outcome: { status: 'refused' } });
    expect(await filesOf('v1.1.0')).toEqual([]);
  });
});

test('with the lock in Redis, the files are deleted at once, and the withdrawal waits for a running publish', async ({
  lib: { module },
  store,
  publish,
  filesOf,
  redis,
}) => {
  const location = locationIn(redis.url, `test-${randomUUID()}`);
  const clients = [connectTo(location), connectTo(location)] as const;
  const [publishing, withdrawing] = clients.map((client) => redisLock(client, pino({ level: 'silent' })));
  try {
    await publish('v1.1.0');
    let done = false;
    let running: Promise<unknown> | undefined;
    await publishing?.(`${module}@v1.1.0`, async () => {
      running = withdrawVersion({ store, lock: withdrawing }, module, BAD, REASON).then(() => (done = true));
      await expect.poll(() => filesOf('v1.1.0')).toEqual([]);
      // A publish that does not check the marker would write this.
      await store.put(moduleKey(module, BAD, 'info'), Buffer.from('{}'));
      expect(done).toBe(false);
    });
    await running;
    expect(await filesOf('v1.1.0')).toEqual([]);
  } finally {
    for (const client of clients) client.close();
    await removeKeys(location);
  }
});

/** The reason in the outcome of the withdrawn version. */
function refusal(module: ModulePath): RegExp {
  return new RegExp(`^${module}@v1\\.1\\.0 was withdrawn on \\d{4}-\\d\\d-\\d\\d: ${REASON}$`);
}
