import { afterAll, beforeAll, expect, test } from 'vitest';
import { Refuse } from '../../src/errors.ts';
import { GitLabClient } from '../../src/gitlab/client.ts';
import { Ownership } from '../../src/resolve/ownership.ts';
import { Resolver } from '../../src/resolve/resolver.ts';
import { startGitLab, type StandIn } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { modulePath } from '../proxy/modules.ts';

const MODULE = modulePath('gitlab.example/group/lib');
const ALL = ['v1.0.0', 'v1.1.0', 'v1.2.0', 'v1.3.0-rc.1', 'v1.3.0'];

let gitlab: StandIn;

beforeAll(async () => {
  gitlab = await startGitLab();
  await using tree = await WorkTree.create(await gitlab.createProject('group/lib'));
  for (const tag of ALL) {
    await tree.write({ 'go.mod': `module ${MODULE}\n\nretract v1.2.0\n`, tag }).commit(tag);
    await tree.tag(tag);
  }
  await tree.push();
});
afterAll(() => gitlab?.close());

test.each([
  ['the tip if nothing is withdrawn', [], 'v1.3.0'],
  ['the highest release that is not retracted if the tip is withdrawn', ['v1.3.0'], 'v1.1.0'],
  ['a pre-release if all releases are withdrawn', ['v1.0.0', 'v1.1.0', 'v1.3.0'], 'v1.3.0-rc.1'],
  ['the tip if another version is withdrawn', ['v1.1.0'], 'v1.3.0'],
])('latest is %s', async (_, withdrawn, latest) => {
  const resolver = resolverWithout(withdrawn);
  expect(await resolver.resolve(MODULE, 'latest')).toMatchObject({
    version: latest,
    tag: latest === 'v1.3.0' ? undefined : latest,
  });
  expect(await resolver.list(MODULE)).toMatchObject({
    versions: ALL.filter((version) => !withdrawn.includes(version)),
  });
  // A branch keeps its version, so that a request for it gets the reason of the withdrawal.
  expect(await resolver.resolve(MODULE, 'main')).toMatchObject({ version: 'v1.3.0' });
});

test('latest is refused if all versions are withdrawn', async () => {
  await expect(resolverWithout(ALL).resolve(MODULE, 'latest')).rejects.toThrow(
    new Refuse(`the latest version of ${MODULE}, v1.3.0, was withdrawn, and there is no other`),
  );
  expect(await resolverWithout(ALL).list(MODULE)).toMatchObject({ versions: [] });
});

function resolverWithout(versions: readonly string[]): Resolver {
  const client = new GitLabClient({
    url: gitlab.url,
    token: gitlab.createToken({ scopes: ['read_api'] }),
    beforeCall: async () => undefined,
  });
  return new Resolver(client, new Ownership('gitlab.example'), { withdrawnOf: async () => new Set(versions) });
}
