import { describe, expect } from 'vitest';
import { all, call } from './api-client.ts';
import { test as base } from './fixtures.ts';
import { WorkTree } from './work-tree.ts';

const test = base
  .override('gitlabOptions', { relativeUrl: '/gitlab/' })
  .extend('secret', { scope: 'file', auto: true }, async ({ gitlab }) => {
    return await gitlab.createProject('group/deep/secret');
  })
  .extend('open', { scope: 'file', auto: true }, async ({ gitlab }) => {
    return await gitlab.createProject('group/open', { visibility: 'public' });
  });

describe('access control', () => {
  test.beforeAll(async ({ gitlab }) => {
    await gitlab.createProject('group/old', { archived: true });
  });

  test('refuses bad, expired and weak tokens with the error texts of GitLab', async ({ gitlab, secret }) => {
    const path = `/projects/${secret.id}`;
    expect(await call(gitlab, path, { token: 'wrong' })).toMatchObject({
      status: 401,
      json: { message: '401 Unauthorized' },
    });
    expect(await call(gitlab, '/user', { token: null })).toMatchObject({
      status: 401,
      json: { message: '401 Unauthorized' },
    });
    const expired = gitlab.createToken({ scopes: ['api'], expired: true });
    expect(await call(gitlab, path, { token: expired })).toMatchObject({
      status: 401,
      json: {
        error: 'invalid_token',
        error_description: 'Token is expired. You can either do re-authorization or token refresh.',
      },
    });
    const weak = gitlab.createToken({ scopes: ['read_repository'] });
    expect(await call(gitlab, `${path}/repository/archive`, { token: weak })).toMatchObject({
      status: 403,
      json: { error: 'insufficient_scope', scope: 'api read_api' },
    });
    expect((await call(gitlab, '/personal_access_tokens/self', { token: weak })).json).toMatchObject({
      scopes: ['read_repository'],
      active: true,
    });
  });

  test('returns 404 for a private project to non-members, for every kind of credential', async ({
    gitlab,
    secret,
    open,
  }) => {
    const stranger = gitlab.createToken({ scopes: ['read_api'], projects: ['group/open'] });
    for (const token of [stranger, null]) {
      expect(await call(gitlab, `/projects/${secret.id}`, { token })).toMatchObject({
        status: 404,
        json: { message: '404 Project Not Found' },
      });
      expect((await call(gitlab, `/projects/${open.id}`, { token })).json).toMatchObject({ id: open.id });
    }
    const member = gitlab.createToken({ scopes: ['read_api'], projects: ['group/deep'] });
    const headers = { Authorization: `Bearer ${member}` };
    expect((await call(gitlab, `/projects/${secret.id}`, { token: null, headers })).json).toMatchObject({
      path_with_namespace: 'group/deep/secret',
      http_url_to_repo: `${gitlab.url}/group/deep/secret.git`,
      namespace: { full_path: 'group/deep' },
      archived: false,
      empty_repo: true,
    });
    expect((await call(gitlab, '/projects?membership=true', { token: member })).json).toHaveLength(1);
  });

  test('lists projects by keyset and by group, with and without archived projects', async ({ gitlab }) => {
    const keyset = await all(gitlab, '/projects?pagination=keyset&order_by=id&sort=asc&per_page=1&membership=true');
    expect(keyset.items).toHaveLength(3);
    expect(keyset.pages).toBe(4);
    expect((await call(gitlab, '/projects?pagination=keyset')).status).toBe(405);
    const paths = async (query: string): Promise<string[]> =>
      ((await all(gitlab, `/groups/group/projects?${query}`)).items as { path_with_namespace: string }[])
        .map((project) => project.path_with_namespace)
        .sort();
    expect(await paths('')).toEqual(['group/old', 'group/open']);
    expect(await paths('include_subgroups=true&with_shared=false&archived=false&per_page=1')).toEqual([
      'group/deep/secret',
      'group/open',
    ]);
    expect(await call(gitlab, '/groups/nowhere')).toMatchObject({
      status: 404,
      json: { message: '404 Group Not Found' },
    });
    expect((await call(gitlab, `/groups/${encodeURIComponent('group/deep')}`)).json).toMatchObject({
      full_path: 'group/deep',
    });
  });

  test('keeps the id of a moved project and returns 301 for its old path; git works with both paths', async ({
    gitlab,
  }) => {
    const project = await gitlab.createProject('group/before');
    const work = await WorkTree.create(project);
    await work.write({ 'go.mod': 'module m\n' }).commit('first');
    await work.tag('v1.0.0');
    await work.push();
    const oldUrl = project.gitUrl;
    await gitlab.moveProject(project, 'other/deep/after');
    const answer = await call(gitlab, `/projects/${encodeURIComponent('group/before')}/repository/tags?per_page=5`);
    expect(answer.status).toBe(301);
    expect(answer.headers.get('location')).toBe(
      `${gitlab.url}/api/v4/projects/${project.id}/repository/tags?per_page=5`,
    );
    expect((await call(gitlab, answer.headers.get('location') ?? '')).json).toHaveLength(1);
    expect((await call(gitlab, `/projects/${encodeURIComponent('other/deep/after')}`)).json).toMatchObject({
      id: project.id,
    });
    expect(project.path).toBe('other/deep/after');
    for (const url of [oldUrl, project.gitUrl])
      expect(await work.git('ls-remote', url, 'refs/tags/v1.0.0')).toContain('refs/tags/v1.0.0');

    await gitlab.deleteProject(project);
    expect((await call(gitlab, `/projects/${project.id}`)).status).toBe(404);
  });

  test('returns errors for unknown routes and malformed paths', async ({ gitlab }) => {
    expect(await call(gitlab, '/nowhere')).toMatchObject({ status: 404, json: { error: '404 Not Found' } });
    expect((await call(gitlab, '/projects/%ff')).status).toBe(400);
    expect((await call(gitlab, '/version')).json).toMatchObject({ version: expect.stringMatching(/^19\./) });
  });

  test('records each request with its response status', async ({ gitlab, secret }) => {
    gitlab.clearRequests();
    await call(gitlab, `/projects/${secret.id}?x=1`);
    await call(gitlab, '/user', { token: null });
    await fetch(`${gitlab.url}/`);
    expect(gitlab.requests).toEqual([
      {
        method: 'GET',
        path: `/api/v4/projects/${secret.id}`,
        query: '?x=1',
        status: 200,
        at: expect.any(Date),
        token: 'private-token',
      },
      { method: 'GET', path: '/api/v4/user', query: '', status: 401, at: expect.any(Date), token: 'none' },
      expect.objectContaining({ path: '/', status: 404 }),
    ]);
  });
});
