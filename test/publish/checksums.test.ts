import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readArchive } from '../../src/gitlab/archive.ts';
import type { BlobId } from '../../src/gitlab/schema.ts';
import { GitLabClient } from '../../src/gitlab/client.ts';
import { collect } from '../../src/io/read-body.ts';
import { hashGoMod } from '../../src/module/hash.ts';
import { conversionOf, type AttributesFile } from '../../src/build/attributes.ts';
import { BlobCache } from '../../src/build/blob-cache.ts';
import { Blobs } from '../../src/build/blobs.ts';
import type { Outcome } from '../../src/store/outcome.ts';
import { convertBytes } from '../../src/build/convert-bytes.ts';
import { hashBytes } from '../../src/build/hashed-file.ts';
import { downloadDirect, type DirectDownload, type DownloadedModule } from '../fake-gitlab/direct-mode.ts';
import { Git } from '../fake-gitlab/git.ts';
import { startGitLab, type StandIn } from '../fake-gitlab/stand-in.ts';
import { WorkTree, type FileContent } from '../fake-gitlab/work-tree.ts';
import { CASES, REJECTIONS } from './cases.ts';
import { startPublishing, type Publishing } from './publishing.ts';

const HOST = 'gitlab.example';

let gitlab: StandIn;
let client: GitLabClient;
let temporaryRoot: string;
let direct: DirectDownload;
/** The project of each case and rejection, by its name. */
const projects = new Map<string, { id: number; path: string }>();

beforeAll(async () => {
  gitlab = await startGitLab({ archiveLimit: 'off' });
  temporaryRoot = await mkdtemp(join(tmpdir(), 'modpress-checksums-'));
  client = new GitLabClient({ url: gitlab.url, token: gitlab.rootToken, beforeCall: async () => undefined });
  for (const { name, project, files, later, tags, laterTags, annotated, committerZone } of CASES) {
    const made = await gitlab.createProject(project ?? `cases/${slug(name)}`);
    projects.set(name, made);
    await using tree = await WorkTree.create(made);
    tree.write(forProject(files, made.path));
    await tree.commit('First', { ...(committerZone !== undefined && { committerZone }) });
    await tree.tag(tags, { annotated: annotated === true });
    if (later && laterTags) {
      tree.write(forProject(later, made.path));
      await tree.commit('Second');
      await tree.tag(laterTags);
    }
    await tree.push();
  }
  for (const { name, files, tag } of REJECTIONS) {
    const made = await gitlab.createProject(`rejections/${slug(name)}`);
    projects.set(name, made);
    await using tree = await WorkTree.create(made);
    tree.write(forProject(files, made.path));
    await tree.commit('Only');
    await tree.tag(tag);
    await tree.push();
  }
  const queries = [...CASES.flatMap(queriesOf), ...REJECTIONS.flatMap(queriesOf)];
  direct = await downloadDirect(gitlab, HOST, ...queries);
}, 300_000);

afterAll(async () => {
  await direct?.[Symbol.asyncDispose]();
  await gitlab?.close();
  await rm(temporaryRoot, { recursive: true, force: true });
});

/** The ways to build a version, and the listed tag for each way. All ways have to give the same bytes. */
const WAYS = [
  { way: 'an archive', strategy: 'archive' as const },
  { way: 'blobs', strategy: 'blobs' as const },
  { way: 'the tree of the commit and blobs', strategy: 'shared tree' as const },
];
/** Cases that only git can convert, and cases with so many files that an archive may be the cheapest source of the blobs. */
const MAY_HAVE_ARCHIVE = new Set([
  'another encoding by attribute',
  'export-ignore and an unsupported pattern in another directory',
  'export-ignore and text=auto eol=crlf',
  'thousands of files',
]);

describe.each(WAYS)('from $way', ({ way, strategy }) => {
  let publishing: Publishing;
  let cache: BlobCache | undefined;

  beforeAll(async () => {
    const folder = join(temporaryRoot, slug(way));
    cache = strategy === 'archive' ? undefined : new BlobCache(folder);
    const blobs = cache && new Blobs({ gitlab: client, cache, temporaryRoot: folder });
    publishing = await startPublishing(gitlab, folder, {
      modulePrefix: HOST,
      parts: { gitlab: client, ...(blobs && { blobs }) },
    });
  });
  afterAll(async () => {
    await cache?.clear();
  });

  async function publish(name: string, tag: string): Promise<Outcome> {
    const projectId = projects.get(name)?.id ?? 0;
    const found = await client.tag(projectId, tag);
    const { commit = '', committedAt = new Date(0) } = found ?? {};
    const cachedTag = { commit, committedAt: committedAt.toISOString(), readAt: new Date().toISOString() };
    const listing = strategy === 'archive' ? {} : { cachedTag, allowCachedProject: true };
    const result = await publishing.publisher.publish({ projectId, tag, strategy, ...listing });
    if ('dismissed' in result) throw new Error(result.dismissed);
    return result.outcome;
  }

  describe('a published version has the checksums of GOPROXY=direct', () => {
    test.each(CASES)('$name', async (shape) => {
      const tags = [...shape.tags, ...(shape.laterTags ?? [])];
      for (const [index, query] of queriesOf(shape).entries()) {
        const truth = answerFor(query);
        expect(truth.Error).toBeUndefined();
        gitlab.clearRequests();
        const outcome = await publish(shape.name, tags[index] ?? '');
        expect(outcome).toMatchObject({
          status: 'published',
          module: truth.Path,
          version: truth.Version,
          h1: truth.Sum,
          goModH1: truth.GoModSum,
        });
        expect(hashGoMod(await publishing.read(truth.Path, truth.Version, 'mod'))).toBe(truth.GoModSum);
        const info = JSON.parse((await publishing.read(truth.Path, truth.Version, 'info')).toString()) as {
          Version: string;
          Time: string;
        };
        const directInfo = JSON.parse(await readFile(truth.Info ?? '', 'utf8')) as { Version: string; Time: string };
        expect({ Version: info.Version, Time: info.Time }).toEqual({
          Version: directInfo.Version,
          Time: directInfo.Time,
        });
        // Otherwise the test would prove nothing: the version could have been built in another way.
        const hadArchive = gitlab.requests.some(({ path }) => path.includes('/repository/archive'));
        expect(hadArchive).toBe(strategy === 'archive' || (hadArchive && MAY_HAVE_ARCHIVE.has(shape.name)));
      }
    });
  });

  describe('a version that the go command refuses is not published, with a reason', () => {
    test.each(REJECTIONS)('$name', async (shape) => {
      const outcome = await publish(shape.name, shape.tag);
      expect(outcome).toMatchObject({ status: shape.status, reason: expect.stringContaining(shape.says) });
      const errors = queriesOf(shape).map((query) => answerFor(query).Error);
      expect(errors).not.toContain(undefined);
    });
  });
});

describe('the conversion of a file by .gitattributes', () => {
  const elements = ['a', 'b', 'ab', 'a.txt', 'b.txt', 'a.c', 'x.h', 'foo', 'foo.txt', 'café', 'a b', '-', '[x]', 'A'];
  const path = fc
    .tuple(fc.array(fc.constantFrom('d', 'dd', 'd/e', 'e', 'd e'), { maxLength: 2 }), fc.constantFrom(...elements))
    .map(([directories, name]) => [...directories, name].join('/'));
  const piece = fc.constantFrom(
    'a',
    'b',
    'd',
    'e',
    'foo',
    '.txt',
    '.c',
    'x',
    '*',
    '*',
    '**',
    '/',
    '/',
    '**/',
    '/**',
    '?',
    '[ab]',
    '[!a]',
    '[a-f]',
    '[^x-z]',
    '[f-a]',
    '[a-',
    '[[:alpha:]]',
    '[]a]',
    '\\a',
    '\\*',
    '\\',
    'é',
    '!',
    '#',
    '-',
    'A',
  );
  const pattern = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.constantFrom(
        '*',
        '*',
        '*',
        '*.txt',
        '*.c',
        '/a',
        'd/*',
        'd/**',
        '**/a',
        'a.txt',
        'd/e/a',
        '"a b"',
        '"a\\tb"',
        '"a',
        'd/',
        '*.[ch]',
        '/**/a',
        '**',
      ),
    },
    { weight: 2, arbitrary: fc.array(piece, { minLength: 1, maxLength: 4 }).map((pieces) => pieces.join('')) },
  );
  const attribute = fc.constantFrom(
    'text',
    '-text',
    '!text',
    'text=auto',
    'text=input',
    'text=x',
    'eol=crlf',
    'eol=crlf',
    'eol=crlf',
    'eol=crlf',
    'eol=crlf',
    'eol=lf',
    '-eol',
    '!eol',
    'crlf',
    '-crlf',
    '!crlf',
    'crlf=input',
    'crlf=auto',
    'ident',
    'ident',
    'ident',
    '-ident',
    '!ident',
    'ident=x',
    'binary',
    '-binary',
    '!binary',
    'one',
    'two',
    '-one',
    '!two',
    'working-tree-encoding=UTF-8',
    '-',
    'x=y=z',
    'eol=',
    'builtin_x',
  );
  const assignments = fc.array(attribute, { maxLength: 3 }).map((words) => words.join(' '));
  const line = fc.oneof(
    {
      weight: 8,
      arbitrary: fc
        .tuple(fc.constantFrom('', '', '', ' ', '\ufeff'), pattern, fc.constantFrom(' ', '\t', '  '), assignments)
        .map((parts) => parts.join('')),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.constantFrom('one', 'two', 'binary', 'b-', '-b'), assignments)
        .map(([name, rest]) => `[attr]${name} ${rest}`),
    },
  );
  const attributes = fc
    .tuple(fc.array(line, { maxLength: 5 }), fc.constantFrom('\n', '\n', '\r\n'))
    .map(([lines, end]) => lines.join(end));
  const bytes = fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .constantFrom(
          'one\n$Id$\n',
          'one\n$Id$\n',
          'two\n$Id$\n',
          'three\n$Id$\n',
          '\n',
          '',
          'one',
          '$Id$',
          'a\r\nb\n',
          'a\r\n',
          'a\rb\n',
          '$Id: old $\n',
          '$Id: a b $Id$\n',
          '$Id: a\n$Id:x$',
          '$Id:$ $Id: $ $Id:  $ $Id:x $ $Id: x$ $Id: x y$\n',
          '$$Id$$Id\n',
          '\0\n',
          'one\n\u001a',
          '\u0001\n\u001a',
          `${'x'.repeat(127)}\u0001\n`,
          `${'x'.repeat(128)}\u0001\n`,
          '\u0008\t\u000c\u001b\n',
          '\u007f\n',
        )
        .map((text) => Buffer.from(text)),
    },
    {
      weight: 1,
      arbitrary: fc
        .array(fc.constantFrom('$', 'Id', ':', ' ', '\n', '\r', 'x', '\u0001', '\u00e9'), { maxLength: 40 })
        .map((parts) => Buffer.from(parts.join(''), 'latin1')),
    },
  );
  const room = fc.record({
    here: attributes,
    below: fc.dictionary(fc.constantFrom('d', 'e', 'd/e', 'dd'), attributes, { maxKeys: 2 }),
    files: fc.dictionary(path, bytes, { minKeys: 8, maxKeys: 16 }),
  });
  // Starting git takes longer than creating hundreds of files.
  const repository = fc.record({
    root: attributes,
    rooms: fc.array(room, { minLength: 30, maxLength: 40, size: 'max' }),
  });

  test('is decided quickly for any lines, or left to git', () => {
    const pushed = Array.from({ length: 3000 }, (_, index) => `assets/f${index}.png filter=lfs -text\n`).join('');
    const paths = Array.from({ length: 3000 }, (_, index) => `assets/g${index}.go`);
    const started = performance.now();
    expect(conversionsOf(pushed, paths)).not.toContain('unsure');
    expect(conversionsOf('* text=auto\n*.go text\n*.png -text\n'.repeat(100), paths)).not.toContain('unsure');
    const hostile = '*a*a*a*a*a*a*[b] eol=crlf\n'.repeat(20_000);
    expect(
      conversionsOf(
        hostile,
        paths.map((name) => name.replace('/', 'a'.repeat(100))),
      ).filter((conversion) => conversion === 'unsure').length,
    ).toBeGreaterThan(2900);
    expect(performance.now() - started).toBeLessThan(20_000);
  }, 60_000);

  test('equals that of git archive as the go command calls it', async () => {
    const project = await gitlab.createProject('attributes/random');
    const git = new Git();
    const compared = { same: 0, changed: 0, unsure: 0 };
    const property = fc.asyncProperty(repository, async ({ root, rooms }) => {
      const governing: AttributesFile[] = [{ directory: '', text: root }];
      const files = new Map<string, Buffer>();
      for (const [index, { here, below, files: named }] of rooms.entries()) {
        governing.push(
          { directory: `r${index}`, text: here },
          ...Object.entries(below).map(([directory, text]) => ({ directory: `r${index}/${directory}`, text })),
        );
        const names = Object.keys(named).filter(
          (name) => !Object.keys(named).some((other) => other.startsWith(`${name}/`)),
        );
        for (const name of names) files.set(`r${index}/${name}`, named[name] ?? Buffer.alloc(0));
      }
      await using tree = await WorkTree.create(project);
      tree.write(Object.fromEntries(files));
      tree.write(
        Object.fromEntries(
          governing.map(({ directory, text }) => [
            directory === '' ? '.gitattributes' : `${directory}/.gitattributes`,
            text,
          ]),
        ),
      );
      const head = await tree.commit('Random');
      const cwd = (await tree.git('rev-parse', '--absolute-git-dir')).trim();
      const archive = await git.run(
        ['-c', 'core.autocrlf=input', '-c', 'core.eol=lf', 'archive', '--format=tar', '--prefix=prefix/', head],
        { cwd },
      );
      for await (const { path: name, body, size } of readArchive(Readable.from([gzipSync(archive)]))) {
        const truth = await collect(body, size, name);
        const raw = files.get(name);
        if (raw === undefined) continue;
        // The order of the files does not matter.
        const conversion = conversionOf(governing.toReversed(), name);
        compared[conversion === 'unsure' ? 'unsure' : truth.equals(raw) ? 'same' : 'changed']++;
        if (conversion === 'unsure') continue;
        const lines = governing.filter(({ directory }) => directory === '' || name.startsWith(`${directory}/`));
        const ours = convertBytes(raw, hashBytes(raw, 40).blob as BlobId, conversion);
        expect(ours.toString('latin1'), JSON.stringify({ name, conversion, lines })).toBe(truth.toString('latin1'));
      }
    });
    try {
      await fc.assert(property, { numRuns: 15, endOnFailure: true });
    } finally {
      await git.close();
    }
    // Otherwise the test would prove nothing.
    expect(compared.changed).toBeGreaterThan(100);
    expect(compared.same).toBeGreaterThan(500);
  }, 120_000);
});

/** The attributes of each path from a .gitattributes file at the root. */
function conversionsOf(text: string, paths: readonly string[]): ReturnType<typeof conversionOf>[] {
  const files = [{ directory: '', text }];
  return paths.map((name) => conversionOf(files, name));
}

function queriesOf(
  shape: { name: string; modules: readonly string[] } | { name: string; query: string | undefined },
): string[] {
  const queries = 'modules' in shape ? shape.modules : [shape.query ?? []].flat();
  return queries.map((query) => query.replace('PROJECT', `${HOST}/${projects.get(shape.name)?.path}`));
}

function answerFor(query: string): DownloadedModule {
  const at = query.lastIndexOf('@');
  const [path, version] = [query.slice(0, at), query.slice(at + 1)];
  const answer = direct.modules.find(
    (module) => module.Path === path && (module.Version === version || module.Query === version),
  );
  if (!answer) throw new Error(`go mod download did not answer for ${query}`);
  return answer;
}

function forProject(files: Readonly<Record<string, FileContent>>, path: string): Record<string, FileContent> {
  return Object.fromEntries(
    Object.entries(files).map(([name, content]) => [
      name,
      typeof content === 'string' ? content.replaceAll('PROJECT', `${HOST}/${path}`) : content,
    ]),
  );
}

function slug(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
}
