import { describe, expect } from 'vitest';
import type { FileContent, WorkTree } from '../fake-gitlab/work-tree.ts';
import { library, PREFIX } from './office.ts';
import { test } from './side-by-side-fixtures.ts';
import { expectFailure, expectSame, type SideBySide } from './side-by-side.ts';

const GROUP = `${PREFIX}/group`;
/** The number of tagged versions of each project. */
const TAGGED: Readonly<Record<string, number>> = {
  ahead: 2,
  forked: 2,
  late: 1,
  candidate: 1,
  two: 1,
  'new-major': 1,
  mono: 2,
  retracted: 3,
  released: 21,
};
/** The ids of commits, by project and name. */
const commits = new Map<string, string>();

test.beforeAll(async ({ both }) => {
  await repository(both, 'ahead', async (tree, module) => {
    await commit(tree, 'ahead first', library(module, 'one'), 'v1.0.0', 'nightly');
    await tree.branch('sideways');
    await tree.branch('feature/slash');
    await tree.branch('main');
    await commit(tree, 'ahead last', library(module, 'two'));
    await tree.branch('v1.9.9');
    await tree.branch('main');
    await tree.branch('proposal');
    await commit(tree, 'ahead proposed', library(module, 'proposed'));
    await tree.push('proposal:refs/merge-requests/1/head');
    await tree.git('update-ref', '-d', 'refs/heads/proposal');
    await tree.branch('sideways');
    await commit(tree, 'ahead other', library(module, 'other'), 'v1.5.0');
    await tree.branch('main');
  });
  await repository(both, 'forked', async (tree, module) => {
    await commit(tree, 'forked first', library(module, 'one'), 'v1.0.0');
    await tree.branch('old');
    await commit(tree, 'forked old', library(module, 'old'));
    await tree.branch('main');
    await commit(tree, 'forked second', library(module, 'two'), 'v1.1.0');
  });
  await repository(both, 'late', async (tree, module) => {
    await commit(tree, 'late first', library(module, 'one'));
    await tree.branch('early');
    await tree.branch('main');
    await commit(tree, 'late second', library(module, 'two'), 'v0.1.0');
  });
  await repository(both, 'untagged', (tree, module) => commit(tree, 'untagged only', library(module, 'one')));
  await repository(both, 'candidate', async (tree, module) => {
    await commit(tree, 'candidate first', library(module, 'one'), 'v1.2.0-rc.1');
    await commit(tree, 'candidate last', library(module, 'two'));
  });
  await repository(both, 'two', async (tree, module) => {
    await commit(tree, 'two first', library(`${module}/v2`, 'one'), 'v2.0.0');
    await commit(tree, 'two last', library(`${module}/v2`, 'two'));
  });
  await repository(both, 'new-major', async (tree, module) => {
    await commit(tree, 'new-major first', library(module, 'one'), 'v1.0.0');
    await commit(tree, 'new-major last', library(`${module}/v2`, 'two'));
  });
  await repository(both, 'mono', async (tree, module) => {
    await commit(
      tree,
      'mono first',
      { ...library(module, 'root'), 'sub/go.mod': `module ${module}/sub\n\ngo 1.21\n`, 'sub/sub.go': 'package sub\n' },
      'v1.0.0',
      'sub/v0.3.0',
    );
    await commit(tree, 'mono last', { 'sub/sub.go': '// Package sub is new.\npackage sub\n' });
  });
  await repository(both, 'legacy', async (tree) => {
    await commit(tree, 'legacy first', { 'legacy.go': 'package legacy\n' }, 'v2.0.0');
    await commit(tree, 'legacy last', { 'more.go': 'package legacy\n' });
  });
  await repository(both, 'released', async (tree, module) => {
    await commit(tree, 'released first', library(module, 'one'), 'v1.0.0');
    for (let minor = 1; minor <= 20; minor++) {
      await tree.branch(`release-${minor}`, { at: 'refs/heads/main' });
      await commit(tree, `released ${minor}`, library(module, `release ${minor}`), `v1.${minor}.0`);
      await tree.branch('main');
    }
    await commit(tree, 'released last', library(module, 'last'));
  });
  await repository(both, 'retracted', async (tree, module) => {
    await commit(tree, 'retracted first', library(module, 'one'), 'v1.0.0');
    await commit(tree, 'retracted bad', library(module, 'bad'), 'v1.1.0');
    await tree.branch('stale');
    await commit(tree, 'retracted stale', library(module, 'stale'));
    await tree.branch('main');
    await commit(
      tree,
      'retracted last',
      { 'go.mod': `module ${module}\n\ngo 1.21\n\nretract [v1.1.0, v1.1.1]\n` },
      'v1.1.1',
    );
  });
}, 120_000);

describe('go get of a branch', { timeout: 60_000 }, () => {
  test('resolves to the tip, as a pseudo-version after the highest tag before it', async ({ both }) => {
    const expected = {
      'ahead@main': 'v1.0.1-0.{ahead last}',
      'forked@old': 'v1.0.1-0.{forked old}',
      'late@early': 'v0.0.0-{late first}',
      'untagged@main': 'v0.0.0-{untagged only}',
      'candidate@main': 'v1.2.0-rc.1.0.{candidate last}',
    };
    expect(await resolved(both, Object.keys(expected))).toEqual(Object.values(expected).map(filled));
  });

  test('resolves to the tip for other major versions, directories, repositories without go.mod, retracted tags and release branches too', async ({
    both,
  }) => {
    const expected = {
      'two/v2@main': 'v2.0.1-0.{two last}',
      'new-major/v2@main': 'v2.0.0-{new-major last}',
      'mono/sub@main': 'v0.3.1-0.{mono last}',
      'legacy@main': 'v2.0.1-0.{legacy last}+incompatible',
      'retracted@stale': 'v1.0.1-0.{retracted stale}',
      'released@main': 'v1.0.1-0.{released last}',
    };
    expect(await resolved(both, Object.keys(expected))).toEqual(Object.values(expected).map(filled));
  });

  test('resolves to the tag of its newest commit', async ({ both }) => {
    const expected = { 'forked@main': 'v1.1.0', 'late@main': 'v0.1.0' };
    expect(await resolved(both, Object.keys(expected))).toEqual(Object.values(expected).map(filled));
  });

  test('with a slash in its name is refused by the go command; its commit gives the same version as the branch in direct mode', async ({
    both,
  }) => {
    await using developers = await both.developers();
    const refused = await developers.modpress.go('get', `${GROUP}/ahead@feature/slash`);
    expect(refused.stderr).toContain('invalid version: version "feature/slash" invalid: disallowed version string');
    const wanted = await developers.direct.go('get', `${GROUP}/ahead@feature/slash`);
    expect(wanted.status, wanted.stderr).toBe(0);
    expect(await developers.modpress.go('get', `${GROUP}/ahead@${filled('{ahead first:12}')}`)).toEqual(wanted);
  });
});

describe('go get of a commit', { timeout: 60_000 }, () => {
  test.for([
    ['ahead@{ahead last:7}', 'v1.0.1-0.{ahead last}'],
    ['ahead@{ahead last:12}', 'v1.0.1-0.{ahead last}'],
    ['ahead@{ahead last:40}', 'v1.0.1-0.{ahead last}'],
    ['ahead@HEAD', 'v1.0.1-0.{ahead last}'],
    ['ahead@v1.0.1-0.{ahead last}', 'v1.0.1-0.{ahead last}'],
    ['ahead@v0.0.0-{ahead last}', 'v0.0.0-{ahead last}'],
    ['ahead@{ahead first:7}', 'v1.0.0'],
    ['ahead@nightly', 'v1.0.0'],
  ] as const)('%s resolves to %s', async ([query, version], { both }) => {
    expect(await resolved(both, [query])).toEqual([filled(version)]);
  });

  test('works for other major versions, directories, repositories without go.mod and retracted tags', async ({
    both,
  }) => {
    const expected = {
      'two/v2@v2.0.1-0.{two last}': 'v2.0.1-0.{two last}',
      'mono/sub@{mono first:12}': 'v0.3.0',
      'legacy@v2.0.1-0.{legacy last}+incompatible': 'v2.0.1-0.{legacy last}+incompatible',
      'retracted@{retracted bad:12}': 'v1.0.1-0.{retracted bad}',
    };
    expect(await resolved(both, Object.keys(expected))).toEqual(Object.values(expected).map(filled));
  });
});

describe('go get refuses', { timeout: 60_000 }, () => {
  test('a revision that no branch or tag of the project contains', async ({ both }) => {
    const queries = {
      'v1.4.2': 'has no tag v1.4.2',
      nowhere: 'has no tag, branch or commit nowhere',
      '0123456789ab': 'has no commit 0123456789ab that is reachable from a branch or tag',
      '{ahead last:6}': 'has no tag, branch or commit {ahead last:6}',
      // The commit is only in a merge request.
      '{ahead proposed:12}': 'has no commit {ahead proposed:12} that is reachable from a branch or tag',
      '{ahead proposed:40}': 'has no commit {ahead proposed:40} that is reachable from a branch or tag',
      'v1.0.1-0.{ahead proposed}': 'has no commit {ahead proposed:12} that is reachable from a branch or tag',
    };
    const { modpress, direct } = await refusals(both, Object.keys(queries));
    expect(modpress).toEqual(Object.values(queries).map((reason) => expect.stringContaining(filled(reason))));
    expect(direct).toEqual(modpress.map(() => expect.stringContaining('unknown revision')));
  });

  test('a branch with the name of a version', async ({ both }) => {
    const { modpress, direct } = await refusals(both, ['v1.9.9']);
    expect(modpress).toEqual([expect.stringContaining('has no tag v1.9.9')]);
    expect(direct).toEqual([expect.stringContaining('v1.9.9 is not a tag')]);
  });

  test('made-up pseudo-versions', async ({ both }) => {
    const queries = {
      'v1.0.1-0.20200101000000-{ahead last:12}': [
        'its time is not the time of the commit',
        'does not match version-control timestamp',
      ],
      'v1.3.1-0.{ahead last}': ['there is no tag v1.3.0', 'preceding tag (v1.3.0) not found'],
      'v1.5.1-0.{ahead last}': ['does not come after the tag v1.5.0', 'not a descendent of preceding tag (v1.5.0)'],
      'v1.0.1-0.{ahead last time}-{ahead last:11}': [
        'its commit id is too short',
        'revision is shorter than canonical',
      ],
      'v1.0.1-0.{ahead last time}-{ahead last:13}': ['its commit id is too long', 'revision is longer than canonical'],
      'v1.0.0-{ahead last}': ['the major version has to be v0', 'major version without preceding tag must be v0'],
      'v1.0.1-0.{ahead first}': ['has the tag v1.0.0', 'tag (v1.0.0) found on revision'],
    };
    const { modpress, direct } = await refusals(both, Object.keys(queries));
    const reasons = Object.values(queries);
    expect(modpress).toEqual(reasons.map(([reason]) => expect.stringContaining(reason ?? '')));
    expect(direct).toEqual(reasons.map(([, reason]) => expect.stringContaining(reason ?? '')));
  });

  test('another major version', async ({ both }) => {
    const { modpress, direct } = expectFailure(await both.go(['get', `${GROUP}/ahead/v2@main`]));
    expect(direct).toContain(`but does not contain package ${GROUP}/ahead/v2`);
    expect(modpress).toBe(direct);
  });
});

/** The error of each side for each of these invalid queries of `ahead`. */
async function refusals(
  both: SideBySide,
  queries: readonly string[],
): Promise<{ readonly modpress: string[]; readonly direct: string[] }> {
  const names = queries.map((query) => `${GROUP}/ahead@${filled(query)}`);
  const { modpress, direct } = expectFailure(await both.go(['get', ...names]));
  const reasonsIn = (stderr: string): string[] => {
    const messages = stderr.split(/^go: /m);
    return names.map((name) => messages.find((message) => message.startsWith(`${name}: `)) ?? '');
  };
  return { modpress: reasonsIn(modpress), direct: reasonsIn(direct) };
}

/**
 * Runs one `go get` with all queries on both sides, which must agree. Resolves to the version of each query, or to
 * undefined if go.sum does not contain it.
 */
async function resolved(both: SideBySide, queries: readonly string[]): Promise<(string | undefined)[]> {
  const { goMod, goSum } = expectSame(await both.go(['get', ...queries.map((query) => `${GROUP}/${filled(query)}`)]));
  return queries.map((query) => {
    const module = `${GROUP}/${query.replace(/@.*/, '')} `;
    const line = goMod.split(/\s*\n(?:require )?\s*/).find((requirement) => requirement.startsWith(module));
    const version = line?.slice(module.length).replace(' // indirect', '');
    return goSum.includes(`${module}${version} h1:`) ? version : undefined;
  });
}

/**
 * Fills in commits: `{name:12}` is an id of that length, `{name time}` is a time, and `{name}` is both, in the form of
 * pseudo-versions.
 */
function filled(text: string): string {
  return text.replaceAll(/\{([^:}]+)(?::(\d+))?\}/g, (_, name: string, digits?: string) => {
    const known = commits.get(name);
    if (known === undefined) throw new Error(`no commit ${name}`);
    if (digits !== undefined) return known.slice(0, Number(digits));
    return name.endsWith(' time') ? known : `${commits.get(`${name} time`)}-${known.slice(0, 12)}`;
  });
}

async function repository(
  both: SideBySide,
  name: string,
  build: (tree: WorkTree, module: string) => Promise<void>,
): Promise<void> {
  const project = `group/${name}`;
  await both.repository(project, build);
  // A version that is requested while it is being published would be built twice.
  await both.published(project, TAGGED[name] ?? 0, `${PREFIX}/${project}${name === 'two' ? '/v2' : ''}`);
}

/** Commits under a name, tags the commit, and records its id and time. */
async function commit(
  tree: WorkTree,
  name: string,
  files: Readonly<Record<string, FileContent>>,
  ...tags: readonly string[]
): Promise<void> {
  const date = new Date(Date.UTC(2024, 4, 1, 0, commits.size));
  const id = await tree.write(files).commit(name, { date });
  if (tags.length > 0) await tree.tag(tags);
  commits.set(name, id).set(`${name} time`, date.toISOString().replaceAll(/\D/g, '').slice(0, 14));
}
