import { describe, expect, test } from 'vitest';
import type { CommitId, Project } from '../../src/gitlab/schema.ts';
import { Ownership } from '../../src/resolve/ownership.ts';
import { locateTag } from '../../src/resolve/tag.ts';

const commit = {
  id: '82b3d5ae55f7080f1e6022629cdb57bfae7cccc7' as CommitId,
  committedAt: new Date('2024-02-03T04:05:06Z'),
};
const ownership = new Ownership('gitlab.example', [
  { modulePrefix: 'gopkg.in/yaml.v2', projectPrefix: 'mirrors/yaml' },
  { modulePrefix: 'gopkg.in/yaml.v3', projectPrefix: 'mirrors/yaml' },
  { modulePrefix: 'gopkg.in/old.v1', projectPrefix: 'mirrors/old' },
  { modulePrefix: 'go.corp.example', projectPrefix: 'platform/go' },
]);

/** Locates the module version of a tag. `goMods` contains the declared path of each go.mod file, by directory. */
async function locate(projectPath: string, name: string, goMods: Readonly<Record<string, string>>): Promise<string> {
  const project: Project = {
    id: 1,
    path: projectPath,
    httpUrl: `https://gitlab.example/${projectPath}.git`,
    archived: false,
    hasCode: true,
    isBeingDeleted: false,
    createdAt: undefined,
    lastActivityAt: undefined,
  };
  const located = await locateTag({
    name,
    commit,
    owner: async () => ({ project, roots: ownership.rootsOf(projectPath) }),
    readGoMod: async (directory) =>
      goMods[directory] === undefined ? undefined : Buffer.from(`module ${goMods[directory]}\n`),
  });
  return `${located.path}@${located.version} in /${located.directory}`;
}

describe('a tag of a project', () => {
  test.each([
    ['mirrors/yaml', 'v2.4.0', { '': 'gopkg.in/yaml.v2' }, 'gopkg.in/yaml.v2@v2.4.0 in /'],
    ['mirrors/yaml', 'v3.0.1', { '': 'gopkg.in/yaml.v3' }, 'gopkg.in/yaml.v3@v3.0.1 in /'],
    ['mirrors/old', 'v1.0.0', { '': 'gopkg.in/old.v1' }, 'gopkg.in/old.v1@v1.0.0 in /'],
    ['mirrors/old', 'v0.9.0', { '': 'gopkg.in/old.v1' }, /should be v1, not v0/],
    ['mirrors/yaml', 'v1.0.0', { '': 'gopkg.in/yaml.v1' }, /gopkg\.in\/yaml\.v2: version v1\.0\.0 should be v2/],
    ['mirrors/yaml', 'v2.4.0', { '': 'gopkg.in/yaml.v3' }, /does not end in \.v2/],
    ['mirrors/yaml', 'v2.4.0', { v2: 'gopkg.in/yaml.v2' }, /no go\.mod/],
    ['mirrors/yaml', 'sub/v2.4.0', { sub: 'gopkg.in/yaml.v2/sub' }, /not a valid module path/],
    ['platform/go/log', 'v2.0.0', { '': 'go.corp.example/log/v2' }, 'go.corp.example/log/v2@v2.0.0 in /'],
    ['platform/go/log', 'x/v2.0.0', { 'x/v2': 'go.corp.example/log/x/v2' }, 'go.corp.example/log/x/v2@v2.0.0 in /x/v2'],
    ['group/v2', 'v2.0.0', { '': 'gitlab.example/group/v2' }, 'gitlab.example/group/v2@v2.0.0 in /'],
    ['group/v2', 'v1.0.0', { '': 'gitlab.example/group' }, /gitlab\.example\/group\/v2: version v1\.0\.0 should be v2/],
    [
      'group/v2',
      'v2.0.0',
      { '': 'gitlab.example/group/v2', v2: 'gitlab.example/group/v2/v2' },
      'gitlab.example/group/v2@v2.0.0 in /',
    ],
    ['group/lib', 'v1.0.0', { '': 'gitlab.example/group/lib.git' }, 'gitlab.example/group/lib.git@v1.0.0 in /'],
    ['group/lib', 'v2.0.0', { v2: 'gitlab.example/group/lib.git/v2' }, 'gitlab.example/group/lib.git/v2@v2.0.0 in /v2'],
    ['group/lib', 'v1.0.0', { '': 'gitlab.example/group/other' }, 'gitlab.example/group/lib@v1.0.0 in /'],
  ] as const)('of %s, %s, with go.mod %j', async (project, tag, goMods, expected) => {
    const result = await locate(project, tag, goMods).catch(String);
    if (typeof expected === 'string') expect(result).toBe(expected);
    else expect(result).toMatch(expected);
  });
});
