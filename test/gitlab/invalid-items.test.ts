import { describe, expect } from 'vitest';
import { GitLabClient } from '../../src/gitlab/client.ts';
import type { CommitId } from '../../src/gitlab/schema.ts';
import { WebhookClient } from '../../src/gitlab/webhooks.ts';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { test as base } from '../fake-gitlab/fixtures.ts';
import { listen } from '../services/http-stub.ts';

const ID = 'c'.repeat(40) as CommitId;
const commit = (date: unknown): object => ({ id: ID, committed_date: date });
const tag = (name: string, date: unknown = '2024-01-01T00:00:00Z'): object => ({
  name,
  target: ID,
  commit: commit(date),
  created_at: null,
});
const project = (id: number, path: unknown = `group/p${id}`): object => ({
  id,
  path_with_namespace: path,
  http_url_to_repo: 'http://gitlab.example/x.git',
});

/** Serves one list, and passes two clients for it to the test, with the reasons of the items that were reported. */
const test = base.extend('serve', async ({}, { onCleanup }) => {
  return async (items: readonly unknown[]) => {
    const server = await listen((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(items));
    });
    onCleanup(server.close);
    const reported: string[] = [];
    const options = {
      http: new HttpClient(),
      url: server.url,
      token: 'x',
      beforeCall: async () => undefined,
      onInvalidItem: (reason: string) => reported.push(reason),
    };
    return { client: new GitLabClient(options), hooks: new WebhookClient(options), reported };
  };
});

describe('an invalid item', () => {
  test.for([
    ['10000-01-01T00:00:00.000+00:00', true],
    ['+010000-01-01T00:00:00.000Z', true],
    ['146138514283-06-19T07:45:37.000Z', true],
    ['9999-12-31T23:00:00.000-02:00', true],
    ['soon', false],
    [null, false],
    [253_402_300_800, false],
  ] as const)('in a list of tags, with the time %s, is listed with its name', async ([time, isTime], { serve }) => {
    const { client, reported } = await serve([tag('v1.0.0'), tag('v1.1.0', time), tag('v1.2.0')]);
    const listed = await all(client.tags(1));
    expect(listed.map(({ name, commit: id }) => [name, id])).toEqual([
      ['v1.0.0', ID],
      ['v1.1.0', ID],
      ['v1.2.0', ID],
    ]);
    expect(listed.map(({ committedAt }) => committedAt !== undefined)).toEqual([true, isTime, true]);
    expect(reported).toHaveLength(isTime ? 0 : 1);
  });

  test.for([
    [{ name: 'v1.1.0' }],
    [{ name: 'v1.1.0', commit: 5 }],
    [{ name: 'v1.1.0', commit: { id: 'x' }, target: 1 }],
  ])('in a list of tags, without a commit (%j), is listed with its name', async ([item], { serve }) => {
    const { client, reported } = await serve([tag('v1.0.0'), item]);
    expect(await all(client.tags(1))).toMatchObject([{ name: 'v1.0.0' }, { name: 'v1.1.0', commit: undefined }]);
    expect(reported).toEqual([expect.stringContaining('projects/1/repository/tags')]);
  });

  test('in a list of tags, without a name, ends the list, because a missing tag counts as deleted', async ({
    serve,
  }) => {
    const { client } = await serve([tag('v1.0.0'), { commit: commit('2024-01-01T00:00:00Z') }]);
    await expect(all(client.tags(1))).rejects.toMatchObject({ name: 'Retry' });
  });

  test('in a list of projects is left out, and the caller learns its id', async ({ serve }) => {
    const { client, reported } = await serve([project(1), project(2, null), { no: 'id' }, project(4)]);
    const ids: (number | undefined)[] = [];
    expect((await all(client.memberProjects((id) => ids.push(id)))).map(({ id }) => id)).toEqual([1, 4]);
    expect(ids).toEqual([2, undefined]);
    expect(reported).toHaveLength(2);
    expect((await all((await client.groupProjects('group')) ?? [])).map(({ id }) => id)).toEqual([1, 4]);
  });

  test('in a list of projects, with a time that cannot be read, is listed without the time', async ({ serve }) => {
    const { client } = await serve([{ ...project(1), last_activity_at: 'soon', created_at: 7 }]);
    expect(await all(client.memberProjects())).toMatchObject([
      { id: 1, lastActivityAt: undefined, createdAt: undefined },
    ]);
  });

  test('in a list of refs is left out', async ({ serve }) => {
    const { client } = await serve([{ type: 'tag' }, { type: 'tag', name: 'v1.0.0' }]);
    expect(await all(client.tagsContaining(1, ID))).toEqual(['v1.0.0']);
  });

  test('in a tree ends the listing, because the version would have another checksum without it', async ({ serve }) => {
    const entry = { path: 'a', type: 'blob', mode: '100644', id: ID };
    const { client } = await serve([entry, { ...entry, path: undefined }]);
    await expect(all(client.tree(1, ID, ''))).rejects.toMatchObject({ name: 'Retry' });
  });

  test('in a list of hooks ends the list, because a missing hook is added again', async ({ serve }) => {
    const { hooks } = await serve([{ id: 1, url: 'http://a' }, { url: 'http://b' }]);
    await expect(all(hooks.list({ kind: 'system' }))).rejects.toMatchObject({ name: 'Retry' });
  });

  test('in a list of hooks, with a time that cannot be read, is listed without the time', async ({ serve }) => {
    const { hooks } = await serve([{ id: 1, url: 'http://a', disabled_until: 'soon' }]);
    expect(await all(hooks.list({ kind: 'system' }))).toMatchObject([{ id: 1, disabledUntil: undefined }]);
  });

  test('in a list of deliveries is left out', async ({ serve }) => {
    const { hooks } = await serve([{ no: 'id' }, { id: 2, response_status: 200, created_at: 'soon' }]);
    expect(await all(hooks.deliveries({ kind: 'system' }, 1))).toMatchObject([{ id: 2, status: '200', at: undefined }]);
  });
});

async function all<T>(items: AsyncIterable<T> | Iterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}
