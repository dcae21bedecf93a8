import { describe, expect } from 'vitest';
import type { GitLabClient } from '../../src/gitlab/client.ts';
import type { BlobId, CommitId } from '../../src/gitlab/schema.ts';
import { test as base } from '../fake-gitlab/fixtures.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';

const COMMIT = 'c'.repeat(40) as CommitId;

const test = base.extend('project', { scope: 'file' }, async ({ gitlab }) => {
  const project = await gitlab.createProject('group/lib');
  await using tree = await WorkTree.create(project);
  tree.write({ 'go.mod': 'module gitlab.example/group/lib\n' });
  const commit = (await tree.commit('First')) as CommitId;
  await tree.tag(['v1.0.0']);
  await tree.push();
  return { id: project.id, commit };
});

/** Every read of the client, as a call about an object that does not exist. */
const READS: Record<string, (client: GitLabClient, project: number) => Promise<unknown>> = {
  project: (client) => client.project('group/none'),
  group: (client) => client.hasGroup('none'),
  'projects of a group': async (client) => {
    const projects = await client.groupProjects('none');
    return projects && (await all(projects));
  },
  'projects of the token': (client) => all(client.memberProjects()),
  tag: (client, project) => client.tag(project, 'v9.0.0'),
  tags: (client, project) => all(client.tags(project)),
  branch: (client, project) => client.branch(project, 'none'),
  commit: (client, project) => client.commit(project, 'deadbeef'),
  'refs of a commit': (client, project) => client.isReachable(project, COMMIT),
  'tags of a commit': (client, project) => all(client.tagsContaining(project, COMMIT)),
  'merge base': (client, project) => client.mergeBase(project, COMMIT, COMMIT),
  tree: (client, project) => all(client.tree(project, COMMIT, '')),
  file: (client, project) => client.file(project, COMMIT, 'none', 100),
  blob: (client, project) => client.blob(project, COMMIT as string as BlobId),
  archive: (client, project) => client.archive(project, COMMIT, ''),
};

/** The 404 of GitLab that means absence, and what the client returns for it. */
const ABSENCE: Record<string, readonly [message: string, result: unknown][]> = {
  project: [['404 Project Not Found', undefined]],
  group: [['404 Group Not Found', false]],
  'projects of a group': [['404 Group Not Found', undefined]],
  tag: [
    ['404 Tag Not Found', undefined],
    ['404 Project Not Found', undefined],
  ],
  // GitLab responds like this for a project without a repository.
  tags: [['404 Not Found', []]],
  branch: [['404 Branch Not Found', undefined]],
  commit: [['404 Commit Not Found', undefined]],
  'merge base': [['404 Merge Base Not Found', undefined]],
  file: [['404 File Not Found', undefined]],
};

const FOREIGN = {
  'plain text of an ingress': { status: 404, body: 'default backend - 404', headers: { 'content-type': 'text/plain' } },
  'a page of a load balancer': {
    status: 404,
    body: '<html><h1>404 Not Found</h1></html>',
    headers: { 'content-type': 'text/html' },
  },
  'JSON of another server': { status: 404, body: { message: 'no Route matched with those values' } },
  'an unknown route of GitLab': { status: 404, body: { error: '404 Not Found' } },
  'JSON about another object': { status: 404, body: { message: '404 Wiki Not Found' } },
  'a login page': {
    status: 200,
    body: '<!DOCTYPE html><html>Please log in</html>',
    headers: { 'content-type': 'text/html' },
  },
};

describe.for(Object.keys(READS))('reading %s', (name) => {
  const read = READS[name];
  if (!read) throw new Error(`there is no read of ${name}`);

  test.for(responsesFor(name))('rejects with Retry after %s', async ([, response], { gitlab, client, project }) => {
    using fault = addFault(gitlab, response);
    await expect(read(client, project.id)).rejects.toMatchObject({ name: 'Retry' });
    expect(fault.hits).toBeGreaterThan(0);
  });

  test.for(ABSENCE[name] ?? [])('takes "%s" for absence', async ([message, result], { gitlab, client, project }) => {
    using fault = addFault(gitlab, { status: 404, body: { message } }, 1);
    expect(await read(client, project.id)).toEqual(result);
    expect(fault.hits).toBe(1);
  });
});

test('a commit is absent only if GitLab can read the repository', async ({ gitlab, client, project }) => {
  expect(await client.commit(project.id, 'deadbeef')).toBeUndefined();
  // While Gitaly is down, GitLab responds with 404 for commits, and with 503 for tags.
  using commits = addFault(gitlab, { status: 404, body: { message: '404 Commit Not Found' } }, 1, /\/commits\//);
  using tags = addFault(gitlab, { status: 503, body: { message: '503 Service Unavailable' } }, 9, /\/tags/);
  await expect(client.commit(project.id, project.commit)).rejects.toMatchObject({ name: 'Retry', status: 503 });
  expect([commits.hits, tags.hits]).toEqual([1, 3]);
});

test.for([
  ['other bytes', (body: string) => ({ body, headers: { 'x-gitlab-blob-id': '1'.repeat(40) } })],
  ['a response without the id of a blob', (body: string) => ({ body, headers: {} })],
] as const)('a file is refused if GitLab sends %s', async ([, response], { gitlab, client, project }) => {
  expect(String(await client.file(project.id, project.commit, 'go.mod', 100))).toContain('module ');
  using fault = addFault(gitlab, { status: 200, ...response('<html>Please log in</html>') });
  await expect(client.file(project.id, project.commit, 'go.mod', 100)).rejects.toMatchObject({ name: 'Retry' });
  expect(fault.hits).toBe(1);
});

/** A login page instead of a blob or an archive is noticed by its bytes, where they are read. */
function responsesFor(name: string): [kind: string, response: object][] {
  const isStream = name === 'blob' || name === 'archive';
  return Object.entries(FOREIGN).filter(([kind]) => !isStream || kind !== 'a login page');
}

interface Faulty {
  readonly faults: { add(fault: object): { remove(): void; readonly hits: number } };
}

function addFault(gitlab: Faulty, kind: object, times = 100, path = /./): Disposable & { readonly hits: number } {
  const added = gitlab.faults.add({ path, times, kind });
  return {
    get hits() {
      return added.hits;
    },
    [Symbol.dispose]: () => added.remove(),
  };
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}
