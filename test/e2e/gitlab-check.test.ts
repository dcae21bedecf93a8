import { describe, expect } from 'vitest';
import { listen } from '../services/http-stub.ts';
import { test as base } from './fixtures.ts';
import { openOffice } from './office.ts';
import { runModpress, startService } from './service.ts';

/** A server that answers every request with a page, as a wrong host or a login page does. */
const test = base.extend('page', { scope: 'file' }, async ({}, { onCleanup }) => {
  const server = await listen((_request, response) =>
    response.setHeader('content-type', 'text/html').end('<html>Welcome to nginx</html>'),
  );
  onCleanup(() => server.close());
  return server.url;
});

const COMMANDS: readonly (readonly string[])[] = [
  ['backfill'],
  ['backfill', 'platform'],
  ['hooks', 'add', 'platform', '--public-url', 'https://modpress.example'],
  ['hooks', 'check', 'platform', '--public-url', 'https://modpress.example'],
];

describe('wrong settings for GitLab', () => {
  test.for(COMMANDS)('fail %s %s with the reason, if GITLAB_URL is the URL of the API', async (args, { office }) => {
    const url = `${office.gitlab.url}/api/v4`;
    const { status, stderr } = await runModpress(args, { ...office.settings, GITLAB_URL: url });
    expect([status, stderr]).toEqual([
      1,
      expect.stringContaining(`GITLAB_URL ${url} is not the base URL of GitLab: remove /api/v4 from its end`),
    ]);
  });

  test.for(COMMANDS)('fail %s %s with the reason, if GITLAB_URL is another server', async (args, { office, page }) => {
    const { status, stderr } = await runModpress(args, { ...office.settings, GITLAB_URL: page });
    expect([status, stderr]).toEqual([
      1,
      expect.stringContaining(`GITLAB_URL ${page} is not the base URL of GitLab: set it to the address`),
    ]);
  });

  test('fail a backfill without targets, if the token sees no project', async () => {
    await using empty = await openOffice();
    const { status, stderr } = await runModpress(['backfill'], empty.settings);
    expect([status, stderr]).toEqual([1, expect.stringContaining('GITLAB_TOKEN sees no project: add the user')]);
  });

  test.for([
    ['/api/v4', 'is not the base URL of GitLab: remove /api/v4'],
    ['', 'GITLAB_TOKEN sees no project'],
  ] as const)('keep a worker with GITLAB_URL + "%s" from being ready, and are logged', async ([path, reason]) => {
    await using empty = await openOffice();
    const url = `${empty.gitlab.url}${path}`;
    await using worker = await startService({ ...empty.settings, GITLAB_URL: url, SWEEP_MINUTES: '1000' });
    expect(await worker.logged('gitlab.misconfigured')).toMatchObject({
      level: 'error',
      reason: expect.stringContaining(reason),
    });
    const response = await fetch(`${worker.url}/-/readyz`);
    expect([response.status, await response.text()]).toEqual([503, expect.stringContaining(reason)]);
  });
});

test('a worker is ready once the token sees a project, and logs the version of GitLab', async ({
  office,
  startProcess,
}) => {
  await office.gitlab.createProject('platform/first');
  const worker = await startProcess({ SWEEP_MINUTES: '1000' });
  expect(await worker.logged('gitlab.connected')).toMatchObject({ version: expect.stringMatching(/^\d+\.\d+/) });
  expect((await fetch(`${worker.url}/-/readyz`)).status).toBe(200);
});

test('a worker is ready while GitLab is down', async ({ startProcess }) => {
  const worker = await startProcess({ GITLAB_URL: 'http://127.0.0.1:9', SWEEP_MINUTES: '1000' });
  await worker.logged('gitlab.unavailable');
  expect((await fetch(`${worker.url}/-/readyz`)).status).toBe(200);
});
