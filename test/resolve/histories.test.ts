import { describe, expect } from 'vitest';
import { parseHistories } from '../../src/resolve/known-history.ts';
import { addCommits } from './graph.ts';
import { chain, START, test, unrelatedTags, withBranch, withTag } from './history-fixtures.ts';

const MANY = 1_500;

test.afterEach(({ gitlab }) => gitlab.faults.clear());

describe('a branch of a repository with many tags on other branches', () => {
  test(
    'resolves in a few calls if the tags are on unrelated commits',
    { timeout: 120_000 },
    async ({ project, startResolver, resolve, direct }) => {
      const unrelated = unrelatedTags(MANY, (index) => `v1.${index}.0`);
      const ids = await addCommits(project, [...withBranch(chain(project, 'main', 30), 'main'), ...unrelated]);
      const first = await resolve(startResolver(), 'main');
      expect(first.version).toBe(await direct('main'));
      expect(first.calls).toBeLessThan(15);

      const next = { name: 'next', parents: ['main 29'], seconds: START + 9_000, branch: 'main' };
      await addCommits(project, [next], ids);
      const moved = await resolve(startResolver(), 'main');
      expect(moved.version).toBe(await direct('main'));
      expect(moved.version).not.toBe(first.version);
      expect(moved.calls).toBeLessThan(12);
      // What is known of the commit is stored.
      expect((await resolve(startResolver(), 'main')).calls).toBeLessThan(10);
    },
  );

  test(
    'resolves in a few calls if each tag has a branch of its own',
    { timeout: 120_000 },
    async ({ project, memory, startResolver, resolve, direct }) => {
      const main = withTag(withBranch(chain(project, 'main', 2_000), 'main'), 1_200, 'v1.0.0');
      const releases = Array.from({ length: MANY }, (_, index) => ({
        name: `release ${index}`,
        parents: [`main ${(index * 7) % 2_000}`],
        seconds: START + index * 80,
        tags: [`v1.${index + 1}.0`],
      }));
      const ids = await addCommits(project, [...main, ...releases]);
      const first = await resolve(startResolver(), 'main');
      expect(first.version).toBe(await direct('main'));
      expect(first.version).toMatch(/^v1\.0\.1-0\./);
      expect(first.calls).toBeLessThan(40);
      expect(memory.files.get(project.id)?.length).toBeLessThan(100_000);

      // A merge of a release branch makes its tags part of the history.
      await addCommits(
        project,
        [
          { name: 'merge', parents: ['main 1999', 'release 700'], seconds: START + 200_000 },
          { name: 'after', parents: ['merge'], seconds: START + 200_060, branch: 'main' },
        ],
        ids,
      );
      const moved = await resolve(startResolver(), 'main');
      expect(moved.version).toBe(await direct('main'));
      expect(moved.version).toMatch(/^v1\.701\.1-0\./);
      expect(moved.calls).toBeLessThan(12);
    },
  );

  test(
    'resolves after a forced push that removed the commits that are known',
    { timeout: 60_000 },
    async ({ project, memory, startResolver, resolve, direct }) => {
      const tags = unrelatedTags(50, (index) => `v1.${index}.0`);
      const ids = await addCommits(project, [...withBranch(chain(project, 'main', 5), 'main'), ...tags]);
      await resolve(startResolver(), 'main');
      const [known] = parseHistories(await memory.read(project.id));
      const lost = (await memory.read(project.id))?.toString().replaceAll(known?.commit ?? '', 'd'.repeat(40)) ?? '';
      await memory.write(project.id, Buffer.from(lost));
      await addCommits(project, [{ name: 'new', parents: ['main 2'], seconds: START + 999, branch: 'main' }], ids);
      expect((await resolve(startResolver(), 'main')).version).toBe(await direct('main'));
      expect(parseHistories(await memory.read(project.id)).map(({ commit }) => commit)).not.toContain('d'.repeat(40));
    },
  );

  test('resolves if what is known is damaged', async ({ project, memory, startResolver, resolve, direct }) => {
    const tags = unrelatedTags(50, (index) => `v1.${index}.0`);
    await addCommits(project, [...withBranch(chain(project, 'main', 5), 'main'), ...tags]);
    await memory.write(project.id, Buffer.from('{"tagged":["'));
    expect((await resolve(startResolver(), 'main')).version).toBe(await direct('main'));
  });

  test('resolves if GitLab truncates a page of the history', async ({
    gitlab,
    project,
    startResolver,
    resolve,
    direct,
  }) => {
    const main = withTag(withBranch(chain(project, 'main', 60), 'main'), 3, 'v1.0.0');
    const tags = unrelatedTags(50, (index) => `v1.${index + 1}.0`);
    const ids = await addCommits(project, [...main, ...tags]);
    const body = main
      .slice(20)
      .toReversed()
      .map(({ name, parents }) => ({ id: ids.get(name), parent_ids: parents.map((parent) => ids.get(parent)) }));
    const fault = gitlab.faults.add({
      path: /\/repository\/commits\?/,
      kind: { status: 200, body, headers: { 'content-type': 'application/json' } },
    });
    const { version } = await resolve(startResolver(), 'main');
    expect(fault.hits).toBe(1);
    expect(version).toBe(await direct('main'));
    expect(version).toMatch(/^v1\.0\.1-0\./);
  });

  test('resolves if GitLab truncates the commits since the known commit', async ({
    gitlab,
    project,
    startResolver,
    resolve,
    direct,
  }) => {
    const tags = unrelatedTags(50, (index) => `v1.${index + 1}.0`);
    const ids = await addCommits(project, [...withBranch(chain(project, 'main', 5), 'main'), ...tags]);
    await resolve(startResolver(), 'main');
    // The merge makes a tag part of the history, and is then missing in the list of the new commits.
    const moved = await addCommits(
      project,
      [
        { name: 'merge', parents: ['main 4', 'other 20'], seconds: START + 1_000 },
        { name: 'next', parents: ['merge'], seconds: START + 1_060, branch: 'main' },
      ],
      ids,
    );
    const fault = gitlab.faults.add({
      path: /\/repository\/commits\?.*\.\./,
      kind: {
        status: 200,
        body: [{ id: moved.get('next'), parent_ids: [moved.get('merge')] }],
        headers: { 'content-type': 'application/json' },
      },
    });
    const { version } = await resolve(startResolver(), 'main');
    expect(fault.hits).toBe(1);
    expect(version).toBe(await direct('main'));
    expect(version).toMatch(/^v1\.21\.1-0\./);
  });

  test(
    'is checked in a few calls if a pseudo-version is based on many tags with metadata',
    { timeout: 120_000 },
    async ({ gitlab, project, startResolver, resolve, direct }) => {
      // In direct mode, each tag takes a process of git.
      const unrelated = unrelatedTags(200, (index) => `v1.0.0+m${index}`);
      const ids = await addCommits(project, [...withBranch(chain(project, 'main', 30), 'main'), ...unrelated]);
      const pseudo = `v1.0.1-0.20240101002900-${ids.get('main 29')?.slice(0, 12)}`;
      await expect(resolve(startResolver(), pseudo)).rejects.toThrow('does not come after the tag');
      expect(gitlab.requests.length).toBeLessThan(25);
      expect(await direct(pseudo)).toBeUndefined();
    },
  );
});
