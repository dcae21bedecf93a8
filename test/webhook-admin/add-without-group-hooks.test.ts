import { describe, expect } from 'vitest';
import type { StandInOptions } from '../fake-gitlab/stand-in.ts';
import { test as base } from './fixtures.ts';
import { DESIRED, PUBLIC_URL } from './hook-office.ts';

for (const [groupHooks, why] of [
  [false, 'the licence of GitLab does not include group hooks'],
  ['community', 'this edition of GitLab has no group hooks'],
] as const) {
  const test = base.extend('gitlabOptions', { scope: 'file' }, (): StandInOptions => ({ groupHooks }));

  describe(`where groups have no hooks (${groupHooks})`, () => {
    test('each project of the group and its subgroups gets one, except archived ones', async ({
      office,
      createGroup,
    }) => {
      const name = createGroup();
      const paths = Array.from({ length: 25 }, (_, index) => `${name}/${index % 2 ? 'sub/' : ''}lib${index}`);
      const projects = await Promise.all(paths.map((path) => office.gitlab.createProject(path)));
      const archived = await office.gitlab.createProject(`${name}/old`, { archived: true });
      const { status, stdout, stderr } = await office.hooks(`add ${name} ${name}/sub ${paths[3]} ${PUBLIC_URL}`);
      expect([status, stderr.split('\n')[0]]).toEqual([
        0,
        `modpress: group ${name}: ${why}, so each of its 25 projects needs its own webhook`,
      ]);
      expect(stdout.match(/^registered project /gm)).toHaveLength(25);
      for (const { id } of projects)
        expect(await office.hooksOf(`/projects/${id}`)).toEqual([expect.objectContaining(DESIRED)]);
      expect(await office.hooksOf(`/projects/${archived.id}`)).toEqual([]);
      expect((await office.hooks(`add ${name} ${PUBLIC_URL}`)).stdout.match(/^kept project /gm)).toHaveLength(25);
    });

    test('an administrator needs no membership', async ({ office, createGroup }) => {
      const project = await office.gitlab.createProject(`${createGroup()}/lib`);
      const { status } = await office.hooks(`add ${project.path.split('/')[0]} ${PUBLIC_URL}`, {
        GITLAB_TOKEN: office.gitlab.rootToken,
      });
      expect([status, (await office.hooksOf(`/projects/${project.id}`)).length]).toEqual([0, 1]);
    });
  });
}
