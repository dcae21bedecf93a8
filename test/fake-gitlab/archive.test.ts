import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { describe, expect } from 'vitest';
import { call } from './api-client.ts';
import { test as base } from './fixtures.ts';
import { Git } from './git.ts';
import { startGitLab, type Project } from './stand-in.ts';
import { WorkTree } from './work-tree.ts';

const test = base
  .override('gitlabOptions', { archiveLimit: 'off' })
  .extend('project', { scope: 'file' }, async ({ gitlab }) => await gitlab.createProject('group/sub/lib'))
  /** The only commit of the project. */
  .extend('commit', { scope: 'file' }, async ({ project }) => {
    const work = await WorkTree.create(project);
    const commit = await work
      .write({
        'go.mod': 'module m\n',
        '.gitattributes': 'secret.txt export-ignore\nversion.go export-subst\n',
        'secret.txt': 'not in the archive\n',
        'version.go': 'package m // $Format:%H$\n',
        'pkg/deep/a.go': 'package a\n',
        'noise.bin': Buffer.from(Array.from({ length: 400_000 }, (_, index) => (index * index * 7919) % 251)),
        link: { symlink: 'go.mod' },
      })
      .commit('first');
    await work.tag('sub/v1.0.0');
    await work.push();
    return commit;
  })
  /** Returns the path of an archive of the project in the API. */
  .extend('path', ({ project }) => {
    return (query: string, format = ''): string => `/projects/${project.id}/repository/archive${format}?${query}`;
  })
  /** Runs `git archive` for these paths of the commit. Resolves to the tar. */
  .extend('expected', async ({ project, commit }, { onCleanup }) => {
    const git = new Git();
    onCleanup(() => git.close());
    return (prefix: string, ...paths: readonly string[]): Promise<Buffer> => {
      const args = ['archive', '--format=tar', `--prefix=${prefix}/`, commit, '--', ...paths];
      return git.run(args, { cwd: project.repositoryDir });
    };
  });

describe('archives', () => {
  test('returns the output of git archive, with export-ignore and export-subst, under the prefix of GitLab', async ({
    gitlab,
    commit,
    path,
    expected,
  }) => {
    const answer = await call(gitlab, path(`sha=${commit}&include_lfs_blobs=false`, '.tar.gz'));
    const tar = gunzipSync(answer.bytes);
    expect(tar.equals(await expected(`lib-${commit}-${commit}`, '.'))).toBe(true);
    expect(tar.includes('not in the archive')).toBe(false);
    expect(tar.includes(`package m // ${commit}`)).toBe(true);
    expect(answer.headers.get('content-disposition')).toBe(`attachment; filename="lib-${commit}-${commit}.tar.gz"`);
    expect(answer.headers.get('content-type')).toBe('application/octet-stream');
  });

  test('accepts refs with slashes, a path, and other formats', async ({ gitlab, commit, path, expected }) => {
    const byTag = await call(gitlab, path(`sha=${encodeURIComponent('sub/v1.0.0')}&path=pkg/deep`));
    expect(gunzipSync(byTag.bytes).equals(await expected(`lib-sub-v1.0.0-${commit}-pkg-deep`, 'pkg/deep'))).toBe(true);
    const tar = await call(gitlab, path('', '.tar'));
    expect(tar.bytes.equals(await expected(`lib-main-${commit}`, '.'))).toBe(true);
    expect((await call(gitlab, path('', '.zip'))).bytes.subarray(0, 4)).toEqual(Buffer.from('PK\u0003\u0004'));
    expect(await call(gitlab, path('sha=nowhere'))).toMatchObject({
      status: 404,
      json: { message: '404 File Not Found' },
    });
  });

  test('returns an empty 200 for a missing path, because the failure follows the status line', async ({
    gitlab,
    commit,
    path,
  }) => {
    const answer = await call(gitlab, path(`sha=${commit}&path=nowhere`, '.tar'));
    expect([answer.status, answer.bytes.length]).toEqual([200, 0]);
  });

  test('streams the first response without Content-Length, and sends it with cached responses', async ({ gitlab }) => {
    const other = await gitlab.createProject('group/cached');
    const work = await WorkTree.create(other);
    await work.write({ 'go.mod': 'module m\n' }).commit('first');
    await work.push();
    const address = `/projects/${other.id}/repository/archive.tar.gz`;
    const first = await call(gitlab, address);
    expect(first.headers.get('content-length')).toBeNull();
    // The cache is filled when the response ends, or a moment later.
    await expect
      .poll(async () => (await call(gitlab, address)).headers.get('content-length'), { timeout: 10_000 })
      .toBe(`${first.bytes.length}`);
    expect(sha((await call(gitlab, address)).bytes)).toBe(sha(first.bytes));
  });

  test('refuses fetch in CORS mode as hotlinking, and accepts other modes', async ({ gitlab, commit, path }) => {
    const url = `${gitlab.url}/api/v4${path(`sha=${commit}`)}`;
    const headers = { 'PRIVATE-TOKEN': gitlab.rootToken };
    expect((await fetch(url, { headers })).status).toBe(406);
    expect((await fetch(url, { headers, mode: 'same-origin' })).status).toBe(200);
  });
});

test('refuses the sixth archive of a project in a minute, for that token and that project only', async () => {
  await using gitlab = await startGitLab();
  const [one, other] = await Promise.all(['group/one', 'group/other'].map((name) => gitlab.createProject(name)));
  const archive = (project: Project | undefined, token = gitlab.rootToken): ReturnType<typeof call> =>
    call(gitlab, `/projects/${project?.id}/repository/archive`, { token });
  // An empty repository has no archive, but the request counts.
  for (let request = 0; request < 5; request += 1) expect((await archive(one)).status).toBe(404);
  const refused = await archive(one);
  expect(refused).toMatchObject({
    status: 429,
    json: { message: { error: 'This archive has been requested too many times. Try again later.' } },
  });
  expect(refused.headers.has('retry-after')).toBe(false);
  expect((await archive(other)).status).toBe(404);
  expect((await archive(one, gitlab.createToken({ scopes: ['read_api'] }))).status).toBe(404);
});

function sha(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
