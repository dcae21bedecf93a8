import { describe, expect } from 'vitest';
import type { Project } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { get } from '../proxy/server.ts';
import { test as base } from './fixtures.ts';
import { startInProcess } from './in-process.ts';
import { archiveRequests, checksumsDirect, checksumsThrough, library, PREFIX, pushTags } from './office.ts';

/** A library in a separate project. */
interface Library {
  readonly project: Project;
  readonly tree: WorkTree;
  readonly module: string;
  /** Requests a file of `@v` from modpress. */
  readonly ask: (file: string) => ReturnType<typeof get>;
}

let count = 0;

const test = base
  .override('settings', { ON_DEMAND: 'on', SWEEP_MINUTES: '1000' })
  /** Pushed without a webhook and after the sweep, so modpress does not know it yet. */
  .extend('lib', async ({ office, service }, { onCleanup }): Promise<Library> => {
    const project = await office.gitlab.createProject(`group/lib${++count}`);
    const module = `${PREFIX}/${project.path}`;
    const tree = await WorkTree.create(project);
    onCleanup(() => tree.remove());
    await tree.write(library(module, 'one')).commit('First');
    await tree.tag('v1.0.0');
    await tree.write({ 'pkg/pkg.go': 'package pkg\n' }).commit('Second');
    await tree.push();
    office.gitlab.clearRequests();
    return { project, tree, module, ask: (file) => get(`${service.url}/${module}/@v/${file}`) };
  });

// The time limit of the first test does not cover the start.
test.beforeAll(({ service }) => void service);
test.afterEach(({ office }) => office.gitlab.faults.clear());

describe('a version that is in GitLab but not in the store', () => {
  test('is resolved without an archive, built when it is fetched, and published from then on', async ({
    office,
    service,
    lib: { project, module, ask },
  }) => {
    const { Version: version } = JSON.parse((await ask('main.info')).text) as { Version: string };
    expect(version).toMatch(/^v1\.0\.1-0\.\d{14}-[0-9a-f]{12}$/);
    expect((await ask(`${version}.mod`)).text).toBe(`module ${module}\n\ngo 1.21\n`);
    expect(archiveRequests(office.gitlab, project)).toHaveLength(0);
    expect(await checksumsThrough(service.url, `${module}@${version}`)).toEqual(
      await checksumsDirect(office.gitlab, `${module}@${version}`),
    );
    expect(archiveRequests(office.gitlab, project)).toHaveLength(1);
    office.gitlab.clearRequests();
    for (const file of ['info', 'mod', 'zip']) expect((await ask(`${version}.${file}`)).status).toBe(200);
    expect(office.gitlab.requests).toEqual([]);
  });

  test('costs one archive for any number of simultaneous requests', async ({ office, lib: { project, ask } }) => {
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, index) => ask(index % 2 ? 'v1.0.0.zip' : 'v1.0.0.mod')),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(archiveRequests(office.gitlab, project)).toHaveLength(1);
  });

  test('is in the list of a module without published versions, and its other tags are then published', async ({
    office,
    service,
    lib: { project, tree, ask },
  }) => {
    await tree.tag('v1.1.0');
    await tree.push();
    expect((await ask('list')).text).toBe('v1.0.0\nv1.1.0\n');
    await expect
      .poll(
        () =>
          service.log.filter(({ event, project: path }) => event === 'tag.published' && path === project.path).length,
      )
      .toBe(2);
    // When all versions are published, the list costs no further requests.
    await expect
      .poll(
        async () => {
          office.gitlab.clearRequests();
          return [(await ask('list')).text, office.gitlab.requests.length];
        },
        { interval: 500 },
      )
      .toEqual(['v1.0.0\nv1.1.0\n', 0]);
  });

  test('is in the list even if older versions are published already', async ({ office, lib: { tree, ask } }) => {
    expect((await ask('v1.0.0.zip')).status).toBe(200);
    await tree.tag(['v1.1.0', 'v1.2.0-rc.1']);
    await tree.push();
    expect((await ask('list')).text).toBe('v1.0.0\nv1.1.0\nv1.2.0-rc.1\n');
    office.gitlab.faults.add({ path: /^\/api\//, times: 1000, kind: { status: 503 } });
    await expect.poll(async () => (await ask('list')).status).toBe(200);
  });

  test('gives an empty list for a module without tags, and 404 where there is no module', async ({
    office,
    service,
    lib: { project },
  }) => {
    const untagged = await office.gitlab.createProject(`group/untagged${count}`);
    await using other = await WorkTree.create(untagged);
    await other.write(library(`${PREFIX}/${untagged.path}`, 'x')).commit('Only');
    await other.push();
    expect(await get(`${service.url}/${PREFIX}/${untagged.path}/@v/list`)).toMatchObject({ status: 200, text: '' });
    expect(JSON.parse((await get(`${service.url}/${PREFIX}/${untagged.path}/@latest`)).text)).toMatchObject({
      Version: expect.stringMatching(/^v0\.0\.0-/),
    });
    for (const path of ['group', `${project.path}/pkg`, 'group/none', `${project.path}/v2`]) {
      expect(await get(`${service.url}/${PREFIX}/${path}/@v/list`), path).toMatchObject({
        status: 404,
        text: expect.stringMatching(/^not found: /),
      });
    }
  });
});

describe('an invalid request', () => {
  test('costs no archive, and no request at all when it is repeated', async ({ office, service, lib: { project } }) => {
    const paths = [
      `${project.path}/pkg/@v/main.info`,
      `${project.path}/@v/none.info`,
      `${project.path}/@v/v9.9.9.zip`,
      'group/@v/list',
      'group/none/@latest',
      `${project.path}/@v/v1.0.1-0.20200101000000-abcdefabcdef.mod`,
    ];
    for (const path of paths) expect((await get(`${service.url}/${PREFIX}/${path}`)).status, path).toBe(404);
    expect(office.gitlab.requests.length).toBeGreaterThan(0);
    expect(archiveRequests(office.gitlab, project)).toHaveLength(0);
    office.gitlab.clearRequests();
    for (const path of paths) expect((await get(`${service.url}/${PREFIX}/${path}`)).status, path).toBe(404);
    expect(office.gitlab.requests).toEqual([]);
  });

  test('fails with a reason that a developer understands', async ({ lib: { project, tree, ask } }) => {
    const commit = tree.head().slice(0, 12);
    expect(await ask(`v1.0.1-0.20200101000000-${commit}.info`)).toMatchObject({
      status: 404,
      text: expect.stringMatching(
        /its time is not the time of the commit, which is 2024\d{10}\nrequest id: [0-9a-f-]{36}\n$/,
      ),
    });
    expect((await ask('v2.0.0.info')).text).toContain(`${project.path} has no tag v2.0.0`);
  });

  test('for a version that the go command would refuse costs one archive, also when it is repeated', async ({
    office,
    lib: { project, tree, ask },
  }) => {
    await tree.write({ 'a.go': 'package lib\n', 'A.go': 'package lib\n' }).commit('Bad');
    await tree.tag('v1.9.0');
    await tree.push();
    expect(await ask('v1.9.0.zip')).toMatchObject({
      status: 404,
      text: expect.stringContaining('case-insensitive file name collision'),
    });
    // As in direct mode, which fails only at the zip.
    expect(await ask('v1.9.0.mod')).toMatchObject({ status: 200 });
    expect(await ask('v1.9.0.zip')).toMatchObject({
      status: 404,
      text: expect.stringContaining('case-insensitive file name collision'),
    });
    expect(archiveRequests(office.gitlab, project).length).toBeLessThanOrEqual(1);
  });
});

describe('an outage of GitLab', () => {
  test('returns 503 with a reason for unpublished versions, and does not affect published ones', async ({
    office,
    service,
    lib: { module, ask },
  }) => {
    expect((await ask('v1.0.0.zip')).status).toBe(200);
    office.gitlab.faults.add({ path: /^\/api\//, times: 1000, kind: { status: 503 } });
    expect(await ask('v1.0.0.zip')).toMatchObject({ status: 200 });
    expect(await ask('other.info')).toMatchObject({
      status: 503,
      text: expect.stringContaining('GitLab cannot be reached or returned an error'),
    });
    // A package of a published module: the go command requests it as if it were a module.
    expect((await get(`${service.url}/${module}/pkg/@v/v1.0.0.info`)).status).toBe(404);
  });
});

test('with ON_DEMAND=off, serves the store only: client requests cause no requests to GitLab', async ({ office }) => {
  await using strict = await startInProcess({
    ...office.settings,
    ON_DEMAND: 'off',
    SWEEP_MINUTES: '1000',
    STORE: `file:${office.folder}/strict`,
    GITLAB_SCOPE: 'another/group',
  });
  // The first sweep is over, and there is no webhook.
  const project = await office.gitlab.createProject('another/group/late');
  const module = `${PREFIX}/${project.path}`;
  await pushTags(project, library(module, 'late'), 'v1.0.0');
  office.gitlab.clearRequests();
  for (const file of ['@v/list', '@latest', '@v/main.info', '@v/v1.0.0.info', '@v/v1.0.0.mod', '@v/v1.0.0.zip']) {
    expect((await get(`${strict.url}/${module}/${file}`)).status, file).toBe(404);
  }
  expect(office.gitlab.requests).toEqual([]);
});
