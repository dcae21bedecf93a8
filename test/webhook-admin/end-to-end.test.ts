import { expect, vi } from 'vitest';
import { test as base } from '../e2e/fixtures.ts';
import { library, PREFIX, pushTags } from '../e2e/office.ts';
import { runModpress, type CommandResult } from '../e2e/service.ts';
import { call } from '../fake-gitlab/api-client.ts';
import { get } from '../proxy/server.ts';

const test = base
  .override('gitlabOptions', { archiveLimit: 'off' })
  // With such rare sweeps, only a webhook can report a tag.
  .override('settings', { SWEEP_MINUTES: '1000' })
  /** Runs `modpress hooks` for the group platform. */
  .extend('hooks', ({ office, service }) => {
    return (command: 'add' | 'check', ...args: readonly string[]): Promise<CommandResult> => {
      const { GITLAB_URL = '', GITLAB_RATE = '', WEBHOOK_TOKEN = '' } = office.settings;
      const GITLAB_TOKEN = office.gitlab.createToken({ scopes: ['api'] });
      const settings = { GITLAB_URL, GITLAB_RATE, WEBHOOK_TOKEN, GITLAB_TOKEN, GITLAB_SCOPE: 'platform' };
      return runModpress(['hooks', command, '--public-url', service.url, ...args], settings);
    };
  });

test('hooks add has pushed tags published, and hooks check --repair restores a disabled hook without losing a tag', async ({
  office,
  service,
  hooks,
}) => {
  const project = await office.gitlab.createProject('platform/lib');
  const module = `${PREFIX}/${project.path}`;
  const waitUntilPublished = (version: string): Promise<boolean> =>
    vi.waitUntil(async () => (await get(`${service.url}/${module}/@v/${version}.info`)).status === 200, {
      timeout: 20_000,
    });
  expect(await hooks('add')).toMatchObject({
    status: 0,
    stderr: '',
    stdout: expect.stringMatching(/^registered group platform: webhook \d+\n$/),
  });
  await pushTags(project, library(module, 'one'), 'v1.0.0');
  await waitUntilPublished('v1.0.0');
  expect(await hooks('check')).toMatchObject({
    status: 0,
    stderr: '',
    stdout: expect.stringMatching(/^ok group platform: .*; last deliveries: 1 arrived, 0 failed\n$/),
  });

  // Somebody changes the secret in GitLab: four deliveries are refused.
  const [hook] = (await call(office.gitlab, '/groups/platform/hooks')).json as { id: number }[];
  await call(office.gitlab, `/groups/platform/hooks/${hook?.id}`, { method: 'PUT', body: { token: 'another secret' } });
  const lost = ['v1.1.0', 'v1.2.0', 'v1.3.0', 'v1.4.0'];
  for (const tag of lost) {
    await pushTags(project, library(module, tag), tag);
    await office.gitlab.settled();
  }
  const broken = await hooks('check');
  expect(broken.stdout).toMatch(
    /^WRONG group platform: .*disabled until .*; last deliveries: 2 arrived, 4 failed, the last failure at \S+ with 401\n$/,
  );
  expect(broken.status).toBe(1);
  expect((await get(`${service.url}/${module}/@v/list`)).text).toBe('v1.0.0\n');

  const repaired = await hooks('check', '--repair');
  expect(repaired.stdout).toMatch(
    /^ok group platform: .*repaired \(settings and secret set again, enabled\).*; sent again: 4 arrived, 0 failed\n$/,
  );
  expect(repaired.status).toBe(0);
  for (const tag of lost) await waitUntilPublished(tag);
  expect(await hooks('check')).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^ok group platform: .*: enabled; reaches the service/),
  });
}, 60_000);
