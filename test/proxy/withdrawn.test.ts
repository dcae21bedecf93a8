import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { OnDemandAnswer } from '../../src/requests/on-demand-request.ts';
import { Gone } from '../../src/proxy/module-source.ts';
import { OnDemandModules } from '../../src/proxy/on-demand-modules.ts';
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
  /^gone: gitlab\.example\/team\/Hello@v1\.1\.0 was withdrawn on \d{4}-\d\d-\d\d: a token was in it\nUse another version\.\n$/;

let proxy: TestProxy;
/** Every key that the proxy has asked for. */
let asked: string[];
/** Whether the store answers. */
let down: boolean;

beforeEach(async () => {
  asked = [];
  down = false;
  const noting = async <T>(key: string, look: () => Promise<T>): Promise<T> => {
    asked.push(key);
    if (down) throw new StoreUnavailable('down');
    return await look();
  };
  const wrap = (store: Store): Store =>
    withStore(store, {
      get: (key) => noting(key, () => store.get(key)),
      stat: (key) => noting(key, () => store.stat(key)),
    });
  proxy = await startProxy({ wrap, freshMs: 0 });
  for (const each of ['v1.0.0', 'v1.1.0']) await publish(proxy.store, MODULE, each);
});
afterEach(() => proxy[Symbol.asyncDispose]());

describe('a withdrawn version', () => {
  test('is 410 with the reason and what to do, for each of its files, also where it was served a moment ago', async () => {
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

  test('is no longer in the list, and not the latest', async () => {
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

  test('costs those that are published no look at a marker', async () => {
    await withdraw();
    for (const path of ['@v/list', '@latest', ...FILES.map((file) => `@v/v1.0.0.${file}`)])
      expect((await ask(path)).status).toBe(200);
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.filter((key) => key.startsWith('withdrawn/'))).toEqual([]);
  });

  test('is 503 while the store is down, and not from memory once its end was seen', async () => {
    for (const file of FILES) await ask(`@v/v1.1.0.${file}`);
    await withdraw();
    for (const file of FILES) await ask(`@v/v1.1.0.${file}`);
    down = true;
    for (const file of FILES) expect((await ask(`@v/v1.1.0.${file}`)).status, file).toBe(503);
  });

  test('fails the go command with the reason', async () => {
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

describe('on demand, with an answer of the worker from before', () => {
  /** What the worker has answered last, which is given until it is forgotten. */
  const before: OnDemandAnswer = {
    kind: 'list',
    versions: [version('v0.9.0'), version('v1.0.0'), BAD],
    complete: true,
  };

  test('the list has what is tagged, without what was withdrawn', async () => {
    expect(await onDemandList()).toBe('v0.9.0\nv1.0.0\nv1.1.0\n');
    await withdraw();
    expect(await onDemandList()).toBe('v0.9.0\nv1.0.0\n');
  });

  test('nor does it come back when nothing else is published', async () => {
    await proxy.store.delete(moduleKey(MODULE, version('v1.0.0'), 'info'));
    await withdraw();
    expect(await onDemandList()).toBe('v0.9.0\nv1.0.0\n');
  });

  test('its files are not asked for', async () => {
    await withdraw();
    for (const file of FILES) {
      await expect(
        onDemand(() => expect.unreachable()).answer({ kind: 'file', module: MODULE, version: BAD, file }),
      ).rejects.toThrow(Gone);
    }
  });

  test('an outage of the store leaves the list that is known', async () => {
    const answer = await onDemand(
      async () => before,
      () => Promise.reject(new StoreUnavailable('down')),
    ).answer({ kind: 'list', module: MODULE });
    expect(answer).toMatchObject({ body: Buffer.from('v1.0.0\nv1.1.0\n') });
  });

  async function onDemandList(): Promise<string> {
    const answer = await onDemand(async () => before).answer({ kind: 'list', module: MODULE });
    return answer.kind === 'bytes' ? answer.body.toString() : answer.kind;
  }
});

function onDemand(
  answerOf: () => Promise<OnDemandAnswer>,
  withdrawnOf = () => withdrawnVersions(proxy.store, MODULE),
): OnDemandModules {
  return new OnDemandModules({
    published: new PrivateModules({ store: proxy.store }),
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
