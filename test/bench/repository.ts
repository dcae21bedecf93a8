import { once } from 'node:events';
import type { Git } from '../fake-gitlab/git.ts';
import type { Content } from './content.ts';

/**
 * The files of a module: many small files like those of a Go module, more and smaller files, or few large files like
 * images and tables.
 */
export type Shape = 'small' | 'smaller' | 'large';

const MB = 2 ** 20;
/** The range of sizes of small files, in bytes. The average is 12 KB. */
const SMALL = { least: 2048, limit: 22 * 1024 };
/** The range of sizes of smaller files, in bytes. The average is 8 KB, so that 40 MB are 5,000 files. */
const SMALLER = { least: 1024, limit: 15 * 1024 };
/** The maximum size of a large file, in bytes. */
const LARGE = 40 * MB;
const FILES_PER_DIRECTORY = 40;

/** A file that is generated in parts, so that memory never contains a whole large file. */
interface SourceFile {
  readonly path: string;
  readonly bytes: number;
  readonly parts: () => Iterable<Buffer>;
}

/**
 * Commits a module of `megabytes` MB to the branch `main` of a bare repository. Returns the commit id. The bytes are
 * streamed to `git fast-import`, so a large module needs no more memory than a small one.
 */
export async function commitModule(
  git: Git,
  directory: string,
  module: string,
  shape: Shape,
  megabytes: number,
  content: Content,
): Promise<string> {
  return commitFiles(git, directory, module, sourceFiles(shape, megabytes * MB, content));
}

/**
 * Commits a module whose other files all contain `bytes`, so that the repository stays small for any number of paths.
 * Returns the commit id.
 */
export async function commitPaths(
  git: Git,
  directory: string,
  module: string,
  paths: Iterable<string>,
  bytes: Buffer,
): Promise<string> {
  return commitFiles(git, directory, module, sameFiles(paths, bytes));
}

async function commitFiles(git: Git, directory: string, module: string, files: Iterable<SourceFile>): Promise<string> {
  const child = git.start(
    ['-c', 'core.bigFileThreshold=1m', '-c', 'core.compression=1', 'fast-import', '--quiet', '--force', '--depth=0'],
    { cwd: directory },
  );
  const output = child.stdout.setEncoding('utf8').toArray();
  const errorOutput = child.stderr.setEncoding('utf8').toArray();
  const closed = once(child, 'close');
  const write = async (part: string | Buffer): Promise<void> => {
    if (!child.stdin.write(part)) await Promise.race([once(child.stdin, 'drain'), closed]);
  };
  await write(
    'commit refs/heads/main\nmark :1\ncommitter Carl Committer <carl@example.com> 1704067200 +0000\ndata 6\nModule\n',
  );
  for (const { path, bytes, parts } of [goMod(module), ...files]) {
    await write(`M 100644 inline ${path}\ndata ${bytes}\n`);
    for (const part of parts()) await write(part);
    await write('\n');
  }
  await write('\nget-mark :1\n');
  child.stdin.end();
  const [status] = (await closed) as [number | null];
  if (status !== 0) throw new Error(`git fast-import ended with ${String(status)}: ${(await errorOutput).join('')}`);
  return (await output).join('').trim();
}

function goMod(module: string): SourceFile {
  const text = Buffer.from(`module ${module}\n\ngo 1.24\n`);
  return { path: 'go.mod', bytes: text.length, parts: () => [text] };
}

function sourceFiles(shape: Shape, total: number, content: Content): Iterable<SourceFile> {
  return shape === 'large'
    ? largeFiles(total, content)
    : smallFiles(total, content, shape === 'small' ? SMALL : SMALLER);
}

function* sameFiles(paths: Iterable<string>, bytes: Buffer): Generator<SourceFile> {
  for (const path of paths) yield { path, bytes: bytes.length, parts: () => [bytes] };
}

function* smallFiles(total: number, content: Content, sizes: { least: number; limit: number }): Generator<SourceFile> {
  let left = total;
  for (let index = 0; left > 0; index++) {
    const bytes = Math.min(left, content.number(sizes.least, sizes.limit));
    const directory = String(Math.floor(index / FILES_PER_DIRECTORY)).padStart(4, '0');
    yield { path: `internal/part${directory}/source${index}.go`, bytes, parts: () => [content.text(bytes)] };
    left -= bytes;
  }
}

/** Generates files in which half of the bytes are text and half do not compress. */
function* largeFiles(total: number, content: Content): Generator<SourceFile> {
  const each = Math.min(LARGE, Math.ceil(total / 2));
  for (let index = 0, left = total; left > 0; index++, left -= each) {
    const bytes = Math.min(left, each);
    yield { path: `assets/table${index}.bin`, bytes, parts: () => mixed(bytes, content) };
  }
}

function* mixed(total: number, content: Content): Generator<Buffer> {
  let isText = true;
  for (let left = total; left > 0; isText = !isText) {
    const bytes = Math.min(left, content.number(MB / 4, MB));
    yield isText ? content.text(bytes) : content.noise(bytes);
    left -= bytes;
  }
}
