import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Core } from '../../src/app/core.ts';
import { withCore } from '../../src/app/with-core.ts';
import { ConfigError } from '../../src/config/reader.ts';
import { NO_FORWARD_PROXIES } from '../../src/http-client/forward-proxy.ts';
import { DiskStore } from '../../src/store/disk.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modpress-core-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('a core creates each part once, at its first use', async () => {
  const core = new Core(settingsInFolder());
  await expect(access(join(folder, 'store'))).rejects.toThrow('ENOENT');
  const [store, again] = await Promise.all([core.store(), core.store()]);
  await access(join(folder, 'store'));
  expect(again).toBe(store);
  expect(core.gitlab()).toBe(core.gitlab());
  expect((await core.writerParts()).blobs).toBe((await core.writerParts()).blobs);
  await core.close();
});

test('a core passes an override to the parts that depend on it', async () => {
  const store = await DiskStore.open(join(folder, 'other'));
  const core = new Core(settingsInFolder(), {}, { store: Promise.resolve(store), temporaryRoot: folder });
  const publisher = await core.publisher();
  expect(publisher).toBe(await core.publisher());
  expect(await core.writerParts()).toMatchObject({ store, temporaryRoot: folder });
  await core.close();
  await expect(access(join(folder, 'store'))).rejects.toThrow('ENOENT');
});

test('a core does not compile if its settings lack a value that a part needs', () => {
  const core = new Core({ redisLocation: undefined });
  // @ts-expect-error: GITLAB_URL, GITLAB_TOKEN and GITLAB_RATE are missing.
  const createClient = (): unknown => core.gitlab();
  expect(createClient).toBeTypeOf('function');
});

test('a core closes its parts in reverse order, and continues after a failure', async () => {
  const core = new Core({});
  const closed: string[] = [];
  core.onClose(() => void closed.push('first'));
  core.onClose(() => {
    closed.push('second');
    throw new Error('the second cannot be closed');
  });
  core.onClose(async () => void closed.push('third'));
  await expect(core.close()).rejects.toThrow('the second cannot be closed');
  expect(closed).toEqual(['third', 'second', 'first']);
  await core.close();
  expect(closed).toHaveLength(3);
});

test('withCore closes the parts if the command fails', async () => {
  let isClosed = false;
  const failing = withCore(settingsInFolder(), async (core) => {
    core.onClose(() => void (isClosed = true));
    throw new Error('the command fails');
  });
  await expect(failing).rejects.toThrow('the command fails');
  expect(isClosed).toBe(true);
});

test('a core opens an existing store, and creates no store for a mistyped folder', async () => {
  const settings = settingsInFolder();
  await expect(new Core(settings).existingStore()).rejects.toThrow(ConfigError);
  await expect(access(join(folder, 'store'))).rejects.toThrow('ENOENT');
  await withCore(settings, (core) => core.store());
  await withCore(settings, (core) => core.existingStore());
});

function settingsInFolder() {
  return {
    store: { kind: 'disk', folder: join(folder, 'store') } as const,
    forwardProxies: NO_FORWARD_PROXIES,
    trust: () => createSecureContext(),
    redisLocation: undefined,
    gitlabUrl: 'http://127.0.0.1:9',
    gitlabToken: 'glpat-of-a-test',
    gitlabRate: 1000,
    gitlabScope: [],
    modulePrefix: 'gitlab.example',
    moduleMap: [],
    retag: 'refuse',
  } as const;
}
