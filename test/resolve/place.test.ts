import { describe, expect, test } from 'vitest';
import type { Project } from '../../src/gitlab/schema.ts';
import { Ownership } from '../../src/resolve/ownership.ts';
import { findPlace } from '../../src/resolve/place.ts';
import { modulePath } from '../proxy/modules.ts';
import { PREFIX } from './fixtures.ts';

const projectAt = (path: string): Project => ({
  id: 1,
  path,
  httpUrl: `https://${PREFIX}/${path}.git`,
  archived: false,
  hasCode: true,
  isBeingDeleted: false,
  createdAt: undefined,
  lastActivityAt: undefined,
});
const elements = (count: number): string => Array.from({ length: count }, (_, index) => `a${index}`).join('/');

/** Looks for the project of a module where only these projects exist. Also returns the paths that were asked for. */
async function find(
  module: string,
  ownership: Ownership,
  ...projects: readonly string[]
): Promise<{ asked: string[]; project: string | undefined; directory: string | undefined }> {
  const asked: string[] = [];
  const place = await findPlace(modulePath(module), ownership, async (path) => {
    asked.push(path);
    return projects.includes(path) ? projectAt(path) : undefined;
  }).catch(() => undefined);
  return { asked, project: place?.project.path, directory: place?.directory };
}

describe('the project of a long module path', () => {
  const ownership = new Ownership(PREFIX, [{ modulePrefix: 'go.corp.example', projectPrefix: 'platform/go' }]);

  test.each([PREFIX, 'go.corp.example'])('below %s is looked for at the depths that GitLab allows', async (prefix) => {
    const { asked, project } = await find(`${prefix}/${elements(480)}`, ownership);
    expect(project).toBeUndefined();
    const depths = asked.map((path) => path.split('/').length);
    expect(depths.length).toBeLessThanOrEqual(22);
    expect([Math.max(...depths), Math.min(...depths)]).toEqual([22, 2]);
  });

  test.each([2, 22])('is found at depth %i if the module is in a deep directory', async (depth) => {
    const module = `${PREFIX}/${elements(480)}`;
    const { asked, project, directory } = await find(module, ownership, elements(depth));
    expect(project).toBe(elements(depth));
    expect(directory?.split('/')).toHaveLength(480 - depth);
    expect(asked.length).toBeLessThanOrEqual(22);
  });
});
