import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect } from 'vitest';
import { readArchive } from '../../src/gitlab/archive.ts';
import type { BlobId } from '../../src/gitlab/schema.ts';
import { collect } from '../../src/io/read-body.ts';
import { hashGoMod } from '../../src/module/hash.ts';
import { Attributes, type AttributesFile, type Conversion } from '../../src/build/attributes.ts';
import { BlobCache } from '../../src/build/blob-cache.ts';
import { Blobs } from '../../src/build/blobs.ts';
import type { Outcome } from '../../src/store/outcome.ts';
import { convertBytes } from '../../src/build/convert-bytes.ts';
import { hashBytes } from '../../src/build/hashed-file.ts';
import { downloadDirect, type DownloadedModule } from '../fake-gitlab/direct-mode.ts';
import { Git } from '../fake-gitlab/git.ts';
import type { Project, StandIn } from '../fake-gitlab/stand-in.ts';
import { WorkTree, type FileContent } from '../fake-gitlab/work-tree.ts';
import { CASES as USUAL_CASES, REJECTIONS, type Case, type Rejection } from './cases.ts';
import { HOST, test as base } from './fixtures.ts';
import { HOSTILE_CASES } from './hostile-cases.ts';
import { startPublishing, type Publishing } from './publishing.ts';

const CASES = [...USUAL_CASES, ...HOSTILE_CASES];

/** The ways to build a version. All ways have to produce the same bytes. */
const WAYS = [
  { way: 'an archive', strategy: 'archive' },
  { way: 'blobs', strategy: 'blobs' },
  { way: 'the tree of the commit and blobs', strategy: 'shared tree' },
] as const;
type Strategy = (typeof WAYS)[number]['strategy'];

/**
 * Cases that only git can convert, and cases with so many files that an archive may be the cheapest source of the
 * blobs.
 */
const MAY_HAVE_ARCHIVE = new Set([
  'another encoding by attribute',
  'export-ignore and an unsupported pattern in another directory',
  'export-ignore and text=auto eol=crlf',
  'thousands of files',
]);

const test = base
  /** Returns the project of a case or rejection. */
  .extend('projectOf', { scope: 'file' }, async ({ gitlab }) => {
    const projects = new Map<string, Project>();
    for (const shape of CASES) projects.set(shape.name, await pushCase(gitlab, shape));
    for (const shape of REJECTIONS) projects.set(shape.name, await pushRejection(gitlab, shape));
    return ({ name }: Case | Rejection): Project => {
      const project = projects.get(name);
      if (project === undefined) throw new Error(`there is no project for ${name}`);
      return project;
    };
  })
  /** Returns the queries of a case or rejection for the go command. */
  .extend('queriesOf', { scope: 'file' }, ({ projectOf }) => (shape: Case | Rejection): string[] => {
    const queries = 'modules' in shape ? shape.modules : [shape.query ?? []].flat();
    return queries.map((query) => query.replace('PROJECT', `${HOST}/${projectOf(shape).path}`));
  })
  /** Returns the result of `GOPROXY=direct` for a query of a case or rejection. */
  .extend('directResultOf', { scope: 'file' }, async ({ gitlab, queriesOf }, { onCleanup }) => {
    const direct = await downloadDirect(gitlab, HOST, ...[...CASES, ...REJECTIONS].flatMap(queriesOf));
    onCleanup(() => direct[Symbol.asyncDispose]());
    return (query: string): DownloadedModule => {
      const at = query.lastIndexOf('@');
      const [path, version] = [query.slice(0, at), query.slice(at + 1)];
      const result = direct.modules.find(
        (module) => module.Path === path && (module.Version === version || module.Query === version),
      );
      if (!result) throw new Error(`go mod download returned no result for ${query}`);
      return result;
    };
  })
  /** A folder for all tests of the file. */
  .extend('sharedFolder', { scope: 'file' }, async ({}, { onCleanup }) => {
    const folder = await mkdtemp(join(tmpdir(), 'modpress-checksums-'));
    onCleanup(() => rm(folder, { recursive: true, force: true }));
    return folder;
  })
  /** The cache of blobs for each way that needs one. */
  .extend('caches', { scope: 'file' }, ({ sharedFolder }, { onCleanup }) => {
    const caches = new Map<Strategy, BlobCache>();
    for (const strategy of ['blobs', 'shared tree'] as const)
      caches.set(strategy, new BlobCache(join(sharedFolder, slug(strategy))));
    onCleanup(async () => {
      for (const cache of caches.values()) await cache.clear();
    });
    return caches;
  })
  /** Returns the publisher for a way, which is the same for all tests. */
  .extend('publishingFor', { scope: 'file' }, async ({ gitlab, client, sharedFolder, caches }) => {
    const publishings = new Map<Strategy, Publishing>();
    for (const { strategy } of WAYS) {
      const folder = join(sharedFolder, slug(strategy));
      const cache = caches.get(strategy);
      const blobs = cache && new Blobs({ gitlab: client, cache, temporaryRoot: folder });
      const parts = { gitlab: client, ...(blobs && { blobs }) };
      publishings.set(strategy, await startPublishing(gitlab, folder, { modulePrefix: HOST, parts }));
    }
    return (strategy: Strategy): Publishing => {
      const publishing = publishings.get(strategy);
      if (publishing === undefined) throw new Error(`there is no publisher for ${strategy}`);
      return publishing;
    };
  })
  /** Publishes a tag of a case or rejection in one of the ways. */
  .extend(
    'publish',
    { scope: 'file' },
    ({ client, projectOf, publishingFor }) =>
      async (shape: Case | Rejection, tag: string, strategy: Strategy): Promise<Outcome> => {
        const projectId = projectOf(shape).id;
        const found = await client.tag(projectId, tag);
        const { commit = '', committedAt = new Date(0) } = found ?? {};
        const cachedTag = { commit, committedAt: committedAt.toISOString(), readAt: new Date().toISOString() };
        const listing = strategy === 'archive' ? {} : { cachedTag, allowCachedProject: true };
        const result = await publishingFor(strategy).publisher.publish({ projectId, tag, strategy, ...listing });
        if ('dismissed' in result) throw new Error(result.dismissed);
        return result.outcome;
      },
  );

// The time limit of the first test does not cover the repositories and the downloads.
test.beforeAll(({ directResultOf }) => void directResultOf, 300_000);

describe.each(WAYS)('from $way', ({ strategy }) => {
  describe('a published version has the checksums of GOPROXY=direct', () => {
    test.for(CASES)('$name', async (shape, { gitlab, queriesOf, directResultOf, publishingFor, publish }) => {
      const publishing = publishingFor(strategy);
      const tags = [...shape.tags, ...(shape.laterTags ?? [])];
      for (const [index, query] of queriesOf(shape).entries()) {
        const expected = directResultOf(query);
        expect(expected.Error).toBeUndefined();
        gitlab.clearRequests();
        const outcome = await publish(shape, tags[index] ?? '', strategy);
        expect(outcome).toMatchObject({
          status: 'published',
          module: expected.Path,
          version: expected.Version,
          h1: expected.Sum,
          goModH1: expected.GoModSum,
        });
        expect(hashGoMod(await publishing.read(expected.Path, expected.Version, 'mod'))).toBe(expected.GoModSum);
        const info = JSON.parse((await publishing.read(expected.Path, expected.Version, 'info')).toString()) as {
          Version: string;
          Time: string;
        };
        const directInfo = JSON.parse(await readFile(expected.Info ?? '', 'utf8')) as { Version: string; Time: string };
        expect({ Version: info.Version, Time: info.Time }).toEqual({
          Version: directInfo.Version,
          Time: directInfo.Time,
        });
        // Without this check, the version could have been built in another way.
        const hadArchive = gitlab.requests.some(({ path }) => path.includes('/repository/archive'));
        expect(hadArchive).toBe(strategy === 'archive' || (hadArchive && MAY_HAVE_ARCHIVE.has(shape.name)));
      }
    });
  });

  describe('a version that the go command refuses is not published, with a reason', () => {
    test.for(REJECTIONS)('$name', async (shape, { queriesOf, directResultOf, publish }) => {
      const outcome = await publish(shape, shape.tag, strategy);
      expect(outcome).toMatchObject({ status: shape.status, reason: expect.stringContaining(shape.reason) });
      const errors = queriesOf(shape).map((query) => directResultOf(query).Error);
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

  test('is determined quickly for any lines, or left to git', async () => {
    const pushed = Array.from({ length: 3000 }, (_, index) => `assets/f${index}.png filter=lfs -text\n`).join('');
    const paths = Array.from({ length: 3000 }, (_, index) => `assets/g${index}.go`);
    const started = performance.now();
    expect(await conversionsOf(pushed, paths)).not.toContain('unsure');
    expect(await conversionsOf('* text=auto\n*.go text\n*.png -text\n'.repeat(100), paths)).not.toContain('unsure');
    const hostile = '*a*a*a*a*a*a*[b] eol=crlf\n'.repeat(20_000);
    const conversions = await conversionsOf(
      hostile,
      paths.map((name) => name.replace('/', 'a'.repeat(100))),
    );
    expect(conversions.filter((conversion) => conversion === 'unsure').length).toBeGreaterThan(2900);
    expect(performance.now() - started).toBeLessThan(20_000);
  }, 60_000);

  test('equals that of git archive as the go command calls it', async ({ gitlab }) => {
    const project = await gitlab.createProject('attributes/random');
    const git = new Git();
    const compared = { same: 0, changed: 0, unsure: 0 };
    const property = fc.asyncProperty(repository, async ({ root, rooms }) => {
      const governing: Required<AttributesFile>[] = [{ directory: '', bytes: Buffer.from(root) }];
      const files = new Map<string, Buffer>();
      for (const [index, { here, below, files: named }] of rooms.entries()) {
        governing.push(
          { directory: `r${index}`, bytes: Buffer.from(here) },
          ...Object.entries(below).map(([directory, text]) => ({
            directory: `r${index}/${directory}`,
            bytes: Buffer.from(text),
          })),
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
          governing.map(({ directory, bytes: content }) => [
            directory === '' ? '.gitattributes' : `${directory}/.gitattributes`,
            content ?? '',
          ]),
        ),
      );
      const head = await tree.commit('Random');
      const converting = await Attributes.read(governing.toSorted((a, b) => a.directory.length - b.directory.length));
      const cwd = (await tree.git('rev-parse', '--absolute-git-dir')).trim();
      const archive = await git.run(
        ['-c', 'core.autocrlf=input', '-c', 'core.eol=lf', 'archive', '--format=tar', '--prefix=prefix/', head],
        { cwd },
      );
      for await (const { path: name, body, size } of readArchive(Readable.from([gzipSync(archive)]))) {
        const truth = await collect(body, size, name);
        const raw = files.get(name);
        if (raw === undefined) continue;
        const conversion = await converting.conversionOf(name);
        compared[conversion === 'unsure' ? 'unsure' : truth.equals(raw) ? 'same' : 'changed']++;
        if (conversion === 'unsure') continue;
        const lines = governing.filter(({ directory }) => directory === '' || name.startsWith(`${directory}/`));
        const ours = await buffer(convertBytes(raw, hashBytes(raw, 40).blob as BlobId, conversion));
        expect(ours.toString('latin1'), JSON.stringify({ name, conversion, lines })).toBe(truth.toString('latin1'));
      }
    });
    try {
      await fc.assert(property, { numRuns: 15, endOnFailure: true });
    } finally {
      await git.close();
    }
    // Without files of both kinds, the comparison would prove nothing.
    expect(compared.changed).toBeGreaterThan(100);
    expect(compared.same).toBeGreaterThan(500);
  }, 120_000);
});

/** The attributes of each path from a .gitattributes file at the root. */
async function conversionsOf(text: string, paths: readonly string[]): Promise<(Conversion | 'unsure')[]> {
  const attributes = await Attributes.read([{ directory: '', bytes: Buffer.from(text) }]);
  const conversions: (Conversion | 'unsure')[] = [];
  for (const name of paths) conversions.push(await attributes.conversionOf(name));
  return conversions;
}

/** Creates the project of a case, and pushes its commits and tags. */
async function pushCase(gitlab: StandIn, shape: Case): Promise<Project> {
  const { name, project: path, files, later, tags, laterTags, annotated, committerZone } = shape;
  const project = await gitlab.createProject(path ?? `cases/${slug(name)}`);
  await using tree = await WorkTree.create(project);
  tree.write(forProject(files, project.path));
  await tree.commit('First', { ...(committerZone !== undefined && { committerZone }) });
  await tree.tag(tags, { annotated: annotated === true });
  if (later && laterTags) {
    tree.write(forProject(later, project.path));
    await tree.commit('Second');
    await tree.tag(laterTags);
  }
  await tree.push();
  return project;
}

/** Creates the project of a rejection, and pushes its commit and tag. */
async function pushRejection(gitlab: StandIn, { name, files, tag }: Rejection): Promise<Project> {
  const project = await gitlab.createProject(`rejections/${slug(name)}`);
  await using tree = await WorkTree.create(project);
  await tree.write(forProject(files, project.path)).commit('Only');
  await tree.tag(tag);
  await tree.push();
  return project;
}

/** The files with the module path of the project in place of `PROJECT`. */
function forProject(files: Readonly<Record<string, FileContent>>, path: string): Record<string, FileContent> {
  return Object.fromEntries(
    Object.entries(files).map(([name, content]) => [
      name,
      typeof content === 'string' ? content.replaceAll('PROJECT', `${HOST}/${path}`) : content,
    ]),
  );
}

/** The name in a form for paths. */
function slug(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
}
