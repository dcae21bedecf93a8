import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { moduleKey, versionsPrefix } from '../../src/store/layout.ts';
import { startGo, type Go } from './go.ts';
import { modulePath, publish, version } from './modules.ts';
import { get, startProxy, type TestProxy } from './server.ts';
import { startStub, type Stub } from '../services/http-stub.ts';

const MODULE = 'gitlab.example/team/hello';

describe('private modules', () => {
  let upstream: Stub;
  let proxy: TestProxy;
  beforeEach(async () => {
    upstream = await startStub();
    proxy = await startProxy({ upstream: upstream.url });
  });
  afterEach(async () => {
    await proxy[Symbol.asyncDispose]();
    await upstream.close();
  });

  const url = (path: string): string => `${proxy.url}/${path}`;

  test('are listed in order, without pseudo-versions, whatever the static list contains', async () => {
    for (const each of ['v1.10.0', 'v1.9.0', 'v1.10.0-rc.1', 'v0.0.0-20240203040506-0123456789ab'])
      await publish(proxy.store, MODULE, each);
    await proxy.store.put(`${versionsPrefix(modulePath(MODULE))}list`, Buffer.from('v9.9.9\n'));
    const { status, text, headers } = await get(url(`${MODULE}/@v/list`));
    expect([status, text]).toEqual([200, 'v1.9.0\nv1.10.0-rc.1\nv1.10.0\n']);
    expect(headers.get('content-type')).toBe('text/plain; charset=utf-8');
    // A cache between the service and its clients must not hide a new tag.
    expect(headers.get('cache-control')).toBe('private, no-cache');
  });

  test('include a new version at once', async () => {
    await publish(proxy.store, MODULE, 'v1.0.0');
    expect((await get(url(`${MODULE}/@v/list`))).text).toBe('v1.0.0\n');
    expect((await get(url(`${MODULE}/@v/v1.1.0.info`))).status).toBe(404);
    await publish(proxy.store, MODULE, 'v1.1.0');
    expect((await get(url(`${MODULE}/@v/list`))).text).toBe('v1.0.0\nv1.1.0\n');
    expect((await get(url(`${MODULE}/@v/v1.1.0.info`))).status).toBe(200);
    expect(JSON.parse((await get(url(`${MODULE}/@latest`))).text)).toHaveProperty('Version', 'v1.1.0');
  });

  test('are listed completely, even if there are more than a thousand versions', async () => {
    const versions = Array.from({ length: 1200 }, (_, minor) => `v1.${minor}.0`);
    const path = modulePath(MODULE);
    for (const each of versions) await proxy.store.put(moduleKey(path, version(each), 'info'), Buffer.from('{}'));
    expect((await get(url(`${MODULE}/@v/list`))).text).toBe(versions.map((each) => `${each}\n`).join(''));
  }, 60_000);

  test.each(['@v/list', '@latest', '@v/v1.0.0.info', '@v/v1.0.0.mod', '@v/v1.0.0.zip', '@v/main.info'])(
    'are 404 if they are not published: %s',
    async (operation) => {
      for (const path of [MODULE, 'gitlab.example/team', 'gitlab.example']) {
        const { status, text, headers } = await get(url(`${path}/${operation}`));
        expect(status).toBe(404);
        expect(text).toMatch(new RegExp(`^not found: ${path}(@[^ ]+)? is not published here\n`));
        expect(headers.get('content-type')).toBe('text/plain; charset=utf-8');
        expect(headers.get('cache-control')).toBe('private, no-cache');
      }
      expect(upstream.asked).toEqual([]);
    },
  );

  test('exist only once their .info exists', async () => {
    const files = await publish(proxy.store, MODULE, 'v1.0.0');
    const info = moduleKey(modulePath(MODULE), version('v1.0.0'), 'info');
    await proxy.store.delete(info);
    const statuses = async (): Promise<number[]> =>
      await Promise.all(
        ['list', 'v1.0.0.info', 'v1.0.0.mod', 'v1.0.0.zip'].map(
          async (file) => (await get(url(`${MODULE}/@v/${file}`))).status,
        ),
      );
    expect(await statuses()).toEqual([404, 404, 404, 404]);
    await proxy.store.put(info, files.info);
    expect(await statuses()).toEqual([200, 200, 200, 200]);
  });

  test('are served unchanged, with the headers of immutable files', async () => {
    const files = await publish(proxy.store, MODULE, 'v1.0.0');
    for (const [file, type] of [
      ['info', 'application/json'],
      ['mod', 'text/plain; charset=utf-8'],
      ['zip', 'application/zip'],
    ] as const) {
      const { status, body, headers } = await get(url(`${MODULE}/@v/v1.0.0.${file}`));
      expect(status).toBe(200);
      expect(body.equals(files[file])).toBe(true);
      expect(headers.get('content-type')).toBe(type);
      expect(headers.get('content-length')).toBe(String(files[file].length));
      expect(headers.get('cache-control')).toBe('private, max-age=604800, immutable');
    }
  });

  describe('@latest', () => {
    test('is the highest release, even if there is a higher pre-release', async () => {
      for (const each of ['v1.9.0', 'v1.10.0', 'v2.0.0-rc.1+incompatible', 'v1.11.0-rc.1'])
        await publish(proxy.store, MODULE, each);
      expect(await latestOf(proxy)).toBe('v1.10.0');
    });

    test('is the highest pre-release if there is no release', async () => {
      for (const each of ['v1.0.0-alpha.9', 'v1.0.0-alpha.10']) await publish(proxy.store, MODULE, each);
      expect(await latestOf(proxy)).toBe('v1.0.0-alpha.10');
    });

    test('omits the versions that the highest release retracts, including itself', async () => {
      await publish(proxy.store, MODULE, 'v1.0.0');
      await publish(proxy.store, MODULE, 'v1.1.0');
      await publish(proxy.store, MODULE, 'v1.2.0', `module ${MODULE}\n\nretract [v1.1.0, v1.2.0]\n`);
      expect(await latestOf(proxy)).toBe('v1.0.0');
      expect((await get(url(`${MODULE}/@v/list`))).text).toBe('v1.0.0\nv1.1.0\nv1.2.0\n');
    });

    test('is 404 with a reason if every version is retracted', async () => {
      await publish(proxy.store, MODULE, 'v1.0.0', `module ${MODULE}\n\nretract v1.0.0\n`);
      expect(await latestOf(proxy)).toMatch(
        /^404 not found: every version of gitlab\.example\/team\/hello is retracted\n/,
      );
    });

    test('is an incompatible version only if the highest compatible version has no go.mod', async () => {
      const none = `module ${MODULE}\n`;
      await publish(proxy.store, MODULE, 'v1.0.0', none);
      await publish(proxy.store, MODULE, 'v2.0.0+incompatible', none);
      expect(await latestOf(proxy)).toBe('v2.0.0+incompatible');
      await publish(proxy.store, MODULE, 'v1.1.0');
      expect(await latestOf(proxy)).toBe('v1.1.0');
      expect((await get(url(`${MODULE}/@v/list`))).text).toBe('v1.0.0\nv1.1.0\n');
    });
  });

  describe('with the real go command', () => {
    let go: Go;
    beforeEach(async () => {
      go = await startGo(proxy.url);
    });
    afterEach(async () => await go[Symbol.asyncDispose]());

    test('are listed by go list -m -versions', async () => {
      for (const each of ['v1.0.0', 'v1.2.0', 'v1.10.0']) await publish(proxy.store, MODULE, each);
      expect(await go.run('list', '-m', '-versions', MODULE)).toMatchObject({
        stdout: `${MODULE} v1.0.0 v1.2.0 v1.10.0\n`,
      });
    });

    test('are downloaded even if the path and the version contain upper case letters', async () => {
      const path = 'gitlab.example/Team/HelloWorld';
      await publish(proxy.store, path, 'v1.0.0-RC.1');
      const { stdout } = await go.run('mod', 'download', '-json', `${path}@v1.0.0-RC.1`);
      expect(JSON.parse(stdout)).toMatchObject({
        Path: path,
        Version: 'v1.0.0-RC.1',
        Sum: expect.stringMatching(/^h1:/),
        GoModSum: expect.stringMatching(/^h1:/),
      });
      expect(proxy.observed).toEqual(['private/info 200', 'private/mod 200', 'private/zip 200']);
    });

    test('are found by go get for a package deep in a module, with requests for all prefixes of its path', async () => {
      await publish(proxy.store, 'gitlab.example/a/b/c', 'v0.3.0');
      const { ok, stderr } = await go.run('get', 'gitlab.example/a/b/c/inner@latest');
      expect([ok, stderr]).toEqual([true, expect.stringContaining('added gitlab.example/a/b/c v0.3.0')]);
      expect(proxy.observed).toContain('private/list 404');
      expect(upstream.asked).toEqual([]);
    });

    test('make go get fail with an explanation for a version that was never published', async () => {
      const { ok, stderr } = await go.run('get', 'gitlab.example/a/b/c@v1.0.0');
      expect(ok).toBe(false);
      expect(stderr).toContain('not found: gitlab.example/a/b/c@v1.0.0 is not published here');
      expect(upstream.asked).toEqual([]);
    });
  });
});

/** Returns the version of @latest, or the status and the text of the error. */
async function latestOf(proxy: TestProxy): Promise<string> {
  const { status, text } = await get(`${proxy.url}/${MODULE}/@latest`);
  return status === 200 ? (JSON.parse(text) as { Version: string }).Version : `${status} ${text}`;
}
