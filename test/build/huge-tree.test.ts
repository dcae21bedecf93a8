import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BlobId, CommitId, TreeEntry } from '../../src/gitlab/schema.ts';
import { checkFiles, type TreeFile } from '../../src/module/check-files.ts';
import { compareBytes } from '../../src/module/hash.ts';
import { TreeSieve } from '../../src/module/tree-sieve.ts';
import type { Version } from '../../src/module/version.ts';
import type { CommitFiles } from '../../src/build/commit-files.ts';
import { planZip } from '../../src/build/plan-zip.ts';
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

/** Returns the verdicts on the files that the sieve kept, and on all files. */
function verdicts(files: readonly TreeFile[], isGo124: boolean): { sieved: unknown; whole: unknown } {
  const sieve = new TreeSieve<TreeFile>(isGo124);
  for (const each of files) sieve.add(each);
  return { sieved: checkFiles(sieve.files(), isGo124), whole: checkFiles(files, isGo124) };
}

describe('files that cannot belong to a module', () => {
  test('may be dropped while the tree is read, without changing the result', () => {
    let refused = 0;
    let smaller = 0;
    const property = fc.property(tree, fc.boolean(), (files, isGo124) => {
      const { sieved, whole } = verdicts(inGitsOrder(files), isGo124);
      expect(sieved).toEqual(whole);
      const { invalid, included } = whole as ReturnType<typeof checkFiles>;
      if (invalid.length > 0) refused++;
      else if (included.length < files.length) smaller++;
    });
    fc.assert(property, { numRuns: 10_000 });
    // The random trees must cover both cases.
    expect(refused).toBeGreaterThan(1000);
    expect(smaller).toBeGreaterThan(1000);
  });

  test('may be dropped in any order of the tree', () => {
    fc.assert(
      fc.property(tree, fc.boolean(), (files, isGo124) => {
        const { sieved, whole } = verdicts(files, isGo124);
        expect(sieved).toEqual(whole);
      }),
      { numRuns: 3000 },
    );
  });

  test('are dropped once their directory turns out to be a module', () => {
    const sieve = new TreeSieve<TreeFile>(true);
    for (const path of ['a.go', 'n/GO.MOD.txt', 'n/a.go', 'n/b/c.go', 'n/go.mod', 'n/x.go', 'n0.go', 'vendor/a/b.go'])
      sieve.add({ path, kind: 'file' });
    expect(sieve.files().map(({ path }) => path)).toEqual(['a.go', 'n0.go']);
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
    expect(plan.files.map(({ path }) => path)).toEqual(['.gitattributes', 'go.mod', ...own]);
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
      const { included, invalid } = checkFiles(listed, true);
      const planning = plannedFor(entries, directory);
      if (invalid.length > 0) await expect(planning).rejects.toThrow(invalid[0]?.reason ?? '');
      else
        expect((await planning).files).toEqual(
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
