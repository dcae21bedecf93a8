import { createHash, generateKeyPairSync } from 'node:crypto';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, expect } from 'vitest';
import { startGo } from '../proxy/go.ts';
import { listen } from '../services/http-stub.ts';
import { test as base } from './fixtures.ts';
import { addHook, library, PREFIX, pushTags } from './office.ts';
import { watchVersion } from './version-watch.ts';

const VANITY = 'go.corp.example';
const MODULE = `${PREFIX}/group/secret`;
const SUMDB = 'sum.example';

/** Every route, with and without the escapes of the protocol and of HTTP. None of these modules is published. */
const PATHS = [PREFIX, VANITY, PREFIX.replace('e', '%65')].flatMap((prefix) => [
  `/${prefix}/@v/list`,
  `/${prefix}/@latest`,
  `/${prefix}/group/hidden/@v/list`,
  `/${prefix}/group/hidden/@latest`,
  `/${prefix}/group/hidden/v2/@v/list`,
  `/${prefix}/group/hidden/@v/v1.0.0.info`,
  `/${prefix}/group/hidden/@v/v1.0.0.mod`,
  `/${prefix}/group/hidden/@v/v1.0.0.zip`,
  `/${prefix}/group/hidden/@v/v0.0.0-20240101000000-0123456789ab.info`,
  `/${prefix}/group/hidden/@v/main.info`,
  `/${prefix}/group/hidden/@v/v1.0.0%2Bincompatible.info`,
  `/${prefix}/group/!hidden/@v/list`,
  `/${prefix}/group/%21hidden/@v/list`,
  `/${prefix}/group%2Fhidden/@v/list`,
  `//${prefix}/group/hidden/@v/list`,
  `/./${prefix}/group/hidden/@v/list`,
  `/other.example/../${prefix}/group/hidden/@v/list`,
  `/other.example/%2e%2e/${prefix}/group/hidden/@v/list`,
  `/sumdb/${SUMDB}/lookup/${prefix}/group/hidden@v1.0.0`,
  `/sumdb/${SUMDB}/lookup/${prefix}/group/!hidden@v1.0.0`,
  `/sumdb/${SUMDB}/lookup/${prefix}@v1.0.0`,
]);

for (const [mode, scope] of [
  ['cache', ''],
  ['redirect', ''],
  ['cache', 'group,platform'],
  ['redirect', 'group,platform'],
] as const) {
  const isPrivate = (path: string): boolean => isPrivatePath(path, scope);
  const test = base
    /** A source of modules that returns 200 to every request, and the paths that were requested. */
    .extend('upstream', { scope: 'file' }, async ({}, { onCleanup }) => {
      const requested: string[] = [];
      const server = await listen((incoming, response) => {
        requested.push(decodeURIComponent(incoming.url ?? ''));
        response.end('v9.9.9\n');
      });
      onCleanup(() => server.close());
      return { url: server.url, requested };
    })
    .override('settings', ({ upstream }) => ({
      MODULE_MAP: `${VANITY}=platform/go`,
      UPSTREAM: upstream.url,
      UPSTREAM_MODE: mode,
      GITLAB_SCOPE: scope,
    }));

  describe(`private modules stay private when the upstream claims to have every module (${mode}, scope ${scope || 'none'})`, () => {
    test('no route requests a private module from the upstream or redirects a client to it', async ({
      service,
      upstream,
    }) => {
      for (const path of PATHS) {
        const { status, location, body } = await get(service.url, path);
        expect([400, 403, 404], `${path} answered ${status}`).toContain(status);
        expect(location).toBeUndefined();
        expect(body).not.toContain('v9.9.9');
      }
      expect(upstream.requested.filter(isPrivate)).toEqual([]);

      // For other modules, the same routes use the upstream.
      const list = await get(service.url, '/other.example/module/@v/list');
      expect(mode === 'cache' ? list.body : list.location).toMatch(
        mode === 'cache' ? 'v9.9.9' : `${upstream.url}/other.example/module/@v/list`,
      );
      // With a scope, only its own paths are private. Without one, the whole host is.
      const outside = await get(service.url, `/${PREFIX}/elsewhere/lib/@v/list`);
      expect(outside.status).toBe(scope === '' ? 404 : mode === 'cache' ? 200 : 302);
      // A path that only begins with the same text as a private prefix is not private.
      const lookalike = await get(service.url, `/${PREFIX}.org/x/@v/list`);
      expect(lookalike.status).toBe(mode === 'cache' ? 200 : 302);
    });

    test('the go command gets only published versions, even without GONOSUMDB', async ({
      office,
      service,
      upstream,
    }) => {
      const project = await office.gitlab.createProject('group/secret');
      await addHook(office.gitlab, '/groups/group', service.url, { token: '/the secret of the hook/' });
      await using watch = watchVersion(service.url, MODULE, 'v1.0.0');
      await pushTags(project, library(MODULE, 'secret'), 'v1.0.0');
      await watch.published;

      upstream.requested.length = 0;
      await using go = await startGo(service.url, { GONOSUMDB: '', GOSUMDB: verifierKey(SUMDB) });
      const published = await go.run('get', `${MODULE}@v1.0.0`);
      // The go command requested the checksum database, and modpress refused that for private modules.
      expect(published).toMatchObject({
        ok: false,
        stderr: expect.stringMatching(/is private[^]*go env -w GONOSUMDB=/),
      });
      expect(upstream.requested.filter((path) => !isPrivate(path))).toContain(`/sumdb/${SUMDB}/supported`);
      for (const query of [`${MODULE}@v1.9.9`, `${PREFIX}/group/other@latest`, `${VANITY}/secret/package@v9.9.9`]) {
        expect(await go.run('get', query)).toMatchObject({ ok: false });
      }
      expect(upstream.requested.filter(isPrivate)).toEqual([]);
    }, 60_000);
  });
}

/** A public key in the form that GOSUMDB expects, of a database that does not exist. */
function verifierKey(name: string): string {
  const { publicKey } = generateKeyPairSync('ed25519');
  // 1 stands for Ed25519; the last 32 bytes of the DER are the key.
  const key = Buffer.concat([Buffer.of(1), publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)]);
  const hash = createHash('sha256').update(`${name}\n`).update(key).digest().subarray(0, 4);
  return `${name}+${hash.toString('hex')}+${key.toString('base64')}`;
}

function isPrivatePath(path: string, scope: string): boolean {
  const roots = scope === '' ? [PREFIX] : scope.split(',').map((group) => `${PREFIX}/${group}`);
  const isBelow = roots.some((root) => path.includes(`${root}/`) || path.includes(`${root}@`));
  return isBelow || path.includes(`${PREFIX}@`) || path.includes(`${PREFIX}/@`) || path.includes(VANITY);
}

/** Sends a request with an unchanged path: fetch would normalise it. */
async function get(url: string, path: string): Promise<{ status: number; location: string | undefined; body: string }> {
  return await new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    request({ hostname, port, path, agent: false }, (response) => {
      text(response).then(
        (body) => resolve({ status: response.statusCode ?? 0, location: response.headers.location, body }),
        reject,
      );
    })
      .once('error', reject)
      .end();
  });
}
