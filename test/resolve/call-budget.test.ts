import { describe, expect } from 'vitest';
import { addCommits } from './graph.ts';
import { chain, moduleOf, START, test as base, unrelatedTags, withBranch } from './history-fixtures.ts';

/** Each page of GitLab has one item, so that a small repository takes many calls. */
const test = base.override('gitlabOptions', { archiveLimit: 'off', perPageMax: 1 });

describe('work that takes too many calls for one request', () => {
  test('continues with the next request', { timeout: 120_000 }, async ({ project, startResolver, resolve, direct }) => {
    const unrelated = unrelatedTags(450, (index) => `v1.${index}.0`);
    await addCommits(project, [...withBranch(chain(project, 'main', 400), 'main'), ...unrelated]);
    await expect(resolve(startResolver(), 'main')).rejects.toMatchObject({
      name: 'Retry',
      afterMs: 3_000,
      message: 'comparing the 450 tags with the history takes more than one request',
    });
    // Another process continues.
    expect((await resolve(startResolver(), 'main')).version).toBe(await direct('main'));
  });

  test(
    'also limits the go.mod files of the major versions of a list',
    { timeout: 120_000 },
    async ({ gitlab, project, startResolver }) => {
      const majors = Array.from({ length: 500 }, (_, index) => ({
        name: `major ${index}`,
        parents: [],
        seconds: START + index,
        tags: [`v${index + 2}.0.0`],
        files: { 'x.go': 'package x\n' },
      }));
      await addCommits(project, majors);
      const resolver = startResolver();
      gitlab.clearRequests();
      await expect(resolver.list(moduleOf(project))).rejects.toMatchObject({ name: 'Retry', afterMs: 3_000 });
      expect(gitlab.requests.filter(({ path }) => path.includes('/files/'))).toHaveLength(300);
      expect((await resolver.list(moduleOf(project))).versions).toHaveLength(500);
    },
  );
});
