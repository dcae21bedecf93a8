import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { describe, expect, it } from 'vitest';

async function text(path: string): Promise<string> {
  return await readFile(new URL(path, new URL('../../', import.meta.url)), 'utf8');
}

describe('renovate.json', () => {
  it('keeps dependency-cruiser below the version that does not run on Node 20', async () => {
    const rule = z.object({
      matchPackageNames: z.array(z.string()).optional(),
      allowedVersions: z.string().optional(),
    });
    const { packageRules } = z.object({ packageRules: z.array(rule) }).parse(JSON.parse(await text('renovate.json')));
    expect(packageRules).toContainEqual({ matchPackageNames: ['dependency-cruiser'], allowedVersions: '<18' });
    const { devDependencies } = z
      .object({ devDependencies: z.record(z.string(), z.string()) })
      .parse(JSON.parse(await text('package.json')));
    expect(devDependencies['dependency-cruiser']).toMatch(/^17\./);
  });

  it('finds the version of Node in .ci/lts', async () => {
    const manager = z.object({ managerFilePatterns: z.tuple([z.string()]), matchStrings: z.tuple([z.string()]) });
    const { customManagers } = z
      .object({ customManagers: z.tuple([manager]) })
      .parse(JSON.parse(await text('renovate.json')));
    const [{ managerFilePatterns, matchStrings }] = customManagers;
    expect(managerFilePatterns).toEqual(['/^\\.ci/lts$/']);
    const match = new RegExp(matchStrings[0]).exec(await text('.ci/lts'));
    expect(match?.groups?.['currentValue']).toMatch(/^\d+\.\d+\.\d+$/);
  });
});
