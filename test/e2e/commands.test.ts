import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { library, PREFIX } from './office.ts';
import { test } from './side-by-side-fixtures.ts';
import { expectFailure, expectSame, type Developer } from './side-by-side.ts';

const GROUP = `${PREFIX}/group`;

/** Nothing here is published: each version is built on demand. */
test.beforeAll(async ({ both }) => {
  await both.repository('group/colour', async (tree, module) => {
    await tree.write(library(module, 'red')).commit('First');
    await tree.tag('v1.0.0', { annotated: true });
  });
  await both.repository('group/shape', async (tree, module) => {
    await tree.write({ ...calling(module, 'colour', 'round'), 'kind/kind.go': 'package kind\n' }).commit('First');
    await tree.tag('v1.1.0');
  });
  await both.repository('group/thing', async (tree, module) => {
    await tree.write(calling(module, 'shape', 'thing')).commit('First');
    await tree.tag('v0.2.0');
    const command = `package main\n\nimport (\n\t"fmt"\n\n\t"${module}"\n)\n\nfunc main() { fmt.Println(thing.Word()) }\n`;
    await tree.write({ 'cmd/say/main.go': command }).commit('A command');
    await tree.tag('v0.3.0');
  });
  await both.repository('group/nest', async (tree, module) => {
    const nested = Object.entries(library(`${module}/sub`, 'nested')).map(([path, content]) => [
      `sub/${path}`,
      content,
    ]);
    await tree
      .write({
        ...library(module, 'nest'),
        'pkg/pkg.go': 'package pkg\n',
        'sub/pkg/pkg.go': 'package pkg\n',
        ...Object.fromEntries(nested),
      })
      .commit('First');
    await tree.tag(['v1.0.0', 'sub/v0.1.0']);
  });
}, 120_000);

describe('go get finds the module of a package', { timeout: 60_000 }, () => {
  test.for([
    ['nest/pkg', 'nest v1.0.0'],
    ['nest/sub/pkg', 'nest/sub v0.1.0'],
    ['nest/sub', 'nest/sub v0.1.0'],
    ['shape/kind', 'shape v1.1.0'],
  ] as const)('%s is in %s', async ([name, version], { both }) => {
    const { goMod, stderr } = expectSame(await both.go(['get', `${GROUP}/${name}@latest`]));
    expect(goMod).toContain(`${GROUP}/${version} // indirect\n`);
    expect(stderr).toContain(`go: added ${GROUP}/${version}\n`);
  });

  test('and reports a package that the module does not contain', async ({ both }) => {
    const { modpress, direct } = expectFailure(await both.go(['get', `${GROUP}/nest/none@latest`]));
    expect(direct).toContain(
      `module ${GROUP}/nest@latest found (v1.0.0), but does not contain package ${GROUP}/nest/none\n`,
    );
    expect(modpress).toBe(direct);
  });

  test.for(['group', 'group/none', 'none/none/none'])(
    'and reports that there is no module at %s',
    async (path, { both }) => {
      const { modpress, direct } = expectFailure(await both.go(['get', `${PREFIX}/${path}@latest`]));
      expect(direct).toMatch(/unrecognized import path|not found/);
      expect(modpress).toContain(`there is no project for ${PREFIX}/${path}`);
    },
  );
});

describe('a program with private modules that need each other', { timeout: 90_000 }, () => {
  test('is tidied, listed, verified, vendored and built', async ({ both }) => {
    await using developers = await both.developers({ 'main.go': program('thing', 'shape', 'colour') });
    const { goMod, goSum } = expectSame(await developers.go('mod', 'tidy'));
    expect(goMod).toContain(
      `require (\n\t${GROUP}/colour v1.0.0\n\t${GROUP}/shape v1.1.0\n\t${GROUP}/thing v0.3.0\n)\n`,
    );
    expect(goSum.trim().split('\n')).toHaveLength(6);

    const graph = expectSame(await developers.go('mod', 'graph'));
    expect(graph.stdout).toContain(`${GROUP}/thing@v0.3.0 ${GROUP}/shape@v1.1.0\n`);
    expect(expectSame(await developers.go('mod', 'why', `${GROUP}/colour`)).stdout).toContain(`\n${GROUP}/colour\n`);
    expect(expectSame(await developers.go('mod', 'verify')).stdout).toBe('all modules verified\n');
    expect(expectSame(await developers.go('run', '.')).stdout).toBe('thing round red\nround red\nred\n');

    expectSame(await developers.go('mod', 'vendor'));
    const vendored = await filesBelow(developers.direct, 'vendor');
    expect(Object.keys(vendored)).toContain(`${GROUP}/shape/shape.go`);
    expect(await filesBelow(developers.modpress, 'vendor')).toEqual(vendored);
    expect(expectSame(await developers.go('run', '-mod=vendor', '.')).stdout).toBe('thing round red\nround red\nred\n');
  });

  test('is built on each side with the go.sum of the other', async ({ both }) => {
    const main = { 'main.go': program('thing', 'colour') };
    await using writers = await both.developers(main);
    await Promise.all([writers.modpress.go('mod', 'tidy'), writers.direct.go('mod', 'tidy')]);
    await using readers = await both.developers(main);
    await readers.direct.write(await locksOf(writers.modpress));
    await readers.modpress.write(await locksOf(writers.direct));
    const before = await locksOf(writers.direct);
    const { goMod, goSum } = expectSame(await readers.go('build', '-mod=mod', '-o', '../program', '.'));
    expect({ 'go.mod': goMod, 'go.sum': goSum }).toEqual(before);
  });

  test('is not built with a go.sum that has another checksum', async ({ both }) => {
    await using developers = await both.developers({ 'main.go': program('colour') });
    const { goSum } = expectSame(await developers.go('mod', 'tidy'));
    const fresh = {
      'main.go': program('colour'),
      'go.mod': await developers.direct.read('go.mod'),
      'go.sum': goSum.replace(/ h1:..../, ' h1:0000'),
    };
    const { modpress, direct } = expectFailure(await both.go(['build', '-o', '../program', '.'], fresh));
    expect(direct).toMatch(/checksum mismatch[^]*SECURITY ERROR/);
    expect(modpress).toBe(direct);
  });

  test('is built in a workspace in which one of them is replaced', async ({ both }) => {
    const files = {
      'go.work': `go 1.21\n\nuse (\n\t./app\n\t./tool\n)\n\nreplace ${GROUP}/colour => ./colour\n`,
      'app/go.mod': `module example.com/app\n\ngo 1.21\n\nrequire ${GROUP}/shape v1.1.0\n\nrequire ${GROUP}/colour v1.0.0 // indirect\n`,
      'app/main.go': program('shape'),
      'tool/go.mod': 'module example.com/tool\n\ngo 1.21\n',
      'tool/tool.go': 'package tool\n',
      'colour/go.mod': `module ${GROUP}/colour\n`,
      'colour/colour.go': 'package colour\n\nfunc Word() string { return "green" }\n',
    };
    await using developers = await both.developers(files, { GOFLAGS: '-modcacherw' });
    expect(expectSame(await developers.go('run', './app')).stdout).toBe('round green\n');
    expectSame(await developers.go('work', 'sync'));
    const sums = await developers.direct.read('go.work.sum');
    expect(await developers.modpress.read('go.work.sum')).toBe(sums);
    expect(expectSame(await developers.go('list', '-m', 'all')).stdout).toContain(
      `${GROUP}/colour v1.0.0 => ./colour\n`,
    );
  });
});

describe('commands outside a module', { timeout: 60_000 }, () => {
  test('go install installs a program that runs', async ({ both }) => {
    await using developers = await both.developers();
    expectSame(await developers.go('install', `${GROUP}/thing/cmd/say@latest`));
    for (const { bin, work } of [developers.modpress, developers.direct])
      expect(await readdir(bin), work).toEqual(['say']);
    const [said, wanted] = await Promise.all(
      [developers.modpress, developers.direct].map((developer) => developer.run(join(developer.bin, 'say'))),
    );
    expect(wanted).toMatchObject({ status: 0, stdout: 'thing round red\n' });
    expect(said).toEqual(wanted);
  });

  test('go mod download -json shows version, checksums and origin', async ({ both }) => {
    const queries = ['colour@v1.0.0', 'nest/sub@v0.1.0', 'shape@main', 'thing@v0.2.0'].map(
      (query) => `${GROUP}/${query}`,
    );
    const { stdout } = expectSame(await both.go(['mod', 'download', '-json', ...queries]));
    expect(stdout.match(/"(?:Sum|GoModSum)": "h1:/g)).toHaveLength(8);
    expect(stdout.match(/"Ref": .*/g)).toEqual([
      '"Ref": "refs/tags/v1.0.0"',
      '"Ref": "refs/tags/sub/v0.1.0"',
      '"Ref": "refs/heads/main"',
      '"Ref": "refs/tags/v0.2.0"',
    ]);
  });
});

/** A library whose word ends in the word of another library. */
function calling(module: string, other: string, word: string): Record<string, string> {
  const name = module.replace(/.*\//, '');
  const [version, ...more] =
    other === 'shape' ? ['v1.1.0', `\nrequire ${GROUP}/colour v1.0.0 // indirect\n`] : ['v1.0.0'];
  return {
    'go.mod': `module ${module}\n\ngo 1.21\n\nrequire ${GROUP}/${other} ${version}\n${more.join('')}`,
    [`${name}.go`]: `package ${name}\n\nimport "${GROUP}/${other}"\n\nfunc Word() string { return "${word} " + ${other}.Word() }\n`,
  };
}

/** A program that prints the words of these libraries. */
function program(...names: readonly string[]): string {
  const imports = names.map((name) => `\t"${GROUP}/${name}"\n`).join('');
  const prints = names.map((name) => `\tfmt.Println(${name}.Word())\n`).join('');
  return `package main\n\nimport (\n\t"fmt"\n\n${imports})\n\nfunc main() {\n${prints}}\n`;
}

async function locksOf(developer: Developer): Promise<Record<string, string>> {
  return { 'go.mod': await developer.read('go.mod'), 'go.sum': await developer.read('go.sum') };
}

/** All files in a folder of the work folder, with their content. */
async function filesBelow(developer: Developer, folder: string): Promise<Record<string, string>> {
  const top = join(developer.work, folder);
  const entries = (await readdir(top, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const paths = entries.map((entry) => join(entry.parentPath, entry.name)).toSorted();
  return Object.fromEntries(
    await Promise.all(paths.map(async (path) => [path.slice(top.length + 1), await readFile(path, 'utf8')] as const)),
  );
}
