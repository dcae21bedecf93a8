import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BlobId, CommitId, TreeEntry } from '../../src/gitlab/schema.ts';
import { inSlices } from '../../src/async/in-slices.ts';
import { isVendored, nestedModule, type TreeFile } from '../../src/module/check-files.ts';
import { compareBytes } from '../../src/module/hash.ts';
import { TreeSieve } from '../../src/module/tree-sieve.ts';
import type { Version } from '../../src/module/version.ts';
import type { CommitFiles } from '../../src/build/commit-files.ts';
import { planZip } from '../../src/build/plan-zip.ts';
import { checkFiles } from '../module/check-files.ts';
import { modulePath } from '../proxy/modules.ts';

const element = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom('a', 'b', 'c', 'sub', 'vendor', 'go.mod', 'x.go') },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      'A',
      'Sub',
      'GO.MOD',
      'Go.Mod',
      'go.mod.bak',
      'modules.txt',
      'Vendor',
      '.hg_archival.txt',
      'a-b',
      'a.b',
      'é',
      '\u{20000}',
      '\uff21',
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom('bad:name', 'aux', 'k', '\u212a') },
);
const file = fc.record<TreeFile>({
  path: fc.array(element, { minLength: 1, maxLength: 5 }).map((elements) => elements.join('/')),
  kind: fc.integer({ min: 0, max: 9 }).map((die) => (die === 0 ? 'symlink' : 'file')),
});
const tree = fc.uniqueArray(file, { minLength: 1, maxLength: 40, selector: ({ path }) => path });
const inGitsOrder = (files: readonly TreeFile[]): TreeFile[] =>
  files.toSorted((one, other) => compareBytes(one.path, other.path));

/** Returns the files that are neither vendored nor in a nested module, which are found by looking at the whole tree. */
function filesOfModule(files: readonly TreeFile[], isGo124: boolean): TreeFile[] {
  const nested = files.flatMap((each) => nestedModule(each) ?? []);
  return inGitsOrder(files).filter(
    ({ path }) => !isVendored(path, isGo124) && !nested.some((directory) => path.startsWith(directory)),
  );
}

async function sieved(files: readonly TreeFile[], isGo124: boolean): Promise<readonly TreeFile[]> {
  const sieve = new TreeSieve<TreeFile>(isGo124);
  for (const each of files) sieve.add(each);
  return [...(await inSlices(sieve.files()))];
}

describe('files that cannot belong to a module', () => {
  test('may be dropped while the tree is read, without changing the result', async () => {
    let smaller = 0;
    const property = fc.asyncProperty(tree, fc.boolean(), async (files, isGo124) => {
      const expected = filesOfModule(files, isGo124);
      expect(await sieved(inGitsOrder(files), isGo124)).toEqual(expected);
      if (expected.length < files.length) smaller++;
    });
    await fc.assert(property, { numRuns: 10_000 });
    // Many of the random trees must contain files to drop.
    expect(smaller).toBeGreaterThan(1000);
  });

  test('may be dropped in any order of the tree', async () => {
    const property = fc.asyncProperty(tree, fc.boolean(), async (files, isGo124) => {
      expect(await sieved(files, isGo124)).toEqual(filesOfModule(files, isGo124));
    });
    await fc.assert(property, { numRuns: 3000 });
  });

  test('are dropped once their directory turns out to be a module', async () => {
    const paths = ['a.go', 'n/GO.MOD.txt', 'n/a.go', 'n/b/c.go', 'n/go.mod', 'n/x.go', 'n0.go', 'vendor/a/b.go'];
    const files = paths.map((path): TreeFile => ({ path, kind: 'file' }));
    expect((await sieved(files, true)).map(({ path }) => path)).toEqual(['a.go', 'n0.go']);
  });
});

describe('the plan for a huge tree', () => {
  test('contains only the files of the module and its .gitattributes', async () => {
    const own = Array.from({ length: 300 }, (_, index) => `pkg/f${String(index).padStart(3, '0')}.go`);
    const paths = [
      '.gitattributes',
      'go.mod',
      ...Array.from({ length: 20_000 }, (_, index) => `nested/m${Math.floor(index / 100)}/bad:name${index}`),
      'nested/go.mod',
      ...own,
      ...Array.from({ length: 20_000 }, (_, index) => `vendor/x.y/z/aux${index}/.gitattributes`),
    ];
    const plan = await plannedFor(
      paths.map((path) => entry(path)),
      '',
    );
    expect(Array.from(plan.files).map(({ path }) => path)).toEqual(['.gitattributes', 'go.mod', ...own]);
    expect(plan.attributes).toEqual(['.gitattributes']);
  });

  test('equals the plan of the complete list, for any tree and directory', async () => {
    const legal = tree.map((files) =>
      files.filter(({ path }) => path !== 'go.mod' && !path.startsWith('go.mod/') && path !== 'LICENSE'),
    );
    const property = fc.asyncProperty(legal, fc.constantFrom('', 'dir', 'a/vendor/b'), async (files, directory) => {
      const listed = inGitsOrder([...files, { path: 'go.mod', kind: 'file' }, { path: 'LICENSE', kind: 'file' }]);
      const prefix = directory === '' ? '' : `${directory}/`;
      const entries = listed.map(({ path, kind }) => entry(prefix + path, kind === 'symlink' ? '120000' : '100644'));
      const { included, invalid } = await checkFiles(listed, true);
      const planning = plannedFor(entries, directory);
      if (invalid.length > 0) await expect(planning).rejects.toThrow(invalid[0]?.reason ?? '');
      else
        expect([...(await planning).files]).toEqual(
          included.map(({ path }) => ({
            path,
            treePath: prefix + path,
            kind: 'file',
            content: entry(prefix + path).blob,
          })),
        );
    });
    await fc.assert(property, { numRuns: 2000 });
  });
});

function plannedFor(entries: readonly TreeEntry[], directory: string): ReturnType<typeof planZip> {
  const files: CommitFiles = {
    async *tree() {
      yield* entries;
    },
    file: async () => undefined,
  };
  const gomod = Buffer.from('module gitlab.example/x\n\ngo 1.24\n');
  return planZip(files, {
    path: modulePath('gitlab.example/x'),
    version: 'v1.0.0' as Version,
    commit: '0'.repeat(40) as CommitId,
    directory,
    gomod,
  });
}

function entry(path: string, mode = '100644'): TreeEntry {
  return { path, type: 'blob', mode, blob: Buffer.from(path).toString('hex').padStart(40, '0').slice(-40) as BlobId };
}
