import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Cache, createCache } from '../../src/store/cache.ts';
import { DiskStore } from '../../src/store/disk.ts';
import { keys, pieces } from './contract.ts';

describe('Cache', () => {
  let folder: string;
  let store: DiskStore;
  let cache: Cache;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'modpress-cache-'));
    store = await DiskStore.open(folder);
    cache = createCache(store, 'upstream/');
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it('returns an object under the key of the put', async () => {
    await cache.put('golang.org/x/text/@v/v0.3.0.info', Buffer.from('{}'));
    expect((await cache.get('golang.org/x/text/@v/v0.3.0.info'))?.toString()).toBe('{}');
    expect(await cache.stat('golang.org/x/text/@v/v0.3.0.info')).toMatchObject({
      key: 'golang.org/x/text/@v/v0.3.0.info',
      size: 2,
    });
    const opened = await cache.open('golang.org/x/text/@v/v0.3.0.info', { first: 1, last: 1 });
    expect(opened?.key).toBe('golang.org/x/text/@v/v0.3.0.info');
    expect(opened && (await text(opened.body))).toBe('}');
    expect(await cache.get('missing')).toBeUndefined();
    expect(await cache.stat('missing')).toBeUndefined();
    expect(await cache.open('missing')).toBeUndefined();
  });

  it('writes and reads only below its prefix', async () => {
    await store.put('modules/x', Buffer.from('private'));
    await store.put('sumdb/x', Buffer.from('other cache'));
    expect(await cache.get('modules/x')).toBeUndefined();
    expect(await cache.get('x')).toBeUndefined();
    await cache.put('modules/x', Buffer.from('public'));
    expect(await keys(store.list(''))).toEqual(['modules/x', 'sumdb/x', 'upstream/modules/x']);
    expect((await store.get('modules/x'))?.toString()).toBe('private');
  });

  it.each(['../modules/x', 'a/../../modules/x', '..', '/modules/x', '', 'a//b', './x', 'a\\..\\x', 'a\0'])(
    'rejects the key %j without a call of the store',
    async (key) => {
      const calls = (['get', 'stat', 'open', 'put'] as const).map((method) => vi.spyOn(store, method));
      await expect(cache.get(key)).rejects.toThrow(TypeError);
      await expect(cache.stat(key)).rejects.toThrow(TypeError);
      await expect(cache.open(key)).rejects.toThrow(TypeError);
      await expect(cache.put(key, Buffer.from('x'))).rejects.toThrow(TypeError);
      const stream = pieces(10);
      await expect(cache.put(key, { stream })).rejects.toThrow(TypeError);
      expect(stream.destroyed).toBe(true);
      for (const call of calls) expect(call).not.toHaveBeenCalled();
    },
  );
});
