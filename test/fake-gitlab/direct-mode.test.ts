import { createHash } from 'node:crypto';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import { directEnv, downloadDirect } from './direct-mode.ts';
import { test } from './fixtures.ts';
import { startGitLab, type StandIn } from './stand-in.ts';
import { WorkTree } from './work-tree.ts';

describe('GOPROXY=direct against the stand-in', () => {
  const prefix = 'gitlab.example';
  test('downloads a module under its plain path, found through go-get=1', async ({ gitlab }) => {
    const commit = await publish(gitlab, 'group/proj', `${prefix}/group/proj`, 'v1.2.3');
    gitlab.clearRequests();
    await using download = await downloadDirect(gitlab, 'gitlab.example', `${prefix}/group/proj@v1.2.3`);
    const [module] = download.modules;
    expect(module).toMatchObject({
      Path: `${prefix}/group/proj`,
      Version: 'v1.2.3',
      Sum: expect.stringMatching(/^h1:.{44}$/),
      Origin: { VCS: 'git', Hash: commit, Ref: 'refs/tags/v1.2.3' },
    });
    const goMod = `module ${prefix}/group/proj\n\ngo 1.21\n`;
    const line = `${createHash('sha256').update(goMod).digest('hex')}  go.mod\n`;
    expect(module?.GoModSum).toBe(`h1:${createHash('sha256').update(line).digest('base64')}`);
    expect(JSON.parse(await readFile(module?.Info ?? '', 'utf8'))).toMatchObject({
      Version: 'v1.2.3',
      Time: '2024-05-06T07:08:09Z',
    });
    expect(gitlab.requests.filter(({ query }) => query === '?go-get=1').length).toBeGreaterThan(0);
    expect(gitlab.requests.filter(({ path }) => path === '/group/proj.git/git-upload-pack').length).toBeGreaterThan(0);
  });

  test('finds private projects in subgroups and modules in subdirectories', async ({ gitlab }) => {
    await publish(gitlab, 'group/sub/deep/mono', `${prefix}/group/sub/deep/mono/lib/v2`, 'lib/v2.0.1', 'lib/');
    await using download = await downloadDirect(
      gitlab,
      'gitlab.example',
      `${prefix}/group/sub/deep/mono/lib/v2@v2.0.1`,
      `${prefix}/group/sub/deep/mono@v9.9.9`,
    );
    const [found, missing] = download.modules;
    expect(found).toMatchObject({
      Version: 'v2.0.1',
      Sum: expect.stringContaining('h1:'),
      Origin: { Subdir: 'lib', Ref: 'refs/tags/lib/v2.0.1' },
    });
    expect(missing?.Error).toContain('unknown revision v9.9.9');
  });

  test('needs no go-get=1 for a path with .git', async ({ gitlab }) => {
    await publish(gitlab, 'group/sub/dotted', `${prefix}/group/sub/dotted.git`, 'v0.1.0');
    gitlab.clearRequests();
    await using download = await downloadDirect(gitlab, 'gitlab.example', `${prefix}/group/sub/dotted.git@v0.1.0`);
    expect(download.modules[0]).toMatchObject({ Version: 'v0.1.0', Sum: expect.stringContaining('h1:') });
    expect(gitlab.requests.filter(({ query }) => query === '?go-get=1')).toEqual([]);
  });

  test('the environment works for other go commands too', async ({ gitlab, folder }) => {
    await publish(gitlab, 'group/listed', `${prefix}/group/listed`, 'v1.4.0');
    const env = {
      ...directEnv(gitlab, 'gitlab.example'),
      GOMODCACHE: join(folder, 'mod'),
      GOPATH: join(folder, 'path'),
      GOCACHE: join(folder, 'build'),
    };
    const { stdout } = await promisify(execFile)('go', ['list', '-m', '-versions', `${prefix}/group/listed`], {
      cwd: folder,
      env,
    });
    expect(stdout).toBe(`${prefix}/group/listed v1.4.0\n`);
  });

  test('resolves a branch to the tag at its tip, and a commit between tags to a pseudo-version', async ({ gitlab }) => {
    const path = `${prefix}/group/branchy`;
    const project = await gitlab.createProject('group/branchy');
    const work = await WorkTree.create(project);
    await work.write({ 'go.mod': `module ${path}\n` }).commit('first');
    await work.tag('v1.0.0');
    const between = await work
      .write({ 'a.go': 'package a\n' })
      .commit('second', { date: '2024-05-06T07:08:09Z', committerZone: '-0330' });
    await work.write({ 'b.go': 'package a\n' }).commit('third');
    await work.tag('v1.1.0');
    await work.push();
    await using download = await downloadDirect(gitlab, 'gitlab.example', `${path}@main`, `${path}@${between}`);
    expect(download.modules.map(({ Version }) => Version)).toEqual([
      'v1.1.0',
      `v1.0.1-0.20240506070809-${between.slice(0, 12)}`,
    ]);
  });
});

test('works under a relative URL, which is then part of the module path', async () => {
  await using gitlab = await startGitLab({ relativeUrl: '/gitlab' });
  const commit = await publish(gitlab, 'group/sub/proj', 'gitlab.example/gitlab/group/sub/proj', 'v1.2.3');
  await using download = await downloadDirect(gitlab, 'gitlab.example', 'gitlab.example/gitlab/group/sub/proj@v1.2.3');
  expect(download.modules).toEqual([
    expect.objectContaining({ Version: 'v1.2.3', Origin: expect.objectContaining({ Hash: commit }) }),
  ]);
});

test('go-get=1 without a credential returns the first two path elements for a hidden project', async ({ gitlab }) => {
  await gitlab.createProject('group/sub/secret');
  await gitlab.createProject('group/sub/open', { visibility: 'public' });
  const ask = async (path: string): Promise<string | undefined> =>
    /name="go-import" content="([^"]*)"/.exec(await (await fetch(`${gitlab.url}/${path}?go-get=1`)).text())?.[1];
  const host = gitlab.url.replace('http://', '');
  expect(await ask('group/sub/open/pkg')).toBe(`${host}/group/sub/open git ${gitlab.url}/group/sub/open.git`);
  expect(await ask('group/sub/secret/pkg')).toBe(`${host}/group/sub git ${gitlab.url}/group/sub.git`);
  expect(await ask('group')).toBeUndefined();
});

async function publish(
  gitlab: StandIn,
  path: string,
  modulePath: string,
  tag: string,
  subdirectory = '',
): Promise<string> {
  const project = await gitlab.createProject(path);
  const work = await WorkTree.create(project);
  const commit = await work
    .write({
      [`${subdirectory}go.mod`]: `module ${modulePath}\n\ngo 1.21\n`,
      [`${subdirectory}lib.go`]: 'package lib\n',
      '.gitattributes': '*.go export-ignore\n',
    })
    .commit('first', { date: '2024-05-06T07:08:09Z', committerZone: '+0200' });
  await work.tag(tag);
  await work.push();
  return commit;
}
