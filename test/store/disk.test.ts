import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { DiskStore } from '../../src/store/disk.ts';
import { openStore } from '../../src/store/open-store.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { describeStore, keys, pieces } from './contract.ts';

describeStore('DiskStore', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'modpress-disk-'));
  const folder = join(parent, 'data');
  return {
    store: await DiskStore.open(folder),
    takeDown: async () => {
      // A volume that is not mounted looks like this: the mount point exists, and is empty.
      await rename(folder, `${folder}-away`);
      await mkdir(folder);
    },
    bringBack: async () => {
      await rm(folder, { recursive: true });
      await rename(`${folder}-away`, folder);
    },
    close: async () => {
      const left = await readdir(join(folder, '.tmp'));
      await rm(parent, { recursive: true });
      if (left.length > 0) throw new Error(`partial files were left behind: ${left.join(' ')}`);
    },
  };
});

describe('DiskStore', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'modpress-disk-'));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it('does not read an object of more than 64 MiB into memory', async () => {
    const store = await DiskStore.open(folder);
    await store.put('x', Buffer.from('x'));
    await truncate(join(folder, 'x'), 64 * 2 ** 20 + 1);
    const read = (): Promise<unknown> => store.get('x').then((bytes) => bytes?.length);
    await expect(read()).rejects.toThrow(StoreUnavailable);
    await expect(read()).rejects.toThrow(/"x" in the store in .* has 67108865 bytes, more than 67108864/);
    expect((await store.stat('x'))?.size).toBe(64 * 2 ** 20 + 1);
  });

  it('fails the body of an object that becomes shorter during a read', async () => {
    const store = await DiskStore.open(folder);
    await store.put('x', Buffer.alloc(2 ** 20));
    const opened = await store.open('x');
    await truncate(join(folder, 'x'), 300_000);
    const read = buffer(opened?.body ?? Readable.from([])).then(({ length }) => length);
    await expect(read).rejects.toThrow(StoreUnavailable);
  });

  it('creates its folder, and the parents of its folder', async () => {
    const store = await openStore({ kind: 'disk', folder: join(folder, 'a', 'b') }, new HttpClient());
    await store.put('modules/x/@v/list', Buffer.from('v1.0.0\n'));
    expect(await readFile(join(folder, 'a', 'b', 'modules', 'x', '@v', 'list'), 'utf8')).toBe('v1.0.0\n');
  });

  it('contains nothing of a put whose process was killed, and removes its partial file after an hour', async () => {
    const script = fileURLToPath(new URL('interrupted-put.ts', import.meta.url));
    const child = spawn(process.execPath, ['--import', 'tsx', script, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const gone = once(child, 'exit');
    await once(child.stdout, 'data');
    const during = await readdir(join(folder, '.tmp'));
    expect(during).toHaveLength(1);
    const partial = join(folder, '.tmp', during[0] ?? '');
    await vi.waitFor(async () => expect((await stat(partial)).size).toBe(1024 * 1024));
    child.kill('SIGKILL');
    await gone;

    const store = await DiskStore.open(folder);
    expect(await store.get('crash/x')).toBeUndefined();
    expect(await keys(store.list(''))).toEqual([]);
    expect(await readdir(folder)).toEqual(['.tmp']);
    // Another process may still write the file, so only an old file is removed.
    expect(await readdir(join(folder, '.tmp'))).toEqual(during);

    const longAgo = new Date(Date.now() - 61 * 60 * 1000);
    await utimes(partial, longAgo, longAgo);
    await DiskStore.open(folder);
    expect(await readdir(join(folder, '.tmp'))).toEqual([]);
  });

  it('names the folder that it cannot write, and the user that needs access', async () => {
    const store = await DiskStore.open(folder);
    await store.put('modules/x', Buffer.from('x'));
    await asOrdinaryUser(folder, async () => {
      await chmod(join(folder, 'modules'), 0o500);
      await chmod(join(folder, '.tmp'), 0o500);
      await chmod(folder, 0o500);
      const stream = pieces(1000);
      for (const attempt of [
        () => store.put('modules/y', { stream }),
        () => store.check(),
        () => DiskStore.open(join(folder, 'sub')),
        () => store.delete('modules/x'),
      ]) {
        await expect(attempt()).rejects.toThrow(StoreUnavailable);
        await expect(attempt()).rejects.toThrow(folder);
        await expect(attempt()).rejects.toThrow(/give the user of this process \(uid \d+\) read and write access/);
      }
      expect(stream.destroyed).toBe(true);
      expect((await store.get('modules/x'))?.toString()).toBe('x');

      await chmod(join(folder, 'modules'), 0);
      await expect(store.get('modules/x')).rejects.toThrow(StoreUnavailable);
      await expect(keys(store.list('modules/'))).rejects.toThrow(StoreUnavailable);
      await chmod(join(folder, 'modules'), 0o700);
    });
  });

  it('reports the key, not the disk, as the problem if an object has the name of a directory', async () => {
    const store = await DiskStore.open(folder);
    await store.put('a/b', Buffer.from('x'));
    for (const key of ['a', 'a/b/c', 'a/b/c/d']) {
      const failure: unknown = await store.put(key, Buffer.from('y')).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(Error);
      expect(failure).not.toBeInstanceOf(StoreUnavailable);
      expect(String(failure)).toContain(JSON.stringify(key));
    }
    expect(await readdir(join(folder, '.tmp'))).toEqual([]);
    expect(await keys(store.list(''))).toEqual(['a/b']);
  });

  it('lists only objects, without partial files, links and invalid keys', async () => {
    const store = await DiskStore.open(folder);
    await store.put('a/x', Buffer.from('x'));
    await writeFile(join(folder, '.tmp', 'partial'), 'x');
    await writeFile(join(folder, 'a', 'back\\slash'), 'x');
    await symlink(folder, join(folder, 'a', 'loop'));
    expect(await keys(store.list(''))).toEqual(['a/x']);
    expect(await keys(store.list('.t'))).toEqual([]);
  });

  it('does not read the directories that `after` omits', async () => {
    const store = await DiskStore.open(folder);
    for (const key of ['a/x', 'b/x', 'b/y', 'c/x']) await store.put(key, Buffer.from('x'));
    await asOrdinaryUser(folder, async () => {
      // Reading this directory would fail.
      await chmod(join(folder, 'a'), 0);
      await expect(keys(store.list(''))).rejects.toThrow(StoreUnavailable);
      expect(await keys(store.list('', { after: 'b/x' }))).toEqual(['b/y', 'c/x']);
      expect(await keys(store.list('b'))).toEqual(['b/x', 'b/y']);
      await chmod(join(folder, 'a'), 0o700);
    });
  });

  it('leaves no file open after a body was destroyed or a range was refused', async () => {
    const store = await DiskStore.open(folder);
    await store.put('x', Buffer.alloc(1024 * 1024));
    await store.put('d/x', Buffer.alloc(1));
    const before = (await readdir('/dev/fd')).length;
    for (let index = 0; index < 50; index += 1) {
      (await store.open('x'))?.body.destroy();
      await expect(store.open('x', { first: 0, last: 1024 * 1024 })).rejects.toThrow(RangeError);
      await store.open('d');
    }
    await vi.waitFor(async () => expect((await readdir('/dev/fd')).length).toBeLessThan(before + 10));
  });
});

/** Runs `act` as a user that owns the folder. Unlike root, this user needs permissions. */
async function asOrdinaryUser(folder: string, act: () => Promise<void>): Promise<void> {
  if (process.geteuid?.() !== 0 || process.seteuid === undefined) {
    await act();
    return;
  }
  const nobody = 65_534;
  for (const name of ['', ...(await readdir(folder, { recursive: true }))])
    await chown(join(folder, name), nobody, nobody);
  process.seteuid(nobody);
  try {
    await act();
  } finally {
    process.seteuid(0);
  }
}
