import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { settings } from '../../src/config/settings.ts';
import { test } from './fixtures.ts';
import { runModpress, startService } from './service.ts';

describe('the command line', () => {
  test('reports all faults of the settings at once, by name, and shows no secret', async () => {
    const secrets = [
      'glpat-a-secret-token',
      'whsec_#not-base64',
      'the-password',
      'AKIA-a-secret-key',
      'a-user:a-secret-password',
    ];
    const { status, stdout, stderr } = await runModpress(['serve'], {
      GITLAB_URL: 'ftp://gitlab.example',
      GITLAB_TOKEN: secrets[0] ?? '',
      GITLAB_TOKEN_FILE: '/nowhere/at/all',
      GITLAB_RATE: '0',
      MODULE_PREFIX: 'No Module Path',
      MODULE_MAP: 'go.corp.example',
      WEBHOOK_SIGNING_TOKEN: secrets[1] ?? '',
      LISTEN: 'anywhere',
      PUBLIC_URL: 'modpress.example',
      STORE: 's3://bucket',
      AWS_ACCESS_KEY_ID: secrets[3] ?? '',
      REDIS_URL: `http://:${secrets[2]}@redis.example`,
      UPSTREAM: `ftp://${secrets[4]}@upstream.example`,
      UPSTREAM_MODE: 'sometimes',
      RETAG: 'perhaps',
      SWEEP_MINUTES: 'often',
      LOG_LEVEL: 'loud',
    });
    expect(status).toBe(2);
    expect(stdout).toBe('');
    const lines = stderr.trimEnd().split('\n');
    expect(lines.pop()).toBe('modpress: see modpress serve --help');
    const named = lines.map((line) => /^modpress: ([A-Z0-9_]+) \S/.exec(line)?.[1]);
    expect(new Set(named)).toEqual(
      new Set([
        'GITLAB_URL',
        'GITLAB_TOKEN',
        'GITLAB_TOKEN_FILE',
        'GITLAB_RATE',
        'MODULE_PREFIX',
        'MODULE_MAP',
        'WEBHOOK_SIGNING_TOKEN',
        'LISTEN',
        'PUBLIC_URL',
        'AWS_SECRET_ACCESS_KEY',
        'REDIS_URL',
        'UPSTREAM',
        'UPSTREAM_MODE',
        'ACCESS',
        'RETAG',
        'SWEEP_MINUTES',
        'LOG_LEVEL',
      ]),
    );
    expect(named).toHaveLength(17);
    for (const secret of secrets) expect(stderr).not.toContain(secret);
  });

  test('reports the required settings for an empty environment', async () => {
    const { status, stderr } = await runModpress(['serve']);
    expect(status).toBe(2);
    expect(stderr.match(/^modpress: \w+ is missing/gm)?.toSorted()).toEqual(
      ['GITLAB_URL', 'GITLAB_TOKEN', 'WEBHOOK_TOKEN', 'ACCESS']
        .map((name) => `modpress: ${name} is missing`)
        .toSorted(),
    );
  });

  test('refuses unknown roles and unknown commands', async () => {
    const [role, option, command] = await Promise.all([
      runModpress(['serve', '--roles', 'worker,gardener']),
      runModpress(['serve', '--port', '80']),
      runModpress(['server']),
    ]);
    expect(role).toMatchObject({
      status: 2,
      stdout: '',
      stderr: expect.stringMatching(/^modpress: --roles: "gardener".*webhook, worker, proxy/),
    });
    expect(option).toMatchObject({ status: 2, stdout: '', stderr: expect.stringContaining('--port') });
    expect(command).toMatchObject({
      status: 2,
      stdout: '',
      stderr: expect.stringMatching(/^modpress: unknown command "server"\n[^]*modpress serve/),
    });
  });

  test('shows every setting in the help, and requires none for that', async () => {
    const { status, stdout, stderr } = await runModpress(['serve', '--help']);
    expect([status, stderr]).toEqual([0, '']);
    const named = stdout.match(/^ {2}[A-Z][A-Z0-9_]+/gm)?.map((name) => name.trim());
    expect(named).toEqual(Object.keys(settings));
    expect(await runModpress(['--version'])).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
  });
});

describe('secrets in files', () => {
  test('are read from the file that NAME_FILE names, without the final newline', async ({ folder }) => {
    const secrets = { GITLAB_TOKEN: 'glpat-in-a-file', WEBHOOK_TOKEN: 'webhook-in-a-file' };
    const files = Object.entries(secrets).map(([name, value]) => ({
      name: `${name}_FILE`,
      path: join(folder, name),
      value,
    }));
    await Promise.all(files.map(({ path, value }) => writeFile(path, `${value}\n`)));
    await using service = await startService({
      ...Object.fromEntries(files.map(({ name, path }) => [name, path])),
      // No server listens at this address. The service starts even if GitLab is down.
      GITLAB_URL: 'http://127.0.0.1:9',
      MODULE_PREFIX: 'gitlab.example',
      ACCESS: 'open',
      UPSTREAM: 'off',
      STORE: `file:${join(folder, 'data')}`,
    });
    const post = async (token: string): Promise<number> => {
      const headers = { 'Content-Type': 'application/json', 'X-Gitlab-Event': 'Push Hook', 'X-Gitlab-Token': token };
      return (await fetch(`${service.url}/-/webhook`, { method: 'POST', headers, body: '{}' })).status;
    };
    expect(await post('webhook-in-a-file')).toBe(200);
    expect(await post('another')).toBe(401);
    const printed = JSON.stringify(service.log);
    for (const secret of Object.values(secrets)) expect(printed).not.toContain(secret);
  });
});
