import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CommitId } from '../../src/gitlab/schema.ts';
import { listedTag, type TagJob } from '../../src/queue/tag-job.ts';
import { listKey, outcomesPrefix } from '../../src/store/layout.ts';
import { startGitLab, type Project, type StandIn } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { modulePath } from '../proxy/modules.ts';
import { withStore } from '../proxy/server.ts';
import { startPublishing, type Publishing } from './publishing.ts';

const RETAGS = ['refuse', 'replace'] as const;

let gitlab: StandIn;
let folder: string;
let project: Project;
let tree: WorkTree;
let first: string;
let second: string;
let count = 0;

beforeAll(async () => {
  gitlab = await startGitLab({ archiveLimit: 'off' });
});
afterAll(() => gitlab.close());
/** A project with two commits, and the tag v1.0.0 on the first. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modpress-moved-'));
  project = await gitlab.createProject(`group/lib${count++}`);
  tree = await WorkTree.create(project);
  first = await tree.write({ 'go.mod': `module gitlab.example/${project.path}\n` }).commit('First');
  await tree.tag('v1.0.0');
  await tree.push();
  second = await tree.write({ 'lib.go': 'package lib\n' }).commit('Second');
  await tree.push('+main');
  return async () => {
    await tree.remove();
    await rm(folder, { recursive: true, force: true });
  };
});

describe('a listed tag that moved before its job ran', () => {
  test.each(RETAGS)('leaves the version published from its new commit alone, with RETAG=%s', async (retag) => {
    const publishing = await start(retag);
    const listed = listedAt(first);
    await move(second);
    // A push comes before all listed ones.
    await publishing.publisher.publish({ projectId: project.id, tag: 'v1.0.0' });
    expect(await publishing.publisher.publish(listed)).toEqual({
      dismissed: `tag v1.0.0 of project ${project.id} is not at ${first} any more`,
    });
    expect(await publishedCommit(publishing)).toBe(second);
    expect(await outcomes(publishing)).toEqual([second]);
  });
});

test('RETAG=replace follows a tag back to an earlier commit', async () => {
  const publishing = await start('replace');
  const commits: (string | undefined)[] = [];
  for (const commit of [first, second, first, second]) {
    await move(commit);
    expect(await publishing.publisher.publish({ projectId: project.id, tag: 'v1.0.0' })).toMatchObject({
      outcome: { status: 'published', commit },
      known: false,
    });
    // No outcome may remain for a removed version: the sweep would consider the tag done.
    expect(await outcomes(publishing)).toEqual([commit]);
    commits.push(await publishedCommit(publishing));
  }
  expect(commits).toEqual([first, second, first, second]);
});

test('RETAG=refuse keeps the outcomes of both commits', async () => {
  const publishing = await start('refuse');
  for (const commit of [first, second, first]) {
    await move(commit);
    await publishing.publisher.publish({ projectId: project.id, tag: 'v1.0.0' });
  }
  expect(await publishedCommit(publishing)).toBe(first);
  expect(await outcomes(publishing)).toEqual([first, second].toSorted());
});

test('a list that was not written before a crash is written by the next attempt', async () => {
  const { store } = await start('refuse');
  const dying = withStore(store, {
    put: async (key, body) => {
      if (key.endsWith('/list')) throw new Error('died');
      await store.put(key, body);
    },
  });
  await expect(
    (await start('refuse', dying)).publisher.publish({ projectId: project.id, tag: 'v1.0.0' }),
  ).rejects.toThrow('died');
  await (await start('refuse')).publisher.publish({ projectId: project.id, tag: 'v1.0.0' });
  expect(String(await store.get(listKey(modulePath(`gitlab.example/${project.path}`))))).toBe('v1.0.0\n');
});

test('a list written from an outdated listing is replaced', async () => {
  await tree.tag('v1.1.0');
  await tree.push('v1.1.0');
  const { store } = await start('refuse');
  let other: Promise<unknown> | undefined;
  const slow = withStore(store, {
    put: async (key, body) => {
      // Another version is published completely between the listing and the write.
      if (key.endsWith('/list'))
        await (other ??= start('refuse').then(({ publisher }) =>
          publisher.publish({ projectId: project.id, tag: 'v1.1.0' }),
        ));
      await store.put(key, body);
    },
  });
  await (await start('refuse', slow)).publisher.publish({ projectId: project.id, tag: 'v1.0.0' });
  expect(String(await store.get(listKey(modulePath(`gitlab.example/${project.path}`))))).toBe('v1.0.0\nv1.1.0\n');
});

test('a name that is too long for the store is refused, and not retried forever', async () => {
  const directory = 'A'.repeat(130);
  await tree.write({ [`${directory}/go.mod`]: `module gitlab.example/${project.path}/${directory}\n` }).commit('Long');
  await tree.tag(`${directory}/v1.0.0`);
  await tree.push('+main', `${directory}/v1.0.0`);
  const { publisher } = await start('refuse');
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

async function start(retag: (typeof RETAGS)[number], store?: Publishing['store']): Promise<Publishing> {
  return await startPublishing(gitlab, folder, {
    modulePrefix: 'gitlab.example',
    parts: { retag, ...(store && { store }) },
  });
}

async function move(commit: string): Promise<void> {
  await tree.tag('v1.0.0', { force: true, at: commit });
  await tree.push('+v1.0.0');
}

function listedAt(commit: string): TagJob {
  return listedTag(
    { id: project.id, path: project.path },
    { name: 'v1.0.0', commit: commit as CommitId, committedAt: new Date(), sharesCommit: false },
    new Date(),
  );
}

async function publishedCommit(publishing: Publishing): Promise<string | undefined> {
  const info = JSON.parse(String(await publishing.read(`gitlab.example/${project.path}`, 'v1.0.0', 'info'))) as {
    Origin?: { Hash?: string };
  };
  return info.Origin?.Hash;
}

/** The commits that have outcomes. */
async function outcomes({ store }: Publishing): Promise<string[]> {
  const commits: string[] = [];
  for await (const { key } of store.list(outcomesPrefix(project.id)))
    commits.push(/@([0-9a-f]+)\.json$/.exec(key)?.[1] ?? key);
  return commits.toSorted();
}
