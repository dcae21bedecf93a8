import { expect } from 'vitest';
import type { CommitId } from '../../src/gitlab/schema.ts';
import type { ModulePath } from '../../src/module/path.ts';
import type { Version } from '../../src/module/version.ts';
import { outcomeName } from '../../src/publish/transaction.ts';
import { listedTag } from '../../src/queue/tag-job.ts';
import { readOutcome, type Outcome } from '../../src/store/outcome.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { test } from './fixtures.ts';

const MODULE = 'gitlab.example/team/lib' as ModulePath;
const VERSION = 'v1.0.0' as Version;

test.for<[string, string | undefined, Partial<Outcome> | undefined, string]>([
  ['its tag', 'v1.0.0', undefined, 'v1.0.0'],
  ['module@version without a tag', undefined, undefined, `${MODULE}@v1.0.0`],
  ['its tag, although the tag has an outcome of the same module', 'v1.0.0', { module: MODULE }, 'v1.0.0'],
  [
    'module@version if the tag has an outcome of another module',
    'v1.0.0',
    { module: 'gitlab.example/old/lib' as ModulePath },
    `${MODULE}@v1.0.0`,
  ],
  ['module@version if the tag has an outcome without a module', 'v1.0.0', { status: 'refused' }, `${MODULE}@v1.0.0`],
])('stores the outcome of a version under %s', ([, tag, stored, expected]) => {
  const outcome: Outcome | undefined = stored && {
    status: 'published',
    projectId: 1,
    tag: 'v1.0.0',
    commit: 'a'.repeat(40),
    startedAt: '2026-01-01T00:00:00Z',
    finishedAt: '2026-01-01T00:00:01Z',
    ...stored,
  };
  expect(outcomeName({ tag, path: MODULE, version: VERSION }, outcome)).toBe(expected);
});

test('keeps the outcome of the old module path when a moved project publishes under its new one', async ({
  gitlab,
  publishing: { publisher, store },
}) => {
  const project = await gitlab.createProject('team/lib');
  await using tree = await WorkTree.create(project);
  const commit = (await tree.write({ 'go.mod': 'module gitlab.example/team/lib\n' }).commit('First')) as CommitId;
  await tree.tag('v1.0.0');
  await tree.push();
  await publisher.publish({ projectId: project.id, tag: 'v1.0.0' });

  await gitlab.moveProject(project, 'other/lib');
  const tag = { name: 'v1.0.0', commit, committedAt: new Date(), sharesCommit: false };
  const job = listedTag({ id: project.id, path: 'other/lib' }, tag, new Date());
  const name = 'gitlab.example/other/lib@v1.0.0';
  expect(await publisher.publish(job)).toMatchObject({ known: false, outcome: { status: 'published', tag: name } });

  expect(await readOutcome(store, project.id, 'v1.0.0', commit)).toMatchObject({
    status: 'published',
    module: 'gitlab.example/team/lib',
    project: 'other/lib',
  });
  expect(await readOutcome(store, project.id, name, commit)).toMatchObject({
    status: 'published',
    module: 'gitlab.example/other/lib',
  });
  expect(await publisher.publish(job)).toMatchObject({ known: true });
});
