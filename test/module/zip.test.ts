import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, describe, expect, test } from 'vitest';
import type { TreeFile } from '../../src/module/check-files.ts';
import { hashGoMod } from '../../src/module/hash.ts';
import { isGo124OrLater } from '../../src/module/modfile.ts';
import type { ModulePath } from '../../src/module/path.ts';
import type { Version } from '../../src/module/version.ts';
import { checkZipSize, MAX_GOMOD, MAX_LICENSE, MAX_ZIP, ModuleZip } from '../../src/module/zip/writer.ts';
import { checkFiles } from './check-files.ts';
import { Oracle } from './oracle.ts';

const oracle = new Oracle();
const folder = mkdtempSync(join(tmpdir(), 'modpress-zip-'));
afterAll(() => {
  oracle.close();
  rmSync(folder, { recursive: true });
});

const path = 'gitlab.example/group/lib' as ModulePath;
const version = 'v1.2.3' as Version;

const nothing = { sha256: '', content: Buffer.of() };

/** A tree, as contents by name. The content `null` is a symlink. */
type Tree = Readonly<Record<string, string | null>>;

const GO_123 = 'module a.b/c\n\ngo 1.23\n';
const GO_124 = 'module a.b/c\n\ngo 1.24\n';

/** Vendor folders in every place in which the two rules agree or differ. */
const VENDORED: Tree = {
  'vendor/c/d.go': 'x',
  'p/vendor/c/d.go': 'x',
  'longer/path/vendor/c/d.go': 'x',
  'vendor/v.go': 'x',
  'vendor/c/modules.txt': 'x',
  'modules.txt': 'x',
  'p/modules.txt': 'x',
  'p/vendor/modules.txt': 'x',
  'vendor/amodules.txt': 'x',
  'vendor/modules.txt': 'x',
  'p/vendor/v.go': 'x',
  'longer/path/vendor/v.go': 'x',
};
const GO_LINES = [
  '',
  'go 1.1',
  'go 1.13',
  'go 1.21.0',
  'go 1.23',
  'go 1.23.5',
  'go 1.24rc1',
  'go 1.24',
  'go 1.24.0',
  'go 1.99.0',
  'go 2.0',
];

const TREES: Readonly<Record<string, Tree>> = {
  ...Object.fromEntries(
    GO_LINES.map((line) => [
      `vendor with ${JSON.stringify(line)}`,
      { 'go.mod': `module a.b/c\n${line}\n`, ...VENDORED },
    ]),
  ),
  'vendor without a go.mod': VENDORED,
  nothing: {},
  'a small module': { 'go.mod': GO_124, 'a.go': 'package a\n', 'sub/b.go': 'package b\n', LICENSE: 'x' },
  'an empty file': { 'go.mod': GO_124, empty: '' },
  'no go.mod': { 'a.go': 'package a\n' },
  symlinks: { 'go.mod': GO_124, 'a.go': 'x', link: null, 'd/link': null },
  'a badly named symlink': { 'go.mod': GO_124, 'bad:name': null },
  'a symlink that collides': { 'go.mod': GO_124, a: 'x', A: null },
  'a nested module': { 'go.mod': GO_124, 'n/go.mod': 'module n\n', 'n/x.go': 'x', 'n/deep/y.go': 'y', 'nx/z.go': 'z' },
  'a nested module by GO.MOD': { 'go.mod': GO_124, 'caps/GO.MOD': 'x', 'caps/x.go': 'x' },
  'a symlink named go.mod': { 'go.mod': GO_124, 'n/go.mod': null, 'n/x.go': 'x' },
  'a directory named go.mod': { 'go.mod': GO_124, 'n/go.mod/x.go': 'x', 'n/y.go': 'y' },
  'a bad name in a nested module': { 'go.mod': GO_124, 'n/go.mod': 'x', 'n/bad:name': 'x' },
  'a root go.mod in capitals': { 'GO.MOD': GO_124, 'a.go': 'x' },
  'two root go.mod files': { 'go.mod': GO_124, 'Go.mod': GO_124 },
  'vendor before 1.24': {
    'go.mod': GO_123,
    'vendor/modules.txt': 'x',
    'vendor/a.b/c/d.go': 'x',
    'vendor/x.go': 'x',
    'p/vendor/v.go': 'x',
    'p/vendor/q/v.go': 'x',
    'long/path/vendor/v.go': 'x',
  },
  'vendor from 1.24': {
    'go.mod': GO_124,
    'vendor/modules.txt': 'x',
    'vendor/a.b/c/d.go': 'x',
    'vendor/x.go': 'x',
    'p/vendor/v.go': 'x',
    'p/vendor/q/v.go': 'x',
    'long/path/vendor/v.go': 'x',
  },
  'vendor with a broken go.mod': {
    'go.mod': 'module a.b/c\ngo 1.24\nrequire x\n',
    'vendor/modules.txt': 'x',
    'p/vendor/v.go': 'x',
  },
  'vendor without a go line': { 'go.mod': 'module a.b/c\n', 'vendor/modules.txt': 'x', 'a/b/vendor/v.go': 'x' },
  'vendor below a name of two-byte letters, old rule': {
    'go.mod': GO_123,
    'éé/vendor/x.go': 'x',
    'ééé/vendor/x.go': 'x',
    'éééé/vendor/x.go': 'x',
  },
  'vendor within vendor': {
    'go.mod': GO_124,
    'vendor/vendor/x.go': 'x',
    'a/vendor/b/vendor/x.go': 'x',
    'a/vendor/vendor/x.go': 'x',
  },
  'a bad name in vendor': { 'go.mod': GO_124, 'vendor/a.b/bad:name': 'x' },
  'a nested module in vendor': { 'go.mod': GO_124, 'vendor/go.mod': 'x', 'vendor/x.go': 'x' },
  'names similar to vendor': {
    'go.mod': GO_124,
    'vendor.go': 'x',
    'vendored/x/y.go': 'x',
    'xvendor/y/z.go': 'x',
    vendors: 'x',
  },
  '.hg_archival.txt': { 'go.mod': GO_124, '.hg_archival.txt': 'x', 'd/.hg_archival.txt': 'x' },
  'directories of version control': { 'go.mod': GO_124, '.hg/x': 'x', '.svn/y': 'y' },
  'a case collision of files': { 'go.mod': GO_124, 'a.go': 'x', 'A.go': 'y' },
  'a case collision of directories': { 'go.mod': GO_124, 'd/a.go': 'x', 'D/b.go': 'y' },
  'a file and a directory that differ only in case': { 'go.mod': GO_124, 'd/a.go': 'x', D: 'y' },
  'the Kelvin sign and k': { 'go.mod': GO_124, 'k.go': 'x', '\u212a.go': 'y' },
  'the long s and s': { 'go.mod': GO_124, 's.go': 'x', '\u017f.go': 'y' },
  'the sharp s and its capital': { 'go.mod': GO_124, 'ß.go': 'x', 'ẞ.go': 'y' },
  'dotless and dotted i': { 'go.mod': GO_124, 'i.go': 'x', 'ı.go': 'y', 'İ.go': 'z' },
  'the sigma and the final sigma': { 'go.mod': GO_124, 'σ.go': 'x', 'ς.go': 'y' },
  'names that UTF-16 sorts differently': { 'go.mod': GO_124, '\u{20000}.go': 'x', '\uff21.go': 'y', 'z.go': 'z' },
  'a dash, which comes before a slash': { 'go.mod': GO_124, 'a/b.go': 'x', 'a-b.go': 'y', 'a.go': 'z' },
  'a LICENSE directory': { 'go.mod': GO_124, 'LICENSE/x': 'x' },
  'LICENSE in two cases': { 'go.mod': GO_124, LICENSE: 'x', license: 'y' },
  'a Windows name': { 'go.mod': GO_124, 'aux.go': 'x' },
  'a trailing dot': { 'go.mod': GO_124, 'a.': 'x' },
  'a colon': { 'go.mod': GO_124, 'a:b': 'x' },
  'a backslash': { 'go.mod': GO_124, 'a\\b': 'x' },
  'a quote': { 'go.mod': GO_124, 'a"b': 'x' },
  'an emoji': { 'go.mod': GO_124, '😀': 'x' },
  'a combining mark': { 'go.mod': GO_124, 'cafe\u0301': 'x' },
  'letters of many scripts': { 'go.mod': GO_124, café: 'x', '日本語/文.go': 'y', ñ: 'z' },
  'spaces and punctuation': { 'go.mod': GO_124, 'a b/!#$%&()+,-.=@[]^_{}~': 'x' },
  'a tilde and digits in a file': { 'go.mod': GO_124, 'a~1': 'x', '-x': 'y' },
};

describe('the zip of a tree', () => {
  test.each(Object.entries(TREES))('contains the files of golang.org/x/mod/zip and has its h1: %s', async (_, tree) => {
    // git lists names in byte order. With the same order, both report the same one of two colliding files.
    const names = Object.keys(tree).toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const Files = names.map((name) => ({ Path: name, Symlink: tree[name] === null, Content: tree[name] ?? 'target' }));
    const truth = await oracle.ask({ Op: 'zip', Text: path, Other: version, Files });
    expect(await ourZip(tree)).toEqual(
      truth.OK
        ? { h1: truth.Text, names: truth.Parts ?? [] }
        : { refused: expect.arrayContaining([expect.toSatisfy((name: string) => truth.Error.includes(name))]) },
    );
  });

  test('has the same bytes for an equal tree', async () => {
    const tree = TREES['a small module'] ?? {};
    const files = (await checkFiles(treeFiles(tree), true)).included;
    expect((await writeZip(tree, files)).bytes.equals((await writeZip(tree, files)).bytes)).toBe(true);
  });
});

test.each([
  ['one byte less than the size that is deflated at once', 64 * 2 ** 10 - 1],
  ['one byte more than the size that is deflated at once', 64 * 2 ** 10 + 1],
  ['exactly one block', 2 ** 20],
  ['one byte more than a block', 2 ** 20 + 1],
  ['many blocks', 9 * 2 ** 20 + 12_345],
])('Go reads a file of %s unchanged, whether it was added from memory or as a stream', async (_, size) => {
  const content = Buffer.concat([
    randomBytes(size / 2),
    Buffer.alloc(size - Math.floor(size / 2), 'compressible text\n'),
  ]);
  const sha256 = createHash('sha256').update(content).digest('hex');
  const pieces = Array.from({ length: Math.ceil(size / 70_001) }, (_piece, i) =>
    content.subarray(i * 70_001, (i + 1) * 70_001),
  );
  const forms = [content, () => Readable.from(pieces, { objectMode: false })];
  const zips = [];
  for (const form of forms) {
    const zip = new ModuleZip(path, version);
    const bytes = buffer(zip.output);
    await zip.add({ path: 'file', size, sha256, content: form });
    const h1 = zip.finish();
    zips.push(await bytes);
    expect(await readByGo(await bytes)).toEqual({ h1, names: ['file'] });
  }
  expect(zips[0]?.equals(zips[1] ?? Buffer.of()), 'the bytes are the same for both').toBe(true);
});

test('Go reads a zip with so many files that it needs 64-bit records', { timeout: 120_000 }, async () => {
  const zip = new ModuleZip(path, version);
  const bytes = buffer(zip.output);
  const empty = createHash('sha256').digest('hex');
  const names = Array.from({ length: 66_000 }, (_, i) => `d${i % 100}/f${i}`).sort();
  for (const name of names) await zip.add({ path: name, size: 0, sha256: empty, content: Buffer.of() });
  const h1 = zip.finish();
  expect(await readByGo(await bytes)).toEqual({ h1, names });
});

test('the zip writer has the limits of the go command', async () => {
  expect([MAX_ZIP, MAX_GOMOD, MAX_LICENSE].map(String)).toEqual((await oracle.ask({ Op: 'limits' })).Parts);
});

test.each(['go.mod', 'LICENSE'])(
  'the zip writer accepts a %s of 16 MiB, and refuses a larger file by its size alone',
  async (name) => {
    const size = 16 * 2 ** 20;
    const zip = new ModuleZip(path, version);
    zip.output.resume();
    await expect(zip.add({ path: name, size, sha256: '', content: Buffer.alloc(size) })).resolves.toBeUndefined();
    await expect(zip.add({ ...nothing, path: name, size: size + 1 })).rejects.toThrow(`${name} is too large`);
    await expect(
      zip.add({ ...nothing, path: `sub/${name}`, size: size + 1 }),
      'the limit applies only to the root',
    ).rejects.toThrow('has 0 bytes instead of');
  },
);

test('the zip writer accepts a module of 500 MiB, and refuses a larger module by its size alone', async () => {
  const zip = new ModuleZip(path, version);
  zip.output.resume();
  await expect(zip.add({ ...nothing, path: 'big', size: 500 * 2 ** 20 })).rejects.toThrow('has 0 bytes instead of');
  await expect(zip.add({ ...nothing, path: 'small', size: 1 })).rejects.toThrow(
    'the files of the module are too large',
  );
});

test('checkZipSize accepts a zip of 500 MiB, and refuses a larger zip', () => {
  expect(() => checkZipSize(500 * 2 ** 20)).not.toThrow();
  expect(() => checkZipSize(500 * 2 ** 20 + 1)).toThrow('the module zip is too large');
});

test.each(['', 'module a.b/c\n', 'module a.b/c\r\n\r\ngo 1.24'])(
  'hashGoMod computes the checksum of dirhash for %j',
  async (gomod) => {
    expect(hashGoMod(Buffer.from(gomod))).toBe((await oracle.ask({ Op: 'goModSum', Text: gomod })).Text);
  },
);

test('the zip writer fails with an error if the reader of its output closes', async () => {
  const zip = new ModuleZip(path, version);
  const bytes = randomBytes(2 ** 22);
  const adding = zip.add({ path: 'a', size: bytes.length, sha256: '', content: bytes });
  zip.output.destroy();
  await expect(adding).rejects.toThrow('closed before its end');
});

function treeFiles(tree: Tree): TreeFile[] {
  return Object.entries(tree).map(([name, content]) => ({ path: name, kind: content === null ? 'symlink' : 'file' }));
}

/**
 * Returns the h1 and the names of modpress's zip of a tree, as Go reads them, or the files for which modpress refuses
 * the tree.
 */
async function ourZip(tree: Tree): Promise<{ h1: string; names: string[] } | { refused: string[] }> {
  const { included, invalid } = await checkFiles(
    treeFiles(tree),
    await isGo124OrLater(Buffer.from(tree['go.mod'] ?? '')),
  );
  if (invalid.length > 0) return { refused: invalid.map((file) => file.path) };
  const { bytes, h1 } = await writeZip(tree, included);
  const read = await readByGo(bytes);
  expect(read.h1).toBe(h1);
  return read;
}

async function readByGo(bytes: Buffer): Promise<{ h1: string; names: string[] }> {
  const file = join(folder, 'module.zip');
  await writeFile(file, bytes);
  const {
    OK,
    Error: error,
    Text,
    Parts,
  } = await oracle.ask({ Op: 'checkZip', Text: path, Other: version, Files: [{ Path: file }] });
  if (!OK) throw new Error(`Go cannot read the zip: ${error}`);
  return { h1: Text, names: Parts ?? [] };
}

async function writeZip(tree: Tree, files: readonly TreeFile[]): Promise<{ bytes: Buffer; h1: string }> {
  const zip = new ModuleZip(path, version);
  const bytes = buffer(zip.output);
  for (const file of files) {
    const content = Buffer.from(tree[file.path] ?? '');
    const sha256 = createHash('sha256').update(content).digest('hex');
    await zip.add({ path: file.path, size: content.length, sha256, content });
  }
  const h1 = zip.finish();
  return { bytes: await bytes, h1 };
}
