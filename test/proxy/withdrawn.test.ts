import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { OnDemandAnswer } from '../../src/requests/on-demand-request.ts';
import { Gone } from '../../src/proxy/module-source.ts';
import { OnDemandModules } from '../../src/proxy/on-demand-modules.ts';
import { ConcurrencyLimit } from '../../src/async/concurrency-limit.ts';
import { PrivateModules } from '../../src/proxy/private-modules.ts';
import { withdrawVersion } from '../../src/publish/withdraw.ts';
import { moduleKey } from '../../src/store/layout.ts';
import { StoreUnavailable, type Store } from '../../src/store/store.ts';
import { withdrawnVersions } from '../../src/store/withdrawal.ts';
import { startGo } from './go.ts';
import { modulePath, publish, version } from './modules.ts';
import { get, startProxy, withStore, type TestProxy } from './server.ts';

const MODULE = modulePath('gitlab.example/team/Hello');
const BAD = version('v1.1.0');
const FILES = ['info', 'mod', 'zip'] as const;
const TEXT =
  /^gone: gitlab\.example\/team\/Hello@v1\.1\.0 was withdrawn on \d{4}-\d\d-\d\d: a token was in it\nUse another version\.\nrequest id: \S+\n$/;

let proxy: TestProxy;
/** All keys that the proxy has read. */
let keysRead: string[];
/** Whether the store fails. */
let down: boolean;

beforeEach(async () => {
  keysRead = [];
  down = false;
  const recorded = async <T>(key: string, read: () => Promise<T>): Promise<T> => {
    keysRead.push(key);
    if (down) throw new StoreUnavailable('down');
    return await read();
  };
  const wrap = (store: Store): Store =>
    withStore(store, {
      get: (key) => recorded(key, () => store.get(key)),
      stat: (key) => recorded(key, () => store.stat(key)),
      open: (key, range) => recorded(key, () => store.open(key, range)),
    });
  proxy = await startProxy({ wrap, freshMs: 0 });
  for (const each of ['v1.0.0', 'v1.1.0']) await publish(proxy.store, MODULE, each);
});
afterEach(() => proxy[Symbol.asyncDispose]());

describe('a withdrawn version', () => {
  test('is 410 for each of its files, with the reason and advice, even if it was served before', async () => {
    for (const file of FILES) expect((await ask(`@v/v1.1.0.${file}`)).status).toBe(200);
    await withdraw();
    for (const file of FILES) {
      const { status, text, headers } = await ask(`@v/v1.1.0.${file}`);
      expect([status, text, headers.get('cache-control')]).toEqual([
        410,
        expect.stringMatching(TEXT),
        'private, no-cache',
      ]);
      expect((await ask(`@v/v1.0.0.${file}`)).status).toBe(200);
      expect((await ask(`@v/v1.2.0.${file}`)).status).toBe(404);
    }
  });

  test('is neither in the list nor @latest', async () => {
    expect([(await ask('@v/list')).text, JSON.parse((await ask('@latest')).text)]).toEqual([
      'v1.0.0\nv1.1.0\n',
      expect.objectContaining({ Version: 'v1.1.0' }),
    ]);
    await withdraw();
    expect([(await ask('@v/list')).text, JSON.parse((await ask('@latest')).text)]).toEqual([
      'v1.0.0\n',
      expect.objectContaining({ Version: 'v1.0.0' }),
    ]);
  });

  test('does not cause reads of its marker for published versions', async () => {
    await withdraw();
    for (const path of ['@v/list', '@latest', ...FILES.map((file) => `@v/v1.0.0.${file}`)])
      expect((await ask(path)).status).toBe(200);
    expect(keysRead.length).toBeGreaterThan(0);
    expect(keysRead.filter((key) => key.startsWith('withdrawn/'))).toEqual([]);
  });

  test('is 503 while the store is down, and is not served from memory after the proxy has seen the withdrawal', async () => {
    for (const file of FILES) await ask(`@v/v1.1.0.${file}`);
    await withdraw();
    for (const file of FILES) await ask(`@v/v1.1.0.${file}`);
    down = true;
    for (const file of FILES) expect((await ask(`@v/v1.1.0.${file}`)).status, file).toBe(503);
  });

  test('makes the go command fail with the reason', async () => {
    await withdraw();
    await using go = await startGo(proxy.url);
    const { ok, stderr } = await go.run('mod', 'download', `${MODULE}@v1.1.0`);
    expect([ok, stderr]).toEqual([
      false,
      expect.stringMatching(
        /410 Gone[^]*Hello@v1\.1\.0 was withdrawn on [\d-]+: a token was in it\n\s+Use another version\./,
      ),
    ]);
  });
});

describe('with an earlier on-demand result of the worker', () => {
  /** The last result of the worker, which is reused until it expires. */
  const earlier: OnDemandAnswer = {
    kind: 'list',
    versions: [version('v0.9.0'), version('v1.0.0'), BAD],
    complete: true,
  };

  test('the list contains the tagged versions without the withdrawn version', async () => {
    expect(await onDemandList()).toBe('v0.9.0\nv1.0.0\nv1.1.0\n');
    await withdraw();
    expect(await onDemandList()).toBe('v0.9.0\nv1.0.0\n');
  });

  test('the list omits a withdrawn version even if no version is published', async () => {
    await proxy.store.delete(moduleKey(MODULE, version('v1.0.0'), 'info'));
    await withdraw();
    expect(await onDemandList()).toBe('v0.9.0\nv1.0.0\n');
  });

  test('the files of a withdrawn version are not requested from the worker', async () => {
    await withdraw();
    for (const file of FILES) {
      await expect(
        onDemand(() => expect.unreachable()).answer({ kind: 'file', module: MODULE, version: BAD, file }),
      ).rejects.toThrow(Gone);
    }
  });

  test('the list contains the published versions during an outage of the store', async () => {
    const answer = await onDemand(
      async () => earlier,
      () => Promise.reject(new StoreUnavailable('down')),
    ).answer({ kind: 'list', module: MODULE });
    expect(answer).toMatchObject({ body: Buffer.from('v1.0.0\nv1.1.0\n') });
  });

  async function onDemandList(): Promise<string> {
    const answer = await onDemand(async () => earlier).answer({ kind: 'list', module: MODULE });
    return answer.kind === 'bytes' ? answer.body.toString() : answer.kind;
  }
});

function onDemand(
  answerOf: () => Promise<OnDemandAnswer>,
  withdrawnOf = () => withdrawnVersions(proxy.store, MODULE),
): OnDemandModules {
  return new OnDemandModules({
    published: new PrivateModules({ store: proxy.store, openZips: new ConcurrencyLimit(1, 0) }),
    requests: { request: answerOf },
    withdrawnOf,
  });
}

async function ask(path: string): ReturnType<typeof get> {
  return await get(`${proxy.url}/gitlab.example/team/!hello/${path}`);
}

async function withdraw(): Promise<void> {
  await withdrawVersion({ store: proxy.store }, MODULE, BAD, 'a token was in it');
}
