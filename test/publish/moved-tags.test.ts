import { describe, expect } from 'vitest';
import type { CommitId } from '../../src/gitlab/schema.ts';
import { listedTag, type TagJob } from '../../src/queue/tag-job.ts';
import { listKey, outcomesPrefix } from '../../src/store/layout.ts';
import type { Project } from '../fake-gitlab/stand-in.ts';
import { withStore } from '../proxy/server.ts';
import { test as base, type Repository } from './fixtures.ts';
import type { Publishing } from './publishing.ts';

const RETAGS = ['refuse', 'replace'] as const;

interface Library extends Repository {
  /** The two commits of the branch main. */
  readonly first: string;
  readonly second: string;
}

const test = base
  /** A project with two commits, and the tag v1.0.0 on the first. */
  .extend('lib', async ({ createRepository }): Promise<Library> => {
    const { project, tree, module } = await createRepository();
    const first = await tree.write({ 'go.mod': `module ${module}\n` }).commit('First');
    await tree.tag('v1.0.0');
    await tree.push();
    const second = await tree.write({ 'lib.go': 'package lib\n' }).commit('Second');
    await tree.push('+main');
    return { project, tree, module, first, second };
  });

describe('a listed tag that moved before its job ran', () => {
  test.for(RETAGS)(
    'does not change the version published from its new commit, with RETAG=%s',
    async (retag, { createPublishing, lib }) => {
      const { project, first, second } = lib;
      const publishing = await createPublishing({ retag });
      const listed = listedAt(first, project);
      await moveTag(lib, second);
      // A push comes before all listed ones.
      await publishing.publisher.publish({ projectId: project.id, tag: 'v1.0.0' });
      expect(await publishing.publisher.publish(listed)).toEqual({
        dismissed: `tag v1.0.0 of project ${project.id} no longer points at ${first}`,
      });
      expect(await publishedCommit(publishing, lib)).toBe(second);
      expect(await outcomes(publishing, project)).toEqual([second]);
    },
  );
});

test('RETAG=replace publishes a tag again that moves back to an earlier commit', async ({ createPublishing, lib }) => {
  const { project, first, second } = lib;
  const publishing = await createPublishing({ retag: 'replace' });
  const commits: (string | undefined)[] = [];
  for (const commit of [first, second, first, second]) {
    await moveTag(lib, commit);
    expect(await publishing.publisher.publish({ projectId: project.id, tag: 'v1.0.0' })).toMatchObject({
      outcome: { status: 'published', commit },
      known: false,
    });
    // No outcome may remain for a removed version: the sweep would consider the tag done.
    expect(await outcomes(publishing, project)).toEqual([commit]);
    commits.push(await publishedCommit(publishing, lib));
  }
  expect(commits).toEqual([first, second, first, second]);
});

test('RETAG=refuse keeps the outcomes of both commits', async ({ publishing, lib }) => {
  const { project, first, second } = lib;
  for (const commit of [first, second, first]) {
    await moveTag(lib, commit);
    await publishing.publisher.publish({ projectId: project.id, tag: 'v1.0.0' });
  }
  expect(await publishedCommit(publishing, lib)).toBe(first);
  expect(await outcomes(publishing, project)).toEqual([first, second].toSorted());
});

test('a list that was not written before a crash is written by the next attempt', async ({
  publishing: { publisher, store },
  createPublishing,
  lib: { project, module },
}) => {
  const dying = withStore(store, {
    put: async (key, body) => {
      if (key.endsWith('/list')) throw new Error('died');
      await store.put(key, body);
    },
  });
  const job = { projectId: project.id, tag: 'v1.0.0' };
  await expect((await createPublishing({ store: dying })).publisher.publish(job)).rejects.toThrow('died');
  await publisher.publish(job);
  expect(String(await store.get(listKey(module)))).toBe('v1.0.0\n');
});

test('a list written from an outdated listing is replaced', async ({
  publishing: { publisher, store },
  createPublishing,
  lib: { project, tree, module },
}) => {
  await tree.tag('v1.1.0');
  await tree.push('v1.1.0');
  let other: Promise<unknown> | undefined;
  const slow = withStore(store, {
    put: async (key, body) => {
      // Another version is published completely between the listing and the write.
      if (key.endsWith('/list')) await (other ??= publisher.publish({ projectId: project.id, tag: 'v1.1.0' }));
      await store.put(key, body);
    },
  });
  const interrupted = await createPublishing({ store: slow });
  await interrupted.publisher.publish({ projectId: project.id, tag: 'v1.0.0' });
  expect(String(await store.get(listKey(module)))).toBe('v1.0.0\nv1.1.0\n');
});

test('a name that is too long for the store is refused, and not retried forever', async ({
  publishing: { publisher },
  lib: { project, tree, module },
}) => {
  const directory = 'A'.repeat(130);
  await tree.write({ [`${directory}/go.mod`]: `module ${module}/${directory}\n` }).commit('Long');
  await tree.tag(`${directory}/v1.0.0`);
  await tree.push('+main', `${directory}/v1.0.0`);
  const refused = { status: 'refused', reason: expect.stringContaining('is too long') };
  expect(await publisher.publish({ projectId: project.id, tag: `${directory}/v1.0.0` })).toMatchObject({
    outcome: refused,
    known: false,
  });
  expect(await publisher.publish({ projectId: project.id, tag: `${directory}/v1.0.0` })).toMatchObject({
    outcome: refused,
    known: true,
  });
});

async function moveTag({ tree }: Library, commit: string): Promise<void> {
  await tree.tag('v1.0.0', { force: true, at: commit });
  await tree.push('+v1.0.0');
}

/** Returns the job for the tag v1.0.0, listed at this commit. */
function listedAt(commit: string, project: Project): TagJob {
  return listedTag(
    { id: project.id, path: project.path },
    { name: 'v1.0.0', commit: commit as CommitId, committedAt: new Date(), sharesCommit: false },
    new Date(),
  );
}

async function publishedCommit(publishing: Publishing, { module }: Library): Promise<string | undefined> {
  const info = JSON.parse(String(await publishing.read(module, 'v1.0.0', 'info'))) as {
    Origin?: { Hash?: string };
  };
  return info.Origin?.Hash;
}

/** The commits that have outcomes. */
async function outcomes({ store }: Publishing, project: Project): Promise<string[]> {
  const commits: string[] = [];
  for await (const { key } of store.list(outcomesPrefix(project.id)))
    commits.push(/@([0-9a-f]+)\.json$/.exec(key)?.[1] ?? key);
  return commits.toSorted();
}
