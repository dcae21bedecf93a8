import { createHash } from 'node:crypto';
import { setImmediate as nextIteration } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { planZip } from '../../src/build/plan-zip.ts';
import { Refuse } from '../../src/errors.ts';
import type { BlobId, CommitId, TreeEntry } from '../../src/gitlab/schema.ts';
import { ModuleZip } from '../../src/module/zip/writer.ts';
import { modulePath } from '../proxy/modules.ts';
import type { Version } from '../../src/module/version.ts';
import { MAX_BLOCK_MS, measure } from '../hostile/event-loop.ts';

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const padded = (index: number): string => String(index).padStart(7, '0');

/** The paths of trees that are expensive to check, and the number of their files that belong to the module. */
const HOSTILE: Readonly<Record<string, { readonly paths: readonly string[]; readonly planned: number }>> = {
  '500,000 files': {
    paths: numbers(500_000).map((index) => `pkg${padded(index).slice(0, 4)}/file${padded(index)}.go`),
    planned: 500_000,
  },
  '200,000 files in reverse order': {
    paths: numbers(200_000).map((index) => `f${padded(200_000 - index)}.go`),
    planned: 200_000,
  },
  '200,000 files whose names need case folding': {
    paths: numbers(200_000).map((index) => `päckage${padded(index).slice(0, 4)}/été${padded(index)}.go`),
    planned: 200_000,
  },
  'deep directories': {
    paths: numbers(100).map((index) => `${padded(index)}/${'a/'.repeat(2000)}f.go`),
    planned: 100,
  },
  'a path of 30,000 directories': { paths: [`${'a/'.repeat(30_000)}f.go`], planned: 1 },
  '100,000 nested modules': { paths: numbers(100_000).map((index) => `n${padded(index)}/go.mod`), planned: 0 },
  'files in deep directories after a nested module': {
    paths: ['a/go.mod', ...numbers(200).map((index) => `b${padded(index)}/${'a/'.repeat(2000)}f.go`)],
    planned: 200,
  },
};

describe.each(Object.entries(HOSTILE))('a tree with %s', (_name, { paths, planned }) => {
  test('is planned without blocking the event loop', async () => {
    const { result, longestBlockMs } = await measure(() => plan(paths));
    expect(result.files.length).toBe(planned + 1);
    expect(longestBlockMs).toBeLessThan(MAX_BLOCK_MS);
  }, 120_000);
});

test('a zip with 150,000 files is written without blocking the event loop', async () => {
  const sha256 = createHash('sha256').digest('hex');
  const { result, longestBlockMs } = await measure(async () => {
    const zip = new ModuleZip(modulePath('a.b/c'), 'v1.0.0' as Version);
    zip.output.resume();
    for (const [index, number] of numbers(150_000).entries()) {
      // The bytes of the files come from GitLab.
      if (index % 100 === 0) await nextIteration();
      await zip.add({ path: `f${padded(number)}`, size: 0, sha256, content: Buffer.alloc(0) });
    }
    return zip.finish();
  });
  expect(result).toMatch(/^h1:/);
  expect(longestBlockMs).toBeLessThan(MAX_BLOCK_MS);
}, 120_000);

test('a tree of which git would create a zip that is too large is refused before its end', async () => {
  let read = 0;
  async function* endless(): AsyncGenerator<TreeEntry> {
    for (;;) {
      read++;
      if (read % 1000 === 0) await nextIteration();
      yield entry(`vendor/${'x'.repeat(50_000)}/${read}`);
    }
  }
  await expect(planOf(endless())).rejects.toThrow(Refuse);
  expect(read).toBeLessThan(6000);
});

test('a path that no zip can contain is refused', async () => {
  const longest = 65_535 - 'a.b/c@v1.0.0/'.length;
  await expect(plan(['x'.repeat(longest + 1)])).rejects.toThrow(Refuse);
  expect((await plan(['x'.repeat(longest)])).files.length).toBe(2);
});

function plan(paths: readonly string[]): ReturnType<typeof planZip> {
  async function* entries(): AsyncGenerator<TreeEntry> {
    for (const [index, path] of ['go.mod', ...paths].entries()) {
      // Each page of a hundred entries is a response of GitLab.
      if (index % 100 === 0) await nextIteration();
      yield entry(path);
    }
  }
  return planOf(entries());
}

function planOf(entries: AsyncIterable<TreeEntry>): ReturnType<typeof planZip> {
  return planZip(
    { tree: () => entries, file: async () => undefined },
    {
      path: modulePath('a.b/c'),
      version: 'v1.0.0' as Version,
      commit: '0'.repeat(40) as CommitId,
      directory: '',
      gomod: Buffer.from('module a.b/c\n\ngo 1.24\n'),
    },
  );
}

function entry(path: string): TreeEntry {
  return { path, type: 'blob', mode: '100644', blob: '0'.repeat(40) as BlobId };
}
