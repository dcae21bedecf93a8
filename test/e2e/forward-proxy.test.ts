import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { createCertificates, startTls } from '../services/certificates.ts';
import { startForwardProxy } from '../services/forward-proxy.ts';
import { startStub } from '../services/http-stub.ts';
import { startGo } from '../proxy/go.ts';
import { makeModule } from '../proxy/modules.ts';
import { test as base } from './fixtures.ts';
import { addHook, checksumsDirect, checksumsThrough, library, PREFIX, pushTags } from './office.ts';
import { runModpress } from './service.ts';
import { watchVersion } from './version-watch.ts';

const EXTERNAL = 'example.com/public';

/** A company network: GitLab, the upstream and S3 have names that only the forward proxy knows. */
const test = base
  .extend('certificates', { scope: 'file' }, async ({}, { onCleanup }) => {
    const certificates = await createCertificates('DNS:gitlab.corp.test,DNS:goproxy.corp.test');
    onCleanup(() => certificates[Symbol.asyncDispose]());
    return certificates;
  })
  .extend('secureGitLab', { scope: 'file' }, async ({ office, certificates }, { onCleanup }) => {
    const server = await startTls(certificates, portOf(office.gitlab.url));
    onCleanup(() => server[Symbol.asyncDispose]());
    return server;
  })
  .extend('upstream', { scope: 'file' }, async ({}, { onCleanup }) => {
    const { info, mod, zip } = await makeModule(EXTERNAL, 'v1.0.0');
    const files = `/${EXTERNAL}/@v/v1.0.0`;
    const stub = await startStub({ [`${files}.info`]: info, [`${files}.mod`]: mod, [`${files}.zip`]: zip });
    onCleanup(() => stub.close());
    return stub;
  })
  .extend('secureUpstream', { scope: 'file' }, async ({ upstream, certificates }, { onCleanup }) => {
    const server = await startTls(certificates, portOf(upstream.url));
    onCleanup(() => server[Symbol.asyncDispose]());
    return server;
  })
  .extend('hosts', { scope: 'file' }, ({ secureGitLab, secureUpstream, minio }): Record<string, number> => ({
    'gitlab.corp.test:443': secureGitLab.port,
    'goproxy.corp.test:8443': secureUpstream.port,
    's3.corp.test:80': portOf(minio.endpoint),
  }))
  .extend('proxy', { scope: 'file' }, async ({ hosts }, { onCleanup }) => {
    const proxy = await startForwardProxy(hosts);
    onCleanup(() => proxy[Symbol.asyncDispose]());
    return proxy;
  })
  .extend('networkSettings', { scope: 'file' }, ({ proxy, certificates, sharedSettings }) => ({
    ...sharedSettings,
    REDIS_URL: '',
    S3_ENDPOINT: 'http://s3.corp.test',
    GITLAB_URL: 'https://gitlab.corp.test',
    UPSTREAM: 'https://goproxy.corp.test:8443',
    CA_FILE: certificates.caFile,
    // The go command reads both spellings.
    http_proxy: proxy.url,
    HTTPS_PROXY: proxy.url,
    NO_PROXY: '10.0.0.0/8,other.test',
  }))
  .extend('modpress', { scope: 'file' }, async ({ networkSettings, startProcess }) => {
    const modpress = await startProcess(networkSettings);
    await modpress.logged('sweep.finished');
    return modpress;
  });

// The time limit of the tests does not cover the start.
test.beforeAll(({ modpress }) => void modpress);

test('a tag is published, and a build gets it and an external module, with forward proxies only', async ({
  office,
  proxy,
  modpress,
}) => {
  const project = await office.gitlab.createProject('platform/hello');
  const module = `${PREFIX}/${project.path}`;
  await addHook(office.gitlab, '/groups/platform', modpress.url, { token: '/the secret of the hook/' });
  await using watch = watchVersion(modpress.url, module, 'v1.0.0');
  await pushTags(project, library(module, 'one'), 'v1.0.0');
  await watch.published;

  await using go = await startGo(modpress.url, { GOSUMDB: 'off' });
  await writeFile(
    join(go.folder, 'main.go'),
    `package main\n\nimport (\n\t"${module}"\n\t"${EXTERNAL}"\n)\n\nfunc main() { println(hello.Word(), public.Version()) }\n`,
  );
  expect(await go.run('get', `${module}@v1.0.0`, `${EXTERNAL}@v1.0.0`)).toMatchObject({ ok: true });
  expect(await go.run('run', '.')).toMatchObject({ ok: true, stderr: 'one v1.0.0\n' });
  expect(await checksumsThrough(modpress.url, `${module}@v1.0.0`)).toEqual(
    await checksumsDirect(office.gitlab, `${module}@v1.0.0`),
  );

  const targets = proxy.seen.map((request) => request.replace(/^(?:CONNECT|\w+ http:\/\/) ?([^/]+).*/, '$1'));
  expect(targets).toEqual(expect.arrayContaining(['gitlab.corp.test:443', 'goproxy.corp.test:8443', 's3.corp.test']));
}, 90_000);

test('the commands use the forward proxies too', async ({ office, hosts, proxy, networkSettings, modpress }) => {
  const project = await office.gitlab.createProject('platform/filled');
  const module = `${PREFIX}/${project.path}`;
  await pushTags(project, library(module, 'one'), 'v1.0.0');
  const settings = { ...office.settings, ...networkSettings, ADMIN_TOKEN: 'the-token-of-the-admin' };
  const before = proxy.seen.length;
  expect(await runModpress(['backfill', 'platform/filled'], settings)).toMatchObject({ status: 0 });
  expect(proxy.seen.slice(before)).toContain('CONNECT gitlab.corp.test:443');

  hosts['modpress.corp.test:80'] = portOf(modpress.url);
  const remote = await runModpress(['backfill', '--url', 'http://modpress.corp.test'], settings);
  expect(proxy.seen).toContain('POST http://modpress.corp.test/-/backfill');
  expect(remote).toMatchObject({ status: 1, stderr: expect.stringMatching(/answered 401/) });
}, 60_000);

test('no connection goes through the forward proxies to hosts in NO_PROXY', async ({
  office,
  hosts,
  networkSettings,
}) => {
  await using proxy = await startForwardProxy(hosts);
  const proxies = { http_proxy: proxy.url, HTTPS_PROXY: proxy.url, NO_PROXY: 'corp.test' };
  const settings = { ...office.settings, ...networkSettings, ...proxies };
  const result = await runModpress(['backfill', 'platform/hello'], settings);
  expect(result).toMatchObject({ status: 1, stderr: expect.stringMatching(/S3_ENDPOINT/) });
  const withoutStore = { ...settings, STORE: `file:${join(office.folder, 'other')}` };
  expect(await runModpress(['backfill', 'platform/hello'], withoutStore)).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/gitlab\.corp\.test/),
  });
  expect(proxy.seen).toEqual([]);
}, 60_000);

test('the error for a certificate of an unknown CA says what to set', async ({ office, networkSettings }) => {
  const settings = { ...office.settings, ...networkSettings, CA_FILE: '' };
  const { status, stderr } = await runModpress(['backfill', 'platform/hello'], settings);
  expect(stderr).toMatch(/the certificate of gitlab\.corp\.test is not trusted \(\w+\): set CA_FILE to a PEM file/);
  expect(status).toBe(1);
}, 60_000);

function portOf(url: string): number {
  return Number(new URL(url).port);
}
