import { describe, expect } from 'vitest';
import { pushedTag, type TagJob } from '../../src/queue/tag-job.ts';
import { test as base, type Repository } from './fixtures.ts';

const test = base.extend('library', async ({ createRepository }): Promise<Repository & { commit: string }> => {
  const repository = await createRepository();
  const { tree, module } = repository;
  tree.write({ 'go.mod': `module ${module}\n`, 'lib.go': 'package lib\n' });
  const commit = await tree.commit('Library');
  await tree.push();
  return { ...repository, commit };
});

/** The job for a tag that a webhook announced `seconds` ago. */
function announced({ project }: Repository, hint: string, seconds: number): TagJob {
  return {
    ...pushedTag(project.id, 'v1.0.0', hint),
    announcedAt: new Date(Date.now() - seconds * 1000).toISOString(),
  };
}

describe('a tag that a webhook announced', () => {
  test.for<[age: number, waitMs: number]>([
    [0, 2_000],
    [8, 8_000],
    [50, 20_000],
  ])(
    '%i s ago and that GitLab does not return yet is requested again after %i ms',
    async ([age, waitMs], { library, publishing }) => {
      await expect(publishing.publisher.publish(announced(library, library.commit, age))).rejects.toMatchObject({
        name: 'Retry',
        afterMs: expect.closeTo(waitMs, -3),
        message: expect.stringContaining('does not return tag v1.0.0'),
      });
      await library.tree.tag(['v1.0.0']);
      await library.tree.push();
      expect(await publishing.publisher.publish(announced(library, library.commit, age))).toMatchObject({
        outcome: { status: 'published' },
      });
    },
  );

  test('and that GitLab still returns at its old commit is requested again', async ({ library, publishing }) => {
    const { tree, project, commit } = library;
    await tree.tag(['v1.0.0']);
    await tree.push();
    const job = announced(library, 'f'.repeat(40), 1);
    await expect(publishing.publisher.publish(job)).rejects.toMatchObject({
      name: 'Retry',
      message: expect.stringContaining(`still returns tag v1.0.0 of project ${project.id} at ${commit}`),
    });
    // After a minute, the tag is published as it is: the object in a webhook can be wrong.
    expect(await publishing.publisher.publish(announced(library, 'f'.repeat(40), 61))).toMatchObject({
      outcome: { status: 'published', commit },
    });
  });

  test('with the id of its tag object is published at once', async ({ library, publishing }) => {
    const { tree, project } = library;
    await tree.tag(['v1.0.0'], { annotated: true });
    await tree.push();
    const target = await tree.git('rev-parse', 'refs/tags/v1.0.0');
    expect(target.trim()).not.toBe(library.commit);
    expect(await publishing.publisher.publish(announced(library, target.trim(), 0))).toMatchObject({
      outcome: { status: 'published', projectId: project.id },
    });
  });

  test('more than a minute ago and that does not exist is dismissed', async ({ library, publishing }) => {
    expect(await publishing.publisher.publish(announced(library, library.commit, 61))).toMatchObject({
      dismissed: expect.stringContaining('does not exist'),
    });
  });

  test('in a project without access for GITLAB_TOKEN is dismissed at once', async ({ library, publishing }) => {
    const elsewhere = { ...announced(library, library.commit, 0), projectId: 999_999 };
    expect(await publishing.publisher.publish(elsewhere)).toMatchObject({
      dismissed: expect.stringContaining('GITLAB_TOKEN has no access'),
    });
  });

  test('is not dismissed if a load balancer answers 404 in place of GitLab', async ({
    gitlab,
    library,
    publishing,
  }) => {
    const fault = gitlab.faults.add({
      path: /./,
      times: 100,
      kind: { status: 404, body: 'default backend - 404', headers: { 'content-type': 'text/plain' } },
    });
    await expect(publishing.publisher.publish(announced(library, library.commit, 61))).rejects.toMatchObject({
      name: 'Retry',
      message: expect.stringContaining('not from GitLab'),
    });
    fault.remove();
  });
});
