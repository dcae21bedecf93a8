import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { checksumsDirect, checksumsThrough, library, PREFIX, pushTags } from '../e2e/office.ts';
import { runModpress, startModpress, startService } from '../e2e/service.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { test as base } from './fixtures.ts';

const test = base
  /** Settings with an empty store. */
  .extend('env', ({ office, folder }): Record<string, string> => ({
    ...office.settings,
    STORE: `file:${join(folder, 'store')}`,
  }));

test.beforeAll(async ({ office: { gitlab } }) => {
  for (const name of ['one', 'two']) {
    const project = await gitlab.createProject(`platform/${name}`);
    const module = `${PREFIX}/platform/${name}`;
    for (const version of ['v1.0.0', 'v1.1.0', 'v1.2.0']) await pushTags(project, library(module, version), version);
  }
  const script = await gitlab.createProject('tools/script');
  await pushTags(script, { 'run.sh': 'echo\n' }, 'v0.1.0', 'nightly', 'release-1');
  await gitlab.createProject('tools/empty');
});

/** `modpress backfill` without --url: the command publishes the tags itself. */
describe('modpress backfill', () => {
  test('publishes everything, prints a report, and reads no processed tag the second time', async ({ office, env }) => {
    const first = await runModpress(['backfill', 'platform', 'tools'], env);
    expect(first.status).toBe(0);
    expect(rows(first.stdout)).toMatchObject({
      projects: 4,
      'already processed': 0,
      published: 6,
      skipped: 3,
      refused: 0,
      failed: 0,
    });
    expect(first.stdout).toMatch(/2 {2}tag … is not a version/);
    expect(first.stdout).toMatch(/1 {2}there is no go\.mod at this tag/);

    office.gitlab.clearRequests();
    const second = await runModpress(['backfill', 'platform', 'tools'], env);
    expect(second).toMatchObject({ status: 0 });
    expect(rows(second.stdout)).toMatchObject({ projects: 4, 'already processed': 9, published: 0, skipped: 0 });
    const calls = office.gitlab.requests.map(({ path }) => path.replace('/api/v4/', '').replace(/\d+/g, 'ID'));
    expect(calls.toSorted()).toEqual([
      'groups/platform',
      'groups/platform/projects',
      'groups/tools',
      'groups/tools/projects',
      ...Array.from({ length: 4 }, () => 'projects/ID/repository/tags'),
      'version',
    ]);

    await using service = await startService(env);
    const versions = ['one', 'two'].flatMap((name) =>
      ['v1.0.0', 'v1.2.0'].map((version) => `${PREFIX}/platform/${name}@${version}`),
    );
    expect(await checksumsThrough(service.url, ...versions)).toEqual(await checksumsDirect(office.gitlab, ...versions));
  });

  test('publishes only the given groups and projects, and only tags since a date', async ({ office, env }) => {
    const project = await office.gitlab.createProject('dated/lib');
    await using tree = await WorkTree.create(project);
    for (const [day, version] of [
      ['2020-01-01', 'v1.0.0'],
      ['2024-06-01', 'v1.1.0'],
    ] as const) {
      await tree
        .write({ 'go.mod': `module ${PREFIX}/dated/lib\n`, 'day.txt': day })
        .commit(day, { date: `${day}T12:00:00Z` });
      await tree.tag(version);
    }
    await tree.push();
    const since = await runModpress(['backfill', 'dated', 'platform/one', '--since', '2024-01-01'], env);
    expect(rows(since.stdout)).toMatchObject({ projects: 2, 'older than --since': 1, published: 4 });
    const scoped = await runModpress(['backfill', 'Platform', '--dry-run'], { ...env, GITLAB_SCOPE: 'platform/two' });
    expect(rows(scoped.stdout)).toMatchObject({ projects: 1 });
    const rest = await runModpress(['backfill', 'dated/lib'], env);
    expect(rows(rest.stdout)).toMatchObject({ projects: 1, 'already processed': 1, published: 1 });
  });

  test('reports the current path of a moved project that is out of scope', async ({ office, env }) => {
    const project = await office.gitlab.createProject('moving/was');
    await office.gitlab.moveProject(project, 'moving/is');
    const result = await runModpress(['backfill', 'moving/was'], { ...env, GITLAB_SCOPE: 'moving/was' });
    await office.gitlab.deleteProject(project);
    expect(result).toMatchObject({ status: 2, stdout: '' });
    expect(result.stderr).toMatch(/^modpress: not in GITLAB_SCOPE: moving\/is$/m);
  });

  test('a dry run reports the number of tags and publishes nothing', async ({ office, env }) => {
    office.gitlab.clearRequests();
    const dry = await runModpress(['backfill', 'platform', 'tools', '--dry-run'], env);
    expect(dry.status).toBe(0);
    expect(dry.stdout).toMatch(/would be processed +7 {2}valid versions/);
    expect(dry.stdout).toMatch(/ 2 {2}other tags, which are skipped/);
    expect(office.gitlab.requests.filter(({ path }) => /archive|files|tree|blobs/.test(path))).toEqual([]);
    expect(rows((await runModpress(['backfill', 'platform'], env)).stdout)).toMatchObject({
      'already processed': 0,
      published: 6,
    });
  });

  test('--json prints one JSON object per line, the summary last', async ({ env }) => {
    const { stdout } = await runModpress(['backfill', 'platform', '--json'], env);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines.at(-1)).toMatchObject({
      kind: 'summary',
      complete: true,
      state: 'done',
      published: 6,
      failed: 0,
      projects: { found: 2, done: 2 },
    });
  });

  test('lists each failed tag with its reason, publishes the other tags and ends with status 1', async ({
    office,
    env,
  }) => {
    const project = await office.gitlab.createProject('broken/lib');
    await pushTags(project, library(`${PREFIX}/broken/lib`, 'x'), 'v1.0.0');
    const fault = office.gitlab.faults.add({
      path: new RegExp(`/projects/${project.id}/repository/tree`),
      kind: { status: 403, body: { message: '403 Forbidden' } },
      times: 100,
    });
    const { status, stdout } = await runModpress(['backfill', 'broken', 'platform/one'], env);
    expect(status).toBe(1);
    expect(rows(stdout)).toMatchObject({ published: 3, failed: 1 });
    expect(stdout).toMatch(/^FAILED broken\/lib v1\.0\.0: GitLab answered 403 .*read_api/m);
    fault.remove();
    expect(rows((await runModpress(['backfill', 'broken', 'platform/one'], env)).stdout)).toMatchObject({
      'already processed': 3,
      published: 1,
      failed: 0,
    });
  });

  test('lists a refused version, and ends with status 0 because the refusal is no failure', async ({ office, env }) => {
    const project = await office.gitlab.createProject('refused/lib');
    await pushTags(
      project,
      { 'go.mod': `module ${PREFIX}/refused/lib\n`, 'A.go': 'package lib\n', 'a.go': 'package lib\n' },
      'v1.0.0',
    );
    const { status, stdout } = await runModpress(['backfill', 'refused'], env);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^REFUSED refused\/lib v1\.0\.0: .*case-insensitive/m);
  });

  test('finishes the running tags when it is interrupted, and the next command publishes the other tags', async ({
    office,
    env,
  }) => {
    const project = await office.gitlab.createProject('many/lib');
    await using tree = await WorkTree.create(project);
    for (let i = 0; i < 24; i++) {
      await tree.write({ 'go.mod': `module ${PREFIX}/many/lib\n`, 'n.txt': `${i}` }).commit(`${i}`);
      await tree.tag(`v1.${i}.0`);
    }
    await tree.push();
    const slow = office.gitlab.faults.add({
      path: /\/repository\/(?:archive|blobs)/,
      kind: { delayMs: 1_500 },
      times: 1_000,
    });
    const { child, result } = await startModpress(['backfill', 'many'], env);
    await expect.poll(() => slow.hits, { timeout: 20_000 }).toBeGreaterThan(0);
    child.kill('SIGINT');
    const { status, stdout } = await result;
    slow.remove();
    expect(status).toBe(130);
    expect(stdout).toMatch(/interrupted after \d+ of 24 tags: run the same command again to continue/);
    expect(rows(stdout)).toMatchObject({ projects: 0 });
    const done = rows(stdout)['published'] ?? 0;
    expect(done).toBeLessThan(24);
    const next = await runModpress(['backfill', 'many'], env);
    expect(next.status).toBe(0);
    expect(rows(next.stdout)).toMatchObject({ 'already processed': done, published: 24 - done });
  });

  describe('reports wrong input in one line and publishes nothing', () => {
    test.for([
      [
        'an unknown group',
        ['nobody', 'platform'],
        {},
        2,
        /^modpress: GitLab has no group or project nobody that GITLAB_TOKEN can see$/m,
      ],
      [
        'an invalid date',
        ['--since', 'yesterday'],
        {},
        2,
        /^modpress: --since "yesterday" is not a date: write it like 2026-01-31/m,
      ],
      ['a day that does not exist', ['--since', '2026-02-30'], {}, 2, /^modpress: --since "2026-02-30" is not a date/m],
      ['an empty name', ['/'], {}, 2, /^modpress: targets is empty/m],
      ['an unknown option', ['--dry'], {}, 2, /^modpress: Unknown option '--dry'/m],
      [
        'a project that is out of scope',
        ['platform/one'],
        { GITLAB_SCOPE: 'tools' },
        2,
        /^modpress: not in GITLAB_SCOPE: platform\/one$/m,
      ],
      [
        'a group that is out of scope',
        ['platform'],
        { GITLAB_SCOPE: 'tools,platforms' },
        2,
        /^modpress: not in GITLAB_SCOPE: platform$/m,
      ],
      ['a missing setting', [], { GITLAB_URL: '' }, 2, /^modpress: GITLAB_URL is missing/m],
      ['a service without a token', ['--url', 'http://127.0.0.1:9'], {}, 2, /^modpress: ADMIN_TOKEN is missing/m],
      [
        'an id_token in two lines',
        ['--url', 'http://127.0.0.1:9'],
        { MODPRESS_ID_TOKEN: 'a.b\nhidden.c' },
        2,
        /^modpress: MODPRESS_ID_TOKEN must be one token: a single line(?!.*hidden)/m,
      ],
      ['an invalid address', ['--url', 'modpress'], {}, 2, /^modpress: --url must be an http/m],
      [
        'a service that cannot be reached',
        ['--url', 'http://127.0.0.1:9'],
        { ADMIN_TOKEN: 'a-token-of-the-admin' },
        1,
        /^modpress: the service at http:\/\/127\.0\.0\.1:9 cannot be reached/m,
      ],
    ] as const)('%s', async ([, args, settings, status, message], { env }) => {
      const result = await runModpress(['backfill', ...args], { ...env, ...settings });
      expect(result).toMatchObject({ status, stdout: '' });
      expect(result.stderr).toMatch(message);
      expect(errorLines(result.stderr)).toHaveLength(1);
    });

    test.for([
      [
        'an expired token',
        { scopes: ['read_api'], expired: true },
        /GitLab does not accept GITLAB_TOKEN \(401\): it is wrong, expired or revoked/,
      ],
      ['a token without the scope', { scopes: ['read_repository'] }, /GitLab answered 403 .*needs the scope read_api/],
    ] as const)('%s', async ([, options, message], { office, env }) => {
      const result = await runModpress(['backfill', 'platform'], {
        ...env,
        GITLAB_TOKEN: office.gitlab.createToken(options),
      });
      expect(result).toMatchObject({ status: 1, stdout: '' });
      expect(errorLines(result.stderr)).toEqual([expect.stringMatching(message)]);
    });
  });
});

/** The numbers in the table that a backfill prints, by the names of its rows. */
function rows(stdout: string): Record<string, number> {
  const found = stdout.matchAll(/^ {2}(\S.*?) +(\d+)(?: |$)/gm);
  return Object.fromEntries(Array.from(found, ([, name, count]) => [name, Number(count)]));
}

/** The lines of standard error, without the one that refers to the help. */
function errorLines(stderr: string): string[] {
  return stderr.split('\n').filter((line) => line !== '' && !line.includes('--help'));
}
