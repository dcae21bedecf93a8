import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Attributes } from '../../src/build/attributes.ts';
import { makeFromBlob } from '../../src/build/file-from-blob.ts';
import { hashBytes, type HashedFile } from '../../src/build/hashed-file.ts';
import type { BlobId } from '../../src/gitlab/schema.ts';
import { Git } from '../fake-gitlab/git.ts';
import { startGitLab, type Project, type StandIn } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { MAX_BLOCK_MS, measure } from '../hostile/event-loop.ts';

/** The maximum size of a file that modpress converts. */
const LARGE = 32 * 2 ** 20;

/** Parts of files that are expensive to convert when they are repeated. */
const PARTS = [
  '\n',
  '\r\n',
  '$Id$',
  '$Id: old $ ',
  '$Id',
  '$Idx',
  '$Id:',
  '$Id: a b ',
  '$Id: a b $',
  '$',
  '\u0001',
  'x\n',
  'x',
];
const ATTRIBUTES = ['* eol=crlf ident', '* text=auto eol=crlf ident'];

const git = new Git();
let gitlab: StandIn;
let project: Project;
let folder: string;

beforeAll(async () => {
  gitlab = await startGitLab();
  project = await gitlab.createProject('hostile/conversions');
  folder = await mkdtemp(join(tmpdir(), 'modpress-conversions-'));
});
afterAll(async () => {
  await git.close();
  await gitlab.close();
  await rm(folder, { recursive: true, force: true });
});

describe.each(ATTRIBUTES)('with %j', (attributes) => {
  // Git ends with a segmentation fault for the part `$Id:`.
  test.each(PARTS.filter((part) => part !== '$Id:'))('a file that repeats %j is converted as by git', async (part) => {
    const content = `${part.repeat(20_000)}$\n$Id$`;
    await using tree = await WorkTree.create(project);
    const head = await tree.write({ '.gitattributes': attributes, file: content }).commit('Only');
    const cwd = (await tree.git('rev-parse', '--absolute-git-dir')).trim();
    const settings = ['-c', 'core.autocrlf=input', '-c', 'core.eol=lf'];
    const archive = await git.run([...settings, 'archive', '--format=tar', head, 'file'], { cwd });
    const { size, sha256 } = await converted(blobOf(Buffer.from(content)), attributes);
    // The archive contains one header for itself and one for the file.
    expect(
      createHash('sha256')
        .update(archive.subarray(1536, 1536 + size))
        .digest('hex'),
    ).toBe(sha256);
    expect(archive.toString('latin1', 1024 + 124, 1024 + 135)).toBe(size.toString(8).padStart(11, '0'));
  });
});

test.each(PARTS)(
  'a large file that repeats %j does not block the event loop',
  async (part) => {
    const content = blobOf(Buffer.alloc(LARGE, part));
    const { longestBlockMs, grewBytes } = await measure(() => converted(content, '* text=auto eol=crlf ident'));
    expect(longestBlockMs).toBeLessThan(MAX_BLOCK_MS);
    expect(grewBytes).toBeLessThan(3 * LARGE);
  },
  60_000,
);

/** A blob as git stores it. */
interface Blob {
  readonly id: BlobId;
  readonly bytes: Buffer;
}

function blobOf(bytes: Buffer): Blob {
  return { id: hashBytes(bytes, 40).blob as BlobId, bytes };
}

async function converted({ id, bytes }: Blob, attributes: string): Promise<HashedFile> {
  const read = await Attributes.read([{ directory: '', bytes: Buffer.from(attributes) }]);
  const made = await makeFromBlob(
    { path: 'file', treePath: 'file', kind: 'file', content: id },
    { blob: async () => Readable.from([bytes]), attributes: async () => read, folder },
  );
  if (!made) throw new Error('the conversion is unsure');
  return made;
}
