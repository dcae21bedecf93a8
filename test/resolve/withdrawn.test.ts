import { expect } from 'vitest';
import { Refuse } from '../../src/errors.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { modulePath } from '../proxy/modules.ts';
import { PREFIX, test } from './fixtures.ts';

const MODULE = modulePath(`${PREFIX}/group/lib`);
const ALL = ['v1.0.0', 'v1.1.0', 'v1.2.0', 'v1.3.0-rc.1', 'v1.3.0'];

test.beforeAll(async ({ gitlab }) => {
  await using tree = await WorkTree.create(await gitlab.createProject('group/lib'));
  for (const tag of ALL) {
    await tree.write({ 'go.mod': `module ${MODULE}\n\nretract v1.2.0\n`, tag }).commit(tag);
    await tree.tag(tag);
  }
  await tree.push();
});

test.for<[string, string[], string]>([
  ['the tip if nothing is withdrawn', [], 'v1.3.0'],
  ['the highest release that is not retracted if the tip is withdrawn', ['v1.3.0'], 'v1.1.0'],
  ['a pre-release if all releases are withdrawn', ['v1.0.0', 'v1.1.0', 'v1.3.0'], 'v1.3.0-rc.1'],
  ['the tip if another version is withdrawn', ['v1.1.0'], 'v1.3.0'],
])('latest is %s', async ([, withdrawn, latest], { createResolver }) => {
  const resolver = createResolver(...withdrawn);
  expect(await resolver.resolve(MODULE, 'latest')).toMatchObject({
    version: latest,
    tag: latest === 'v1.3.0' ? undefined : latest,
  });
  expect(await resolver.list(MODULE)).toMatchObject({
    versions: ALL.filter((version) => !withdrawn.includes(version)),
  });
  // The version of a branch stays the same, so that a request for this version gets the reason of the withdrawal.
  expect(await resolver.resolve(MODULE, 'main')).toMatchObject({ version: 'v1.3.0' });
});

test('latest is refused if all versions are withdrawn', async ({ createResolver }) => {
  const resolver = createResolver(...ALL);
  await expect(resolver.resolve(MODULE, 'latest')).rejects.toThrow(
    new Refuse(`the latest version of ${MODULE}, v1.3.0, was withdrawn, and there is no other version`),
  );
  expect(await resolver.list(MODULE)).toMatchObject({ versions: [] });
});
