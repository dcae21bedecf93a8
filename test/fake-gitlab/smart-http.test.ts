import { describe, expect } from 'vitest';
import { test as base } from './fixtures.ts';
import type { Project } from './stand-in.ts';
import { WorkTree } from './work-tree.ts';

const test = base
  .extend('secret', { scope: 'file', auto: true }, async ({ gitlab }) => await gitlab.createProject('group/secret'))
  .extend('open', { scope: 'file', auto: true }, async ({ gitlab }) => {
    return await gitlab.createProject('group/open', { visibility: 'public' });
  });

describe('git over HTTP', () => {
  test('info/refs succeeds only for callers who may read', async ({ gitlab, secret, open }) => {
    const nobody = await ask(secret);
    expect([nobody.status, nobody.headers.get('www-authenticate')]).toEqual([401, 'Basic realm="GitLab"']);
    expect((await ask(open)).status).toBe(200);
    expect((await ask(open, basic('wrong'))).status).toBe(401);
    expect((await ask(secret, basic(gitlab.createToken({ scopes: ['api'], expired: true })))).status).toBe(401);
    expect(
      (await ask(secret, basic(gitlab.createToken({ scopes: ['read_repository'], projects: ['group/open'] })))).status,
    ).toBe(404);
    const allowed = await ask(secret, basic(gitlab.createToken({ scopes: ['read_repository'] })));
    expect([allowed.status, allowed.headers.get('content-type')]).toEqual([
      200,
      'application/x-git-upload-pack-advertisement',
    ]);
    expect(await allowed.text()).toMatch(/^001e# service=git-upload-pack\n0000/);
    expect((await ask(open, {}, 'git-upload-pack', 'HEAD')).status).toBe(403);
  });

  test('accepts a push only from a member with the scope api, and not to an archived project', async ({
    gitlab,
    secret,
    open,
  }) => {
    const refused = async (project: Project, token: string): Promise<number> =>
      (await ask(project, basic(token), 'git-receive-pack')).status;
    expect(await refused(secret, gitlab.createToken({ scopes: ['read_api'] }))).toBe(403);
    expect(await refused(secret, gitlab.createToken({ scopes: ['api'], role: 'reporter' }))).toBe(403);
    expect(await refused(open, gitlab.createToken({ scopes: ['api'], projects: ['elsewhere'] }))).toBe(403);
    expect(await refused(await gitlab.createProject('group/old', { archived: true }), gitlab.rootToken)).toBe(403);
    expect((await ask(open, {}, 'git-receive-pack')).status).toBe(401);
    expect(await refused(secret, gitlab.rootToken)).toBe(200);
  });

  test('clones what was pushed, with a request large enough to be compressed', async ({ open }) => {
    const work = await WorkTree.create(open);
    for (let commit = 0; commit < 3; commit += 1)
      await work.write({ 'a.go': `package a // ${commit}\n` }).commit(`commit ${commit}`);
    const tags = Array.from({ length: 120 }, (_, index) => `v0.${index}.0`);
    await work.tag(tags, { annotated: true });
    await work.push();
    const clone = await WorkTree.create(open);
    for (const version of ['0', '2']) {
      await clone.git('-c', `protocol.version=${version}`, 'fetch', '--quiet', open.httpUrl, '+refs/*:refs/*');
      expect((await clone.git('tag', '--list')).split('\n')).toHaveLength(121);
      expect((await clone.git('rev-parse', 'main')).trim()).toBe(work.head());
    }
    // The many local tips make the next request long, so git compresses it.
    await work.write({ 'b.go': 'package a\n' }).commit('more');
    await work.push();
    await clone.git('-c', 'protocol.version=0', 'fetch', '--quiet', open.httpUrl, '+refs/heads/*:refs/heads/*');
    expect((await clone.git('rev-parse', 'main')).trim()).toBe(work.head());
  });

  test('redirects an address without .git to the one with it', async ({ gitlab }) => {
    const response = await fetch(`${gitlab.url}/group/open/info/refs?service=git-upload-pack`, { redirect: 'manual' });
    expect([response.status, response.headers.get('location')]).toEqual([
      301,
      '/group/open.git/info/refs?service=git-upload-pack',
    ]);
  });

  test('accepts all of several simultaneous pushes', async ({ gitlab }) => {
    const project = await gitlab.createProject('group/busy');
    const trees = await Promise.all(['a', 'b', 'c'].map((branch) => WorkTree.create(project, branch)));
    await Promise.all(
      trees.map(async (work, index) => {
        await work.write({ 'x.go': `package x // ${index}\n` }).commit('x');
        await work.push();
      }),
    );
    const listed = await trees[0]?.git('ls-remote', project.gitUrl);
    for (const work of trees) expect(listed).toContain(work.head());
  });
});

function basic(password: string): Record<string, string> {
  return { Authorization: `Basic ${Buffer.from(`anyone:${password}`).toString('base64')}` };
}

function ask(
  project: Project,
  headers: Record<string, string> = {},
  service = 'git-upload-pack',
  method = 'GET',
): Promise<Response> {
  return fetch(`${project.httpUrl}/info/refs?service=${service}`, { headers, method });
}
