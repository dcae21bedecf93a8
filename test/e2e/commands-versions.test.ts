import { describe, expect } from 'vitest';
import { library, PREFIX } from './office.ts';
import { test } from './side-by-side-fixtures.ts';
import { expectFailure, expectSame, type SideBySide } from './side-by-side.ts';

const GROUP = `${PREFIX}/group`;

/**
 * All versions here are published by their tags. modpress finds only untagged versions and modules without a go.mod on
 * demand.
 */
test.beforeAll(async ({ both }) => {
  await untagged(both, 'group/untagged');
  await plain(both, 'group/plain');
  await both.published('group/plain', 5);
  await candidates(both, 'group/candidates');
  await both.published('group/candidates', 3);
  await two(both, 'group/two');
  await both.published('group/two', 3);
  await mono(both, 'group/mono');
  await both.published('group/mono', 4);
  await retracted(both, 'group/retracted');
  await both.published('group/retracted', 3);
  await deprecated(both, 'group/deprecated');
  await both.published('group/deprecated', 2);
}, 120_000);

describe('the versions of a module', { timeout: 60_000 }, () => {
  test('go list -m -versions lists them for every kind of module', async ({ both }) => {
    expect(
      await versionsOf(
        both,
        'plain',
        'candidates',
        'untagged',
        'two',
        'two/v2',
        'mono',
        'mono/sub',
        'mono/sub/deep/v3',
        'retracted',
      ),
    ).toEqual([
      `${GROUP}/plain v1.0.0 v1.1.0-rc.1 v1.1.0 v1.1.1 v1.2.0-beta`,
      `${GROUP}/candidates v0.1.0-alpha v0.1.0-rc.2 v0.1.0-rc.10`,
      `${GROUP}/untagged`,
      `${GROUP}/two v1.0.0`,
      `${GROUP}/two/v2 v2.0.0 v2.1.0-rc.1`,
      `${GROUP}/mono v1.0.0`,
      `${GROUP}/mono/sub v0.3.0 v0.4.0`,
      `${GROUP}/mono/sub/deep/v3 v3.0.0`,
      `${GROUP}/retracted v1.0.0`,
      '',
    ]);
  });

  test('go list -m -versions -retracted includes retracted versions', async ({ both }) => {
    const { stdout } = expectSame(await both.go(['list', '-m', '-versions', '-retracted', `${GROUP}/retracted`]));
    expect(stdout).toBe(`${GROUP}/retracted v1.0.0 v1.1.0 v1.2.0\n`);
  });

  test('the list is the same before anything is published', async ({ both }) => {
    await both.repository('group/legacy', async (tree) => {
      await tree.write({ 'legacy.go': 'package legacy\n' }).commit('First');
      await tree.tag('v1.0.0');
      await tree.write({ 'more.go': 'package legacy\n' }).commit('Second');
      await tree.tag('v2.0.0');
    });
    await both.repository('group/adopted', async (tree, module) => {
      await tree.write({ 'adopted.go': 'package adopted\n' }).commit('Before modules');
      await tree.tag(['v2.0.0', 'v3.0.0']);
      await tree.write({ 'go.mod': `module ${module}\n` }).commit('Modules');
      await tree.tag('v1.5.0');
    });
    await candidates(both, 'group/new-candidates');
    await retracted(both, 'group/new-retracted');
    await two(both, 'group/new-two');
    expect(await versionsOf(both, 'legacy', 'adopted', 'new-candidates', 'new-retracted', 'new-two/v2')).toEqual([
      `${GROUP}/legacy v1.0.0 v2.0.0+incompatible`,
      `${GROUP}/adopted v1.5.0`,
      `${GROUP}/new-candidates v0.1.0-alpha v0.1.0-rc.2 v0.1.0-rc.10`,
      `${GROUP}/new-retracted v1.0.0`,
      `${GROUP}/new-two/v2 v2.0.0 v2.1.0-rc.1`,
      '',
    ]);
  });

  test('the list of a missing module is an error', async ({ both }) => {
    const { modpress, direct } = expectFailure(await both.go(['list', '-m', '-versions', `${GROUP}/none`]));
    expect(modpress).toContain(`there is no project for ${GROUP}/none`);
    expect(direct).toMatch(/not found/);
  });
});

describe('a query for a version', { timeout: 60_000 }, () => {
  test('resolves to the best match, given the required version', async ({ both }) => {
    const queries = [
      'latest',
      'v1',
      'v1.1',
      '>=v1.1.0',
      '>v1.1.1',
      '<v1.1.0',
      '<=v1.1.0',
      'release-1',
      'upgrade',
      'patch',
    ];
    const { stdout } = expectSame(
      await both.go(['list', '-m', ...queries.map((query) => `${GROUP}/plain@${query}`)], requiring('plain@v1.1.0')),
    );
    const versions = [
      'v1.1.1',
      'v1.1.1',
      'v1.1.1',
      'v1.1.0',
      'v1.2.0-beta',
      'v1.0.0',
      'v1.1.0',
      'v1.0.0',
      'v1.1.1',
      'v1.1.1',
    ];
    expect(stdout.split('\n')).toEqual([...versions.map((version) => `${GROUP}/plain ${version}`), '']);
  });

  test('resolves for every kind of module', async ({ both }) => {
    const queries = ['candidates@latest', 'two/v2@latest', 'mono/sub@v0.3', 'retracted@latest', 'untagged@latest'];
    const { stdout } = expectSame(await both.go(['list', '-m', ...queries.map((query) => `${GROUP}/${query}`)]));
    const versions = [
      'v0.1.0-rc.10',
      'v2.0.0',
      'v0.3.0',
      'v1.0.0',
      expect.stringMatching(/^v0\.0\.0-20240101000000-[0-9a-f]{12}$/),
    ];
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.replace(/.* /, '')),
    ).toEqual(versions);
  });

  test('fails if no version matches', async ({ both }) => {
    const queries = ['plain@>v1.2.0', 'plain@v1.3', 'two/v2@<v2.0.0'].map((query) => `${GROUP}/${query}`);
    const { modpress, direct } = expectFailure(await both.go(['list', '-m', ...queries]));
    expect(direct.match(/no matching versions for query/g)).toHaveLength(3);
    expect(modpress).toBe(direct);
  });
});

describe('updates and deprecations', { timeout: 60_000 }, () => {
  test('go list -m -json -u shows updates, retractions with their rationale, and deprecations', async ({ both }) => {
    const required = requiring(
      'plain@v1.0.0',
      'deprecated@v1.0.0',
      'retracted@v1.1.0',
      'mono/sub@v0.3.0',
      'two/v2@v2.0.0',
    );
    const { stdout } = expectSame(await both.go(['list', '-m', '-json', '-u', 'all'], required));
    const modules = JSON.parse(`[${stdout.trim().replaceAll(/^\}\n\{/gm, '},\n{')}]`) as object[];
    expect(modules).toHaveLength(6);
    expect(modules).toContainEqual(
      expect.objectContaining({
        Path: `${GROUP}/plain`,
        Version: 'v1.0.0',
        Update: expect.objectContaining({ Version: 'v1.1.1' }),
      }),
    );
    expect(modules).toContainEqual(
      expect.objectContaining({
        Path: `${GROUP}/deprecated`,
        Deprecated: 'use plain.',
        Update: expect.objectContaining({ Version: 'v1.0.1' }),
      }),
    );
    expect(modules).toContainEqual(expect.objectContaining({ Path: `${GROUP}/retracted`, Retracted: ['Loses data.'] }));
    expect(modules).toContainEqual(
      expect.objectContaining({ Path: `${GROUP}/mono/sub`, Update: expect.objectContaining({ Version: 'v0.4.0' }) }),
    );
  });

  test('go list -m -u shows them in one line', async ({ both }) => {
    const { stdout } = expectSame(
      await both.go(['list', '-m', '-u', 'all'], requiring('plain@v1.0.0', 'deprecated@v1.0.0', 'retracted@v1.1.0')),
    );
    expect(stdout.split('\n')).toEqual([
      'example.com/work',
      `${GROUP}/deprecated v1.0.0 [v1.0.1] (deprecated)`,
      `${GROUP}/plain v1.0.0 [v1.1.1]`,
      `${GROUP}/retracted v1.1.0 (retracted)`,
      '',
    ]);
  });

  test('go list -m -json of versions and branches shows their origin', async ({ both }) => {
    const { stdout } = expectSame(
      await both.go([
        'list',
        '-m',
        '-json',
        ...['plain@v1.1.1', 'untagged@main', 'mono/sub@v0.3.0', 'two/v2@main'].map((query) => `${GROUP}/${query}`),
      ]),
    );
    expect(stdout.match(/"Ref": .*/g)).toEqual([
      '"Ref": "refs/tags/v1.1.1"',
      '"Ref": "refs/heads/main"',
      '"Ref": "refs/tags/sub/v0.3.0"',
      '"Ref": "refs/heads/main"',
    ]);
    expect(stdout).toContain('"Subdir": "sub"');
  });

  test('go get warns of deprecated modules and retracted versions', async ({ both }) => {
    const { stderr } = expectSame(await both.go(['get', `${GROUP}/deprecated@latest`, `${GROUP}/retracted@v1.1.0`]));
    expect(stderr).toContain(`go: module ${GROUP}/deprecated is deprecated: use plain.\n`);
    expect(stderr).toContain(`go: warning: ${GROUP}/retracted@v1.1.0: retracted by module author: Loses data.\n`);
  });

  test.for([
    ['-u', 'v0.4.0'],
    ['-u=patch', 'v0.3.0'],
  ] as const)('go get %s upgrades to plain v1.1.1 and mono/sub %s', async ([flag, version], { both }) => {
    const imports = `import (\n\t_ "${GROUP}/plain"\n\t_ "${GROUP}/mono/sub"\n)\n`;
    const files = {
      ...requiring('plain@v1.1.0', 'mono/sub@v0.3.0'),
      'main.go': `package main\n\n${imports}\nfunc main() {}\n`,
    };
    const { goMod } = expectSame(await both.go(['get', flag, './...'], files));
    expect(goMod).toContain(`\t${GROUP}/mono/sub ${version}\n\t${GROUP}/plain v1.1.1\n`);
  });
});

/** The lines of `go list -m -versions` for modules of the group. */
async function versionsOf(both: SideBySide, ...names: readonly string[]): Promise<string[]> {
  return expectSame(
    await both.go(['list', '-m', '-versions', ...names.map((name) => `${GROUP}/${name}`)]),
  ).stdout.split('\n');
}

/** The go.mod of a program that requires these versions. */
function requiring(...versions: readonly string[]): Record<string, string> {
  const lines = versions.map((version) => `\t${GROUP}/${version.replace('@', ' ')}\n`);
  return { 'go.mod': `module example.com/work\n\ngo 1.21\n\nrequire (\n${lines.join('')})\n` };
}

async function plain(both: SideBySide, path: string): Promise<void> {
  await both.repository(path, async (tree, module) => {
    await tree.write(library(module, 'one')).commit('First');
    await tree.tag(['v1.0.0', 'v1', 'release-1', 'v0.9']);
    await tree.write(library(module, 'two')).commit('Second');
    await tree.tag(['v1.1.0-rc.1', 'v1.1.0', 'v1.1.0+meta'], { annotated: true });
    await tree.write(library(module, 'three')).commit('Third');
    await tree.tag('v1.1.1');
    await tree.write(library(module, 'four')).commit('Fourth');
    await tree.tag('v1.2.0-beta');
  });
}

async function candidates(both: SideBySide, path: string): Promise<void> {
  await both.repository(path, async (tree, module) => {
    await tree.write(library(module, 'one')).commit('First');
    await tree.tag(['v0.1.0-rc.2', 'v0.1.0-rc.10', 'v0.1.0-alpha']);
  });
}

async function untagged(both: SideBySide, path: string): Promise<void> {
  await both.repository(path, async (tree, module) => {
    await tree.write(library(module, 'one')).commit('First');
  });
}

async function two(both: SideBySide, path: string): Promise<void> {
  await both.repository(path, async (tree, module) => {
    await tree.write(library(module, 'one')).commit('First');
    await tree.tag('v1.0.0');
    await tree.write(library(`${module}/v2`, 'two')).commit('Second');
    await tree.tag(['v2.0.0', 'v2.1.0-rc.1']);
  });
}

async function mono(both: SideBySide, path: string): Promise<void> {
  await both.repository(path, async (tree, module) => {
    const nested = Object.entries(library(`${module}/sub`, 'sub')).map(([name, content]) => [`sub/${name}`, content]);
    await tree.write({ ...library(module, 'root'), ...Object.fromEntries(nested) }).commit('First');
    await tree.tag(['v1.0.0', 'sub/v0.3.0', 'sub/v0.4.0']);
    await tree
      .write({ 'sub/deep/go.mod': `module ${module}/sub/deep/v3\n`, 'sub/deep/deep.go': 'package deep\n' })
      .commit('Deep');
    await tree.tag(['sub/deep/v3.0.0', 'sub/deep/v2.9.0']);
  });
}

async function retracted(both: SideBySide, path: string): Promise<void> {
  await both.repository(path, async (tree, module) => {
    await tree.write(library(module, 'good')).commit('Good');
    await tree.tag('v1.0.0');
    await tree.write(library(module, 'bad')).commit('Bad');
    await tree.tag('v1.1.0');
    const retract = 'retract (\n\tv1.1.0 // Loses data.\n\t[v1.2.0, v1.2.9] // Only says what is retracted.\n)\n';
    await tree.write({ 'go.mod': `module ${module}\n\ngo 1.21\n\n${retract}` }).commit('Take back');
    await tree.tag('v1.2.0');
  });
}

async function deprecated(both: SideBySide, path: string): Promise<void> {
  await both.repository(path, async (tree, module) => {
    await tree.write(library(module, 'old')).commit('Old');
    await tree.tag('v1.0.0');
    await tree.write({ 'go.mod': `// Deprecated: use plain.\nmodule ${module}\n\ngo 1.21\n` }).commit('The end');
    await tree.tag('v1.0.1');
  });
}
