import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { expect, test } from 'vitest';
import { Retry } from '../../src/errors.ts';
import { readArchive } from '../../src/gitlab/archive.ts';
import { MAX_BLOCK_MS, measure } from '../hostile/event-loop.ts';

const LONG_PATH = `${'long/'.repeat(100)}a`;

/** Creates a tar with a symlink that has a target of this length, between two files. */
async function tarWithSymlink(targetLength: number): Promise<Buffer> {
  const tar = pack();
  tar.entry({ name: `p/${LONG_PATH}` }, 'first');
  tar.entry({ name: 'p/link', type: 'symlink', linkname: 'x'.repeat(targetLength) });
  tar.entry({ name: 'p/z' }, 'second');
  tar.finalize();
  return await buffer(tar);
}

async function filesIn(compressed: Buffer): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for await (const { path, body } of readArchive(Readable.from([compressed])))
    files[path] = (await buffer(body)).toString();
  return files;
}

test('an archive is read past a symlink with a target of three megabytes', async () => {
  expect(await filesIn(gzipSync(await tarWithSymlink(3_000_000)))).toEqual({ [LONG_PATH]: 'first', z: 'second' });
});

test('an archive ends before a symlink with a target of 100 megabytes, without an error', async () => {
  const archive = gzipSync(await tarWithSymlink(100_000_000));
  const { result, longestBlockMs } = await measure(() => filesIn(archive));
  expect(result).toEqual({ [LONG_PATH]: 'first' });
  expect(longestBlockMs).toBeLessThan(MAX_BLOCK_MS);
});

test('an archive that ends inside an entry makes the tag run again, even if gzip is complete', async () => {
  const tar = await tarWithSymlink(500);
  for (const end of [700, 513, 100]) await expect(filesIn(gzipSync(tar.subarray(0, end)))).rejects.toThrow(Retry);
});
