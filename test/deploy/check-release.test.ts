import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeTemporaryTree } from '../io/temporary-tree.ts';

const CHECK = new URL('../../.ci/check-release.mjs', import.meta.url);

/** Runs the check in a small project with this changelog and these versions in its package files. */
async function checkRelease(tag: string, changelog: string, version = '1.2.3', locked = version) {
  const folder = await writeTemporaryTree({
    '.ci/check-release.mjs': await readFile(CHECK),
    'CHANGELOG.md': changelog,
    'package.json': JSON.stringify({ version }),
    'package-lock.json': JSON.stringify({ version: locked }),
  });
  return await new Promise<{ passes: boolean; output: string }>((resolve) => {
    execFile(process.execPath, [join(folder, '.ci/check-release.mjs'), tag], (error, stdout, stderr) =>
      resolve({ passes: error === null, output: stdout + stderr }),
    );
  });
}

describe('.ci/check-release.mjs', () => {
  const changelog = '# Changelog\n\n## [1.2.3] - 2026-11-28\n\n- A change.\n\n## [1.2.2] - 2026-10-01\n';

  it('accepts a tag whose version has a date in the changelog and equals the version of the package', async () => {
    expect(await checkRelease('v1.2.3', changelog)).toEqual({
      passes: true,
      output: 'ready to be released\n',
    });
  });

  it.each([
    ['a version that the changelog lacks', ['v1.2.4', changelog, '1.2.4'], 'has no section "## [1.2.4] - <date>"'],
    ['a version without a date', ['v1.2.3', '## [1.2.3] - unreleased\n'], 'has no date for 1.2.3'],
    ['another version of the package', ['v1.2.3', changelog, '1.2.2'], 'package.json has version 1.2.2, not 1.2.3'],
    [
      'another version in the lock file',
      ['v1.2.3', changelog, '1.2.3', '1.2.2'],
      'package-lock.json has version 1.2.2, not 1.2.3',
    ],
    ['a pre-release', ['v1.2.3-rc.1', changelog], 'is not the tag of a release'],
    ['no tag', ['', changelog], 'is not the tag of a release'],
  ] as const)('refuses %s', async (_, [tag, text, version, locked], reason) => {
    const { passes, output } = await checkRelease(tag, text, version, locked);
    expect(output).toContain(reason);
    expect(passes).toBe(false);
  });
});
