import * as fc from 'fast-check';
import { describe, expect } from 'vitest';
import type { CommitId } from '../../src/gitlab/schema.ts';
import { Histories } from '../../src/resolve/histories.ts';
import { parseHistories } from '../../src/resolve/known-history.ts';
import { Git } from '../fake-gitlab/git.ts';
import { addCommits } from './graph.ts';
import { Memory, START, test as base } from './history-fixtures.ts';

/** Each page of GitLab has three items, so that a small history has many pages. */
const test = base.override('gitlabOptions', { archiveLimit: 'off', perPageMax: 3 });

let projects = 0;

describe('the history of a commit', () => {
  interface Shape {
    readonly parents: readonly number[];
    readonly skew: number;
    readonly isTagged: boolean;
  }

  /** A graph of commits. Each number of a parent counts backwards from the commit; numbers that are too large count not. */
  const graph = fc.array(
    fc.record<Shape>({
      parents: fc.oneof(
        { weight: 6, arbitrary: fc.constant([1]) },
        { weight: 3, arbitrary: fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { maxLength: 3 }) },
      ),
      // Clocks can be wrong, so that a commit is older than its parent.
      skew: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: -2_000, max: 2_000 })),
      isTagged: fc.boolean(),
    }),
    { minLength: 20, maxLength: 60 },
  );

  test('contains exactly the tagged commits that git finds in it', { timeout: 300_000 }, async ({ gitlab, client }) => {
    const git = new Git();
    const seen = { ancestors: 0, others: 0, stored: 0 };
    const property = fc.asyncProperty(
      graph,
      fc.array(fc.nat(), { minLength: 4, maxLength: 4 }),
      async (shapes, picks) => {
        const project = await gitlab.createProject(`histories/random${++projects}`);
        const ids = await addCommits(
          project,
          shapes.map(({ parents, skew, isTagged }, index) => ({
            name: `${index}`,
            parents: parents.filter((back) => back <= index).map((back) => `${index - back}`),
            seconds: START + index * 100 + skew,
            branch: `b${index}`,
            ...(isTagged && { tags: [`v1.${index}.0`] }),
          })),
        );
        const tags = shapes.flatMap(({ isTagged }, index) =>
          isTagged ? [{ name: `v1.${index}.0`, commit: ids.get(`${index}`) as CommitId }] : [],
        );
        const memory = new Memory();
        // The commits are queried from old to new, as the branches of a repository move.
        for (const pick of picks.map((each) => each % shapes.length).sort((a, b) => a - b)) {
          const commit = ids.get(`${pick}`) as CommitId;
          // If clocks were wrong, old versions of `git for-each-ref --merged` do not find all tags.
          const ancestors = await git.run(['rev-list', commit], { cwd: project.repositoryDir });
          const expected = new Set(ancestors.toString().split('\n'));
          const candidates = tags.toReversed();
          const found = await new Histories(client, memory).open(
            project.id,
            commit,
            candidates.map((tag) => tag.commit),
            tags,
            async (history) => {
              const names: string[] = [];
              for (const [index, tag] of candidates.entries())
                if (await history.includes(tag.commit, candidates.length - index)) names.push(tag.name);
              return names;
            },
          );
          expect(found).toEqual(candidates.filter((tag) => expected.has(tag.commit)).map(({ name }) => name));
          seen.ancestors += found.length;
          seen.others += candidates.length - found.length;
          seen.stored += parseHistories(await memory.read(project.id)).length;
        }
        await gitlab.deleteProject(project);
      },
    );
    try {
      await fc.assert(property, { numRuns: 25, endOnFailure: true });
    } finally {
      await git.close();
    }
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(100);
  });
});
