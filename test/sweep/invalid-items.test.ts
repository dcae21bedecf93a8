import { describe, expect } from 'vitest';
import { deletedTagKey } from '../../src/store/layout.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { test } from './fixtures.ts';
import { pushModule, sweepOnce, tagsOf } from './sweeping.ts';

/** A response of GitLab, as an array that the test can change. */
async function listAt(url: string, token: string): Promise<Record<string, unknown>[]> {
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  return (await response.json()) as Record<string, unknown>[];
}

describe('a sweep', () => {
  test('queues a tag on a commit in the year 10000, and the other tags of its project', async ({
    gitlab,
    publishing,
  }) => {
    const project = await gitlab.createProject('team/far');
    await using tree = await WorkTree.create(project);
    await tree.write({ 'go.mod': 'module gitlab.example/team/far\n' }).commit('First');
    await tree.tag('v1.0.0');
    await tree.write({ 'a.go': 'package far\n' }).commit('Far', { date: new Date(Date.UTC(10_000, 0, 1)) });
    await tree.tag('v1.1.0');
    await tree.push();
    const { jobs, log } = await sweepOnce(gitlab, publishing.store);
    expect(tagsOf(jobs)).toEqual(['v1.0.0', 'v1.1.0']);
    expect(log.filter(({ event }) => event === 'project.failed')).toEqual([]);
    gitlab.clearRequests();
    for (const job of jobs) expect(await publishing.publisher.publish(job)).toMatchObject({ outcome: {} });
    // The jobs use the times of the listing.
    expect(gitlab.requests.filter(({ path }) => /\/repository\/tags\//.test(path))).toEqual([]);
    expect((await sweepOnce(gitlab, publishing.store)).jobs).toEqual([]);
  });

  test('queues a tag that GitLab describes in an unknown form, and does not take it for a deleted one', async ({
    gitlab,
    publishing,
    sweepAndPublish,
  }) => {
    const project = await gitlab.createProject('team/lib');
    await pushModule(project, 'v1.0.0', 'v1.1.0');
    const endpoint = `/projects/${project.id}/repository/tags`;
    const tags = await listAt(`${gitlab.url}/api/v4${endpoint}`, gitlab.rootToken);
    for (const tag of tags) tag['commit'] = { ...(tag['commit'] as object), committed_date: 'soon' };
    const path = new RegExp(`${endpoint}\\?`);
    const kind = { status: 200, body: tags, headers: { 'content-type': 'application/json' } };
    gitlab.faults.add({ path, kind });
    const { jobs } = await sweepAndPublish();
    expect(tagsOf(jobs)).toEqual(['v1.0.0', 'v1.1.0']);
    expect(jobs.map(({ cachedTag }) => cachedTag)).toEqual([undefined, undefined]);
    for (const tag of tags) tag['commit'] = 'unknown';
    gitlab.faults.add({ path, kind });
    expect((await sweepAndPublish()).jobs).toEqual([]);
    const commit = jobs[0]?.hint ?? '';
    expect(await publishing.store.stat(deletedTagKey(project.id, 'v1.0.0', commit))).toBeUndefined();
    gitlab.faults.clear();
    expect((await sweepAndPublish()).jobs).toEqual([]);
  });

  test('does not take a project that GitLab describes in an unknown form for one that has vanished', async ({
    gitlab,
    publishing,
  }) => {
    await gitlab.createProject('team/lib');
    const other = await gitlab.createProject('team/other');
    await sweepOnce(gitlab, publishing.store);
    const projects = await listAt(`${gitlab.url}/api/v4/projects?membership=true`, gitlab.rootToken);
    const unreadable = projects.find(({ id }) => id === other.id);
    for (const id of [other.id, 'unknown']) {
      Object.assign(unreadable ?? {}, { id, path_with_namespace: null });
      const kind = { status: 200, body: projects, headers: { 'content-type': 'application/json' } };
      const fault = gitlab.faults.add({ path: /\/projects\?/, kind });
      const { result, log } = await sweepOnce(gitlab, publishing.store);
      expect(fault.hits).toBe(1);
      expect(result.projects).toBe(1);
      expect(log.filter(({ event }) => event !== undefined && /^projects?\./.test(event))).toEqual([]);
    }
    await gitlab.deleteProject(other);
    const { log } = await sweepOnce(gitlab, publishing.store);
    expect(log).toContainEqual(expect.objectContaining({ event: 'project.vanished', projectId: other.id }));
  });
});
