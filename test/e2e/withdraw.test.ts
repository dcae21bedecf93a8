import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, vi } from 'vitest';
import type { Project } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { startGo, type Go } from '../proxy/go.ts';
import { get } from '../proxy/server.ts';
import { test as base } from './fixtures.ts';
import { startInProcess, type InProcess } from './in-process.ts';
import { addHook, archiveRequests, library, PREFIX } from './office.ts';
import { runModpress, type CommandResult } from './service.ts';

const REASON = 'a token was in config.go';
const SETTINGS = { ON_DEMAND: 'on', SWEEP_MINUTES: '1000' };

/** A module in a separate project, with the published versions v1.0.0 and v1.1.0. */
interface Library {
  readonly project: Project;
  readonly tree: WorkTree;
  readonly module: string;
  /** The number of times that a job found a tag to be published or published it. */
  readonly looks: (tag: string) => number;
}

let count = 0;

const test = base
  .override('gitlabOptions', { archiveLimit: 'off' })
  .override('settings', SETTINGS)
  .extend('lib', async ({ office, service }, { onCleanup }): Promise<Library> => {
    const project = await office.gitlab.createProject(`platform/lib${++count}`);
    const { path } = project;
    const module = `${PREFIX}/${path}`;
    const tree = await WorkTree.create(project);
    onCleanup(() => tree.remove());
    const looks = (tag: string): number =>
      service.log.filter(
        (line) =>
          (line.event === 'tag.published' || line.event === 'tag.known') &&
          line['tag'] === tag &&
          line['project'] === path,
      ).length;
    await tree.write(library(module, 'one')).commit('First');
    await tree.tag('v1.0.0');
    await tree.write({ 'config.go': 'package lib\n' }).commit('Second');
    await tree.tag('v1.1.0');
    await tree.push();
    await vi.waitUntil(() => looks('v1.0.0') + looks('v1.1.0') === 2, { timeout: 20_000 });
    return { project, tree, module, looks };
  })
  /** Runs `modpress withdraw`, by default with the settings of the office. */
  .extend('run', ({ office }) => {
    return (args: readonly string[], settings = office.settings): Promise<CommandResult> =>
      runModpress(['withdraw', ...args], settings);
  })
  /** Withdraws v1.1.0. */
  .extend('withdraw', ({ lib: { module }, run }) => {
    return (): Promise<CommandResult> => run([`${module}@v1.1.0`, '--reason', REASON]);
  });

test.beforeAll(async ({ office, service }) => {
  office.gitlab.createGroup('platform');
  await addHook(office.gitlab, '/groups/platform', service.url, { token: '/the secret of the hook/' });
});

describe('after modpress withdraw', () => {
  test('the go command finds the previous version, and reports the reason for the withdrawn one', async ({
    service,
    lib: { module, tree },
    withdraw,
  }) => {
    await using go = await startGo(service.url);
    await succeed(go, 'mod', 'download', `${module}@v1.1.0`);
    expect(await succeed(go, 'list', '-m', '-versions', module)).toBe(`${module} v1.0.0 v1.1.0\n`);

    expect(await withdraw()).toEqual({
      status: 0,
      stderr: '',
      stdout: `${module}@v1.1.0 is withdrawn: ${REASON}. Developers who have downloaded it still have it: replace any leaked secret\n`,
    });
    await expectGone(service, module);
    // A developer who has the version already keeps it.
    await succeed(go, 'mod', 'download', `${module}@v1.1.0`);

    await using fresh = await startGo(service.url);
    expect(await succeed(fresh, 'list', '-m', '-versions', module)).toBe(`${module} v1.0.0\n`);
    expect((await fresh.run('get', `${module}@latest`)).stderr).toContain(`added ${module} v1.0.0`);
    for (const query of ['v1.1.0', 'main', tree.head()]) {
      const { ok, stderr } = await fresh.run('mod', 'download', `${module}@${query}`);
      expect([query, ok, stderr]).toEqual([
        query,
        false,
        expect.stringContaining(`${module}@v1.1.0 was withdrawn on `),
      ]);
      expect(stderr).toContain(`: ${REASON}\n`);
    }
  });

  test('nothing restores the version: no webhook, no sweep, no moved tag, and no request', async ({
    office,
    service,
    lib: { project, tree, module, looks },
    withdraw,
  }) => {
    await withdraw();
    await expectGone(service, module);
    office.gitlab.clearRequests();
    await tree.push(':v1.1.0');
    await tree.push('v1.1.0');
    await expect.poll(() => looks('v1.1.0')).toBeGreaterThan(1);

    await tree.write({ 'config.go': 'package lib // clean\n' }).commit('Third');
    await tree.tag('v1.1.0', { force: true });
    await tree.push('main', '+v1.1.0');
    await expect
      .poll(() =>
        service.log.find(
          ({ event, reason, project: path }) =>
            event === 'tag.refused' && path === project.path && String(reason).includes(REASON),
        ),
      )
      .toBeDefined();

    await using swept = await startInProcess({ ...office.settings, ...SETTINGS });
    for (const { url } of [service, swept]) {
      for (const file of ['info', 'mod', 'zip'])
        expect((await get(`${url}/${module}/@v/v1.1.0.${file}`)).status, file).toBe(410);
      expect((await get(`${url}/${module}/@v/list`)).text).toBe('v1.0.0\n');
    }
    expect(archiveRequests(office.gitlab, project)).toEqual([]);
    // Commits without a withdrawn version are not affected, and a new clean version is published.
    await tree.tag('v1.1.1');
    await tree.push('v1.1.1');
    await expect.poll(async () => (await get(`${service.url}/${module}/@latest`)).text).toContain('"Version":"v1.1.1"');
  });

  test('no request gets the version under the new path of a moved project', async ({
    office,
    service,
    lib: { project, module },
    withdraw,
  }) => {
    await withdraw();
    await office.gitlab.moveProject(project, `${project.path}-moved`);
    const moved = `${PREFIX}/${project.path}`;
    const zips = await Promise.all(
      ['v1.0.0', 'v1.1.0'].map((version) => get(`${service.url}/${moved}/@v/${version}.zip`)),
    );
    expect(zips.map(({ status }) => status)).toEqual([200, 404]);
    expect(zips[1]?.text).toContain(`${module}@v1.1.0 was withdrawn on `);
  });

  test('with every version withdrawn, there is no latest version, and the error has the reason', async ({
    service,
    lib: { module },
    run,
  }) => {
    for (const each of ['v1.0.0', 'v1.1.0'])
      expect((await run([`${module}@${each}`, '--reason', REASON])).status).toBe(0);
    await expectGone(service, module);
    expect(await get(`${service.url}/${module}/@latest`)).toMatchObject({
      status: 404,
      text: expect.stringContaining(
        `the latest version of ${module}, v1.1.0, was withdrawn, and there is no other version`,
      ),
    });
    expect(await get(`${service.url}/${module}/@v/list`)).toMatchObject({ status: 200, text: '' });
  });
});

describe('the command', () => {
  test('reports that nothing was left to do, that the reason has changed, or that the version was not published', async ({
    lib: { module },
    run,
    withdraw,
  }) => {
    await withdraw();
    expect((await withdraw()).stdout).toMatch(
      new RegExp(`^${module}@v1.1.0 was withdrawn on [\\d-]+: ${REASON}. There was nothing left to do\n$`),
    );
    expect((await run([`${module}@v1.1.0`, '--reason', 'two\nlines \u001b[1m'])).stdout).toBe(
      `${module}@v1.1.0 stays withdrawn, with a new reason: two lines [1m\n`,
    );
    expect((await run([`${module}@v3.0.0+incompatible`, '--reason', REASON])).stdout).toBe(
      `${module}@v3.0.0+incompatible is withdrawn: ${REASON}. It was not published, and never will be\n`,
    );
    const mistyped = `${PREFIX}/Nobody/knows`;
    expect((await run([`${mistyped}@v1.0.0`, '--reason', REASON])).stdout).toBe(
      `${mistyped}@v1.0.0 is withdrawn: ${REASON}. It was not published, and never will be; no version of ${mistyped} is published: check the path, including upper and lower case\n`,
    );
  });

  test.for<[string, (module: string) => string[], string]>([
    ['no version', (module) => [module, '--reason', REASON], 'has no version: withdraw takes MODULE@VERSION'],
    [
      'an incomplete version',
      (module) => [`${module}@v1.1`, '--reason', REASON],
      'is not a version: use the full form, such as v1.2.3',
    ],
    [
      'a version of another major',
      (module) => [`${module}/v2@v1.0.0`, '--reason', REASON],
      'cannot be a module version',
    ],
    ['no reason', (module) => [`${module}@v1.1.0`], '--reason is missing'],
    ['a blank reason', (module) => [`${module}@v1.1.0`, '--reason', ' \n'], '--reason is missing'],
    [
      'two versions',
      (module) => [`${module}@v1.0.0`, `${module}@v1.1.0`, '--reason', REASON],
      'withdraw takes one MODULE@VERSION',
    ],
    [
      'a public module',
      () => ['rsc.io/quote@v1.0.0', '--reason', REASON],
      `the store has no files of rsc.io/quote, and it is not a private module: the paths of private modules begin with ${PREFIX}`,
    ],
  ])('refuses %s with one line and status 2', async ([, args, message], { service, lib: { module }, run }) => {
    const { status, stdout, stderr } = await run(args(module));
    expect([status, stdout, stderr]).toEqual([
      2,
      '',
      expect.stringMatching(/^modpress: .*\nmodpress: see modpress withdraw --help\n$/),
    ]);
    expect(stderr).toContain(message);
    expect((await get(`${service.url}/${module}/@v/v1.1.0.info`)).status).toBe(200);
  });

  test('needs only the store for a published version, and otherwise reports what it needs', async ({
    office,
    lib: { module },
    run,
  }) => {
    const store = { STORE: office.settings['STORE'] ?? '' };
    expect(await run([`${PREFIX}/nobody/knows@v1.0.0`, '--reason', REASON], store)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('cannot check that it is a private module: set GITLAB_URL or MODULE_PREFIX'),
    });
    expect((await run([`${module}@v1.1.0`, '--reason', REASON], store)).status).toBe(0);
  });

  test('does not turn another folder into a store', async ({ office, lib: { module }, run }) => {
    const mistyped = join(office.folder, 'mistyped');
    const { status, stderr } = await run([`${module}@v1.1.0`, '--reason', REASON], { STORE: `file:${mistyped}` });
    expect([status, stderr]).toEqual([2, expect.stringContaining('STORE does not name a store')]);
    await expect(access(mistyped)).rejects.toThrow('ENOENT');
  });

  test('takes the lock in Redis; without Redis, it withdraws the version anyway and reports that the withdrawal is not complete', async ({
    office,
    service,
    redis,
    lib: { module },
    run,
  }) => {
    const settings = { ...office.settings, REDIS_URL: redis.url };
    expect((await run([`${module}@v1.0.0`, '--reason', REASON], settings)).status).toBe(0);
    await redis.stop();
    const { status, stderr } = await run([`${module}@v1.1.0`, '--reason', REASON], settings);
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(
        /^modpress: \S+@v1\.1\.0 could not be withdrawn completely: the lock of a version cannot be taken in Redis.*; run the same command again\n$/,
      ),
    ]);
    await expectGone(service, module);
  });
});

/** Waits until the proxy no longer serves v1.1.0: it serves a file from memory for 10 s without reading the store. */
async function expectGone(service: InProcess, module: string): Promise<void> {
  for (const file of ['info', 'mod', 'zip']) {
    await expect
      .poll(async () => await get(`${service.url}/${module}/@v/v1.1.0.${file}`), { timeout: 15_000, interval: 500 })
      .toMatchObject({ status: 410, text: expect.stringContaining(REASON) });
  }
}

async function succeed(go: Go, ...args: string[]): Promise<string> {
  const { ok, stdout, stderr } = await go.run(...args);
  if (!ok) throw new Error(`go ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}
