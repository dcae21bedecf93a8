import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { startGo } from '../proxy/go.ts';
import { test } from './fixtures.ts';
import { startInProcess } from './in-process.ts';
import { addHook, checksumsDirect, checksumsThrough, library, openOffice, PREFIX, pushTags } from './office.ts';
import { watchVersion } from './version-watch.ts';

const secret = { token: '/the secret of the hook/' };

test.override('settings', { MODULE_MAP: 'go.corp.example=platform/go' });
// The time limit of the first test does not cover the start.
test.beforeAll(({ service }) => void service);

describe('the path of a module', () => {
  test('contains the relative URL of GitLab without any setting', async () => {
    // The GitLab of the other tests has no relative URL.
    await using office = await openOffice({ relativeUrl: '/gitlab' });
    const { MODULE_PREFIX: _, ...settings } = office.settings;
    await using service = await startInProcess(settings);
    const project = await office.gitlab.createProject('team/sub/hello');
    await addHook(office.gitlab, '/groups/team', service.url, secret);
    const module = '127.0.0.1/gitlab/team/sub/hello';
    await using watch = watchVersion(service.url, module, 'v1.0.0');
    await pushTags(project, library(module, 'relative'), 'v1.0.0');
    await watch.published;
    expect(await outputOf(service.url, module, { GONOSUMDB: '127.0.0.1/*' })).toBe('relative\n');
  }, 60_000);

  test('is the new path for a moved project, and its published versions stay', async ({ office, service }) => {
    const project = await office.gitlab.createProject('old/hello');
    await addHook(office.gitlab, `/projects/${project.id}`, service.url, secret);
    const [before, after] = [`${PREFIX}/old/hello`, `${PREFIX}/new/place/hello`];
    await using first = watchVersion(service.url, before, 'v1.0.0');
    await pushTags(project, library(before, 'old'), 'v1.0.0');
    await first.published;

    await office.gitlab.moveProject(project, 'new/place/hello');
    await using second = watchVersion(service.url, after, 'v1.1.0');
    await pushTags(project, library(after, 'new'), 'v1.1.0');
    await second.published;
    expect(await checksumsThrough(service.url, `${after}@v1.1.0`)).toEqual(
      await checksumsDirect(office.gitlab, `${after}@v1.1.0`),
    );
    const list = async (module: string): Promise<string> => (await fetch(`${service.url}/${module}/@v/list`)).text();
    expect([await list(before), await list(after)]).toEqual(['v1.0.0\n', 'v1.1.0\n']);
    expect(await outputOf(service.url, before)).toBe('old\n');
    expect(await outputOf(service.url, after)).toBe('new\n');
  }, 60_000);

  test('is only the vanity path for the projects that have one', async ({ office, service }) => {
    const [mapped, plain] = [
      await office.gitlab.createProject('platform/go/hello'),
      await office.gitlab.createProject('platform/plain'),
    ];
    await addHook(office.gitlab, '/groups/platform', service.url, secret);
    await using first = watchVersion(service.url, 'go.corp.example/hello', 'v1.0.0-rc.1');
    await using second = watchVersion(service.url, `${PREFIX}/platform/plain`, 'v1.0.0');
    await pushTags(mapped, library('go.corp.example/hello', 'vanity'), 'v1.0.0-rc.1');
    await pushTags(plain, library(`${PREFIX}/platform/plain`, 'plain'), 'v1.0.0');
    await Promise.all([first.published, second.published]);
    expect(await outputOf(service.url, 'go.corp.example/hello', { GONOSUMDB: 'go.corp.example/*' })).toBe('vanity\n');
    expect((await fetch(`${service.url}/${PREFIX}/platform/go/hello/@v/list`)).status).toBe(404);
  }, 60_000);

  test('cannot be the path of another project, whatever the go.mod declares', async ({ office, service }) => {
    const thief = await office.gitlab.createProject('evil/copy');
    await addHook(office.gitlab, '/groups/evil', service.url, secret);
    await using watch = watchVersion(service.url, `${PREFIX}/evil/copy`, 'v1.0.0');
    const tree = await WorkTree.create(thief);
    await tree.write(library(`${PREFIX}/platform/hello`, 'stolen')).commit('A copy');
    await tree.tag('v1.0.0');
    await tree.push('main', 'v1.0.0');
    await watch.published;
    expect((await fetch(`${service.url}/${PREFIX}/platform/hello/@v/list`)).status).toBe(404);
    expect(service.log).toContainEqual(
      expect.objectContaining({ event: 'tag.published', note: expect.stringContaining(`${PREFIX}/platform/hello`) }),
    );
  });
});

/** The output of a program that prints the word of a module, which the real go command gets from the proxy. */
async function outputOf(proxyUrl: string, module: string, env: Record<string, string> = {}): Promise<string> {
  await using go = await startGo(proxyUrl, env);
  await writeFile(
    join(go.folder, 'main.go'),
    `package main\n\nimport "${module}"\n\nfunc main() { println(hello.Word()) }\n`,
  );
  const got = await go.run('get', `${module}@latest`);
  if (!got.ok) throw new Error(got.stderr);
  expect(await readFile(join(go.folder, 'go.sum'), 'utf8')).toContain(`${module} `);
  return (await go.run('run', '.')).stderr;
}
