import { Gitlab } from '@gitbeaker/rest';
import { gunzipSync } from 'node:zlib';
import { buffer } from 'node:stream/consumers';
import { expect } from 'vitest';
import { test } from './fixtures.ts';
import { WorkTree } from './work-tree.ts';

test.override('gitlabOptions', { relativeUrl: '/gitlab' });

test('works with the client library that modpress uses', async ({ gitlab }) => {
  const project = await gitlab.createProject('group/sub/lib');
  const work = await WorkTree.create(project);
  const commit = await work.write({ 'go.mod': 'module m\n', 'pkg/a.go': 'package a\n' }).commit('first');
  await work.tag(Array.from({ length: 120 }, (_, index) => `v0.${index}.0`));
  await work.push();

  const client = new Gitlab({ host: gitlab.url, token: gitlab.rootToken });
  const tags = await client.Tags.all(project.path, {
    pagination: 'keyset',
    perPage: 100,
    orderBy: 'name',
    sort: 'asc',
  });
  expect(new Set(tags.map(({ name }) => name)).size).toBe(120);
  expect(await client.Commits.show(project.id, 'v0.7.0')).toMatchObject({ id: commit });
  expect(await client.Groups.allProjects('group', { includeSubgroups: true, withShared: false })).toEqual([
    expect.objectContaining({ id: project.id, path_with_namespace: 'group/sub/lib' }),
  ]);
  expect(
    await client.Projects.all({ membership: true, pagination: 'keyset', orderBy: 'id', sort: 'asc' }),
  ).toHaveLength(1);
  const tree = await client.Repositories.allRepositoryTrees(project.id, {
    recursive: true,
    pagination: 'keyset',
    perPage: 100,
  });
  expect(tree.map(({ path }) => path)).toEqual(['pkg', 'go.mod', 'pkg/a.go']);
  expect(await client.RepositoryFiles.showRaw(project.id, 'pkg/a.go', commit)).toBe('package a\n');
  const hook = await client.ProjectHooks.add(project.id, 'http://127.0.0.1:9/', {
    tagPushEvents: true,
    pushEvents: false,
    token: 'secret',
  });
  expect(hook).toMatchObject({ tag_push_events: true, push_events: false, alert_status: 'executable' });
  const stream = await client.Repositories.showArchive(project.id, { fileType: 'tar.gz', sha: commit, asStream: true });
  expect(gunzipSync(await buffer(stream as unknown as AsyncIterable<Uint8Array>)).includes('package a')).toBe(true);
});
