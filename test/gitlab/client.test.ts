import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HttpClient } from '../../src/http-client/http-client.ts';
import type { BlobId, CommitId } from '../../src/gitlab/schema.ts';
import { GitLabClient } from '../../src/gitlab/client.ts';
import { startGitLab, type Project, type StandIn } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { listen } from '../services/http-stub.ts';

let gitlab: StandIn;
let project: Project;
let commit: CommitId;
let client: GitLabClient;

beforeAll(async () => {
  gitlab = await startGitLab({ relativeUrl: '/gitlab', archiveLimit: 'off' });
  project = await gitlab.createProject('group/sub/lib');
  await using tree = await WorkTree.create(project);
  tree.write(Object.fromEntries(Array.from({ length: 350 }, (_, i) => [`d${i % 7}/f${i}`, `${i}`])));
  tree.write({ 'big.bin': Buffer.alloc(8 << 20, 'x'), link: { symlink: 'big.bin' } });
  commit = (await tree.commit('All', { committerZone: '-0730' })) as CommitId;
  await tree.tag(Array.from({ length: 230 }, (_, i) => `t${i}`));
  await tree.tag('v1.0.0', { annotated: true });
  await tree.push();
  client = clientFor(gitlab.url, gitlab.createToken({ scopes: ['read_api'] }));
});
afterAll(() => gitlab.close());

test('the client returns the commit of a lightweight or annotated tag, with its time in UTC', async () => {
  expect(await client.tag(project.id, 'v1.0.0')).toEqual({
    name: 'v1.0.0',
    commit,
    committedAt: new Date('2024-01-01T00:00:00Z'),
    createdAt: expect.any(Date),
    target: expect.stringMatching(/^[0-9a-f]{40}$/),
  });
  expect(await client.tag(project.id, 'v9.0.0')).toBeUndefined();
});

test('the client returns all items of a list with several pages', async () => {
  expect(await all(client.tags(project.id))).toHaveLength(231);
  const tree = await all(client.tree(project.id, commit, ''));
  expect(tree.filter((entry) => entry.type === 'blob')).toHaveLength(352);
  expect((await all(client.tree(project.id, commit, 'd3'))).every((entry) => entry.path.startsWith('d3/'))).toBe(true);
});

test('the client returns files and blobs as git stores them, and undefined for a missing file', async () => {
  expect((await client.file(project.id, commit, 'link', 100))?.toString()).toBe('big.bin');
  expect(await client.file(project.id, commit, 'nowhere', 100)).toBeUndefined();
  await expect(client.file(project.id, commit, 'big.bin', 100)).rejects.toThrow('big.bin is larger than 100 bytes');
  const entries = await all(client.tree(project.id, commit, ''));
  const big = entries.find((entry) => entry.path === 'big.bin');
  expect(await buffer(await client.blob(project.id, big?.blob ?? ('' as BlobId)))).toHaveLength(8 << 20);
});

test.each(['404 Commit Not Found', '404 Project Not Found', undefined])(
  'the client does not treat a 404 for the commit (%s) as a commit without files',
  async (message) => {
    const missing = gitlab.faults.add({
      path: /\/(?:files|tree)\b/,
      times: 2,
      kind: { status: 404, body: message === undefined ? 'not found' : { message } },
    });
    await expect(client.file(project.id, commit, 'go.mod', 100)).rejects.toMatchObject({
      name: 'Retry',
      message: expect.stringContaining('answered 404'),
    });
    await expect(all(client.tree(project.id, commit, ''))).rejects.toMatchObject({
      name: 'Retry',
      message: expect.stringContaining('answered 404'),
    });
    expect(missing.hits).toBe(2);
  },
);

test('the client streams an archive, so that the first bytes arrive long before the last', async () => {
  gitlab.faults.add({ path: /archive/, kind: { trickleBytesPerSecond: 2000 } });
  const archive = await client.archive(project.id, commit, '');
  const [first] = (await once(archive, 'data')) as [Buffer];
  expect(first.length).toBeLessThan(8 << 20);
  archive.destroy();
  gitlab.faults.clear();
});

test('the client finds a moved project by its old path and by its id', async () => {
  const moving = await gitlab.createProject('group/old');
  await gitlab.moveProject(moving, 'group/sub/new');
  expect(await client.project('group/old')).toMatchObject({ id: moving.id, path: 'group/sub/new' });
  expect(await client.project(moving.id)).toMatchObject({ path: 'group/sub/new' });
  expect(await client.project('group/never')).toBeUndefined();
});

describe('the client rejects with a Retry that explains what to do', () => {
  test.each([
    [401, {}, 'is GITLAB_TOKEN still valid', 300_000],
    [403, {}, 'read_api', 300_000],
    [429, {}, 'answered 429', 60_000],
    [429, { 'retry-after': '121' }, 'answered 429', 121_000],
    [429, { 'retry-after': '-99' }, 'answered 429', 60_000],
    [429, { 'retry-after': '' }, 'answered 429', 60_000],
    [400, {}, 'answered 400', undefined],
  ])('after status %i with headers %j', async (status, headers, text, afterMs) => {
    await using server = await listen((_, response) => response.writeHead(status, headers).end('{"message":"no"}'));
    await expect(clientFor(server.url, 'x').tag(1, 'v1.0.0')).rejects.toMatchObject({
      name: 'Retry',
      afterMs,
      message: expect.stringContaining(text),
    });
  });

  test('after a response that is not JSON', async () => {
    await using server = await listen((_, response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Sign in</html>'),
    );
    await expect(clientFor(server.url, 'x').tag(1, 'v1.0.0')).rejects.toMatchObject({
      name: 'Retry',
      message: expect.stringContaining('does not match the documentation of its API'),
    });
  });

  test('if no server listens', async () => {
    await expect(clientFor('http://127.0.0.1:9', 'x').tag(1, 'v1.0.0')).rejects.toMatchObject({
      name: 'Retry',
      message: expect.stringContaining('does not answer'),
    });
  });

  test('after a redirect to another host, and sends this host neither a request nor the token', async () => {
    const seen: unknown[] = [];
    await using other = await listen((request, response) => {
      seen.push(request.headers.authorization);
      response.end('{}');
    });
    await using server = await listen((_, response) => response.writeHead(302, { location: `${other.url}/x` }).end());
    await expect(clientFor(server.url, 'secret').tag(1, 'v1.0.0')).rejects.toMatchObject({
      name: 'Retry',
      message: expect.stringContaining('set GITLAB_URL to the address'),
    });
    expect(seen).toEqual([]);
  });
});

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

function clientFor(url: string, token: string): GitLabClient {
  return new GitLabClient({ http: new HttpClient(), url, token, beforeCall: async () => undefined });
}
