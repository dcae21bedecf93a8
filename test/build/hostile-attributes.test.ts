import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Attributes, type AttributesFile, type Conversion } from '../../src/build/attributes.ts';
import { convertBytes } from '../../src/build/convert-bytes.ts';
import { hashBytes } from '../../src/build/hashed-file.ts';
import { readArchive } from '../../src/gitlab/archive.ts';
import type { BlobId } from '../../src/gitlab/schema.ts';
import { collect } from '../../src/io/read-body.ts';
import { Git } from '../fake-gitlab/git.ts';
import { startGitLab, type Project, type StandIn } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { MAX_BLOCK_MS, measure } from '../hostile/event-loop.ts';
import { lines, numbers, words } from '../hostile/text.ts';

const LINES = 'one\n$Id$\ntwo\n';
const BLOB = hashBytes(Buffer.from(LINES), 40).blob as BlobId;

/** .gitattributes files by their directories, and the paths of other files. */
interface Hostile {
  readonly attributes: Readonly<Record<string, string>>;
  readonly paths: readonly string[];
  /** Whether modpress may leave the conversion to git. This is never wrong. */
  readonly mayBeUnsure?: boolean;
  /** Whether git takes minutes. Then the result cannot be compared. */
  readonly gitIsSlow?: boolean;
}

const files = (count: number): string[] => numbers(count).map((index) => `d${index % 10}/f${index}.go`);
/** Directories in each other, with a file in each of them. */
const nested = numbers(300).map((index) => 'd/'.repeat(index));

const HOSTILE: Readonly<Record<string, Hostile>> = {
  'one line with 200,000 attributes that convert nothing': {
    attributes: { '': `* ${words(100_000, (index) => `a${index} -b${index}`)}\n*.go eol=crlf\n` },
    paths: files(500),
  },
  'one line with 150,000 attributes that may convert something': {
    attributes: { '': `* ${words(150_000, (index) => `a${index}`)} eol=crlf ident\n` },
    paths: files(500),
    mayBeUnsure: true,
  },
  'one line that assigns the same attribute 100,000 times': {
    attributes: { '': `* ${words(100_000, (index) => (index % 2 === 0 ? 'ident' : '-ident'))}\n*.go eol=crlf\n` },
    paths: files(500),
    mayBeUnsure: true,
  },
  'five million attributes without values': {
    attributes: { '': `*.txt${' a'.repeat(5_000_000)}\n*.go eol=crlf\n` },
    paths: files(10),
  },
  'thousands of lines with hundreds of attributes': {
    attributes: { '': lines(500, (index) => `f${index}.* ${words(250, (word) => `a${word}`)} eol=crlf`) },
    paths: files(500),
  },
  '8,000 macros in a chain': {
    attributes: {
      '': `${lines(8000, (index) => `[attr]m${index} m${index + 1} x${index}`)}\n[attr]m8000 ident eol=crlf\n* m0\n`,
    },
    paths: files(500),
  },
  '30,000 macros in a chain that a line interrupts': {
    attributes: {
      '': `${lines(30_000, (index) => `[attr]m${index} m${index + 1}`)}\n[attr]m30000 ident\n* m0\nf7* -m20000\n`,
    },
    paths: files(100),
  },
  'macros that set each other': {
    attributes: { '': `${lines(1000, (index) => `[attr]m${index} m${(index + 1) % 1000} ident`)}\n* m5 eol=crlf\n` },
    paths: files(100),
  },
  'one macro with 100,000 attributes': {
    attributes: { '': `[attr]many ${words(100_000, (index) => `a${index}`)}\n* many eol=crlf\n` },
    paths: files(500),
  },
  'patterns with many stars': {
    attributes: { '': lines(200, (index) => `${'*a'.repeat(30)}*[b]${index} ident\n*${'?'.repeat(20)}* eol=crlf`) },
    paths: numbers(50).map((index) => `${'a'.repeat(200)}${index}`),
  },
  'patterns with several directories': {
    attributes: { '': `${'**/a/'.repeat(3)}**/f1* ident\n${'**/'.repeat(3)}f2* eol=crlf\na/**/a/f3* ident\n` },
    paths: numbers(50).map((index) => `${'a/'.repeat(index % 20)}f${index}`),
  },
  'patterns with many directories': {
    attributes: {
      '': lines(50, (index) => `${'**/a/'.repeat(20)}**/f${index} ident\n${'**/'.repeat(300)}f1* eol=crlf`),
    },
    paths: numbers(50).map((index) => `${'a/'.repeat(40)}f${index}`),
    gitIsSlow: true,
  },
  'more patterns and files than the limit': {
    attributes: { '': lines(60_000, (index) => `*x${index}* ident`) },
    paths: numbers(10_000).map((index) => `f${index}`),
    mayBeUnsure: true,
    gitIsSlow: true,
  },
  'a pattern of a megabyte': {
    attributes: { '': `${'a*'.repeat(500_000)} ident\n"${'\\\\'.repeat(20_000)}" ident\n*.go eol=crlf\n` },
    paths: files(100),
  },
  'a megabyte of empty lines': { attributes: { '': `${'\n'.repeat(10 ** 6)}* ident\n` }, paths: files(10) },
  'a megabyte of blanks': {
    attributes: { '': `${' \t'.repeat(500_000)}* ident\n` },
    paths: files(10),
    mayBeUnsure: true,
  },
  'a file in each of many directories': {
    attributes: Object.fromEntries([
      ['', '* eol=crlf\n'],
      ...numbers(2000).map((index) => [`d${index}`, index % 2 === 0 ? '* ident\n' : '* -text\n']),
    ]),
    paths: numbers(4000).map((index) => `d${index % 2500}/f${index}.go`),
  },
  'a file in each of 300 nested directories': {
    attributes: Object.fromEntries(
      nested.map((directory, index) => [
        directory.slice(0, -1),
        index % 3 === 0 ? '* ident\n' : '*.go -ident eol=crlf\n',
      ]),
    ),
    paths: nested.flatMap((directory) => [`${directory}f.go`, `${directory}f.txt`]),
  },
  'files in 20 paths of 60 kilobytes': {
    attributes: { '': '* ident\n' },
    paths: numbers(20).map((index) => `${'d/'.repeat(30_000)}${index}/f.go`),
    gitIsSlow: true,
  },
  'files in the last of 30,000 nested directories': {
    attributes: Object.fromEntries([
      ['', '* ident\n'],
      ...numbers(100).map((index) => [`${'d/'.repeat(30_000)}${index}`, '* -ident\n']),
    ]),
    paths: ['f.go'],
    mayBeUnsure: true,
    gitIsSlow: true,
  },
};

let gitlab: StandIn;
let project: Project;
const git = new Git();

beforeAll(async () => {
  gitlab = await startGitLab();
  project = await gitlab.createProject('hostile/attributes');
});
afterAll(async () => {
  await git.close();
  await gitlab.close();
});

describe.each(Object.entries(HOSTILE))(
  '.gitattributes with %s',
  (_name, { attributes, paths, mayBeUnsure = false, gitIsSlow = false }) => {
    test('converts as git does, without blocking the event loop', async () => {
      const inOrder = Object.entries(attributes)
        .map(([directory, text]): AttributesFile => ({ directory, bytes: Buffer.from(text) }))
        .toSorted((a, b) => a.directory.length - b.directory.length);
      const { result, longestBlockMs, grewBytes } = await measure(async () => {
        const read = await Attributes.read(inOrder);
        const conversions = new Map<string, Conversion | 'unsure'>();
        for (const path of paths) conversions.set(path, await read.conversionOf(path));
        return conversions;
      });
      expect(longestBlockMs).toBeLessThan(MAX_BLOCK_MS);
      expect(grewBytes).toBeLessThan(150 * 2 ** 20);
      expect(Array.from(result.values()).includes('unsure')).toBe(mayBeUnsure);

      if (gitIsSlow) return;
      const truth = await archived(attributes, paths);
      expect(truth.size).toBe(paths.length);
      for (const [path, conversion] of result) {
        if (conversion === 'unsure') continue;
        const ours = await buffer(convertBytes(Buffer.from(LINES), BLOB, conversion));
        expect(ours.toString(), path).toBe(truth.get(path));
      }
    }, 120_000);
  },
);

/** Returns the files as `git archive` creates them with the settings of the go command. */
async function archived(
  attributes: Readonly<Record<string, string>>,
  paths: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  await using tree = await WorkTree.create(project);
  tree.write(Object.fromEntries(paths.map((path) => [path, LINES])));
  for (const [directory, text] of Object.entries(attributes))
    tree.write({ [directory === '' ? '.gitattributes' : `${directory}/.gitattributes`]: text });
  const head = await tree.commit('Hostile');
  const cwd = (await tree.git('rev-parse', '--absolute-git-dir')).trim();
  const settings = ['-c', 'core.autocrlf=input', '-c', 'core.eol=lf'];
  const tar = await git.run([...settings, 'archive', '--format=tar', '--prefix=prefix/', head], { cwd });
  const contents = new Map<string, string>();
  for await (const { path, body, size } of readArchive(Readable.from([gzipSync(tar)])))
    if (!path.endsWith('.gitattributes')) contents.set(path, (await collect(body, size, path)).toString());
  return contents;
}
