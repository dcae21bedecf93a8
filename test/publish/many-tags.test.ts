import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { BlobId } from '../../src/gitlab/schema.ts';
import { GitLabClient } from '../../src/gitlab/client.ts';
import { listedTag, type TagJob } from '../../src/queue/tag-job.ts';
import { BlobCache } from '../../src/build/blob-cache.ts';
import { Blobs } from '../../src/build/blobs.ts';
import type { PublishResult } from '../../src/publish/publisher.ts';
import { hashBytes } from '../../src/build/hashed-file.ts';
import { startGitLab, type Project, type StandIn } from '../fake-gitlab/stand-in.ts';
import { WorkTree, type FileContent } from '../fake-gitlab/work-tree.ts';
import { startPublishing, type Publishing } from './publishing.ts';
import { moduleNames, thirtyModules } from './thirty-modules.ts';

const HOST = 'gitlab.example';
const aMebibyte = Buffer.alloc(2 ** 20);

let gitlab: StandIn;
let client: GitLabClient;
let folder: string;
let cache: BlobCache;
/** A publisher with a cache of blobs, and with GitLab's five archives a minute. */
let publishing: Publishing;
/** A publisher with archives only, without a rate limit, for comparison. */
let plain: Publishing;
let count = 0;

beforeAll(async () => {
  gitlab = await startGitLab({ archiveLimit: 'off' });
  client = new GitLabClient({ url: gitlab.url, token: gitlab.rootToken, beforeCall: async () => undefined });
});
afterAll(async () => {
  await gitlab.close();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modpress-many-tags-'));
  cache = new BlobCache(folder);
  const blobs = new Blobs({ gitlab: client, cache, temporaryRoot: folder });
  publishing = await startPublishing(gitlab, join(folder, 'one'), {
    modulePrefix: HOST,
    parts: { gitlab: client, blobs, archivesPerMinute: 5 },
  });
  plain = await startPublishing(gitlab, join(folder, 'other'), { modulePrefix: HOST, parts: { gitlab: client } });
});
afterEach(async () => {
  gitlab.faults.clear();
  await cache.clear();
  await rm(folder, { recursive: true, force: true });
});

describe('thirty modules tagged on one commit', () => {
  test('cost one archive and one listing of the tree together', async () => {
    const { project, tree } = await repository(thirtyModules(1));
    const tags = await tagAll(tree, 'v1.0.0');
    const before = await listed(project, tags, true);
    gitlab.clearRequests();
    await inTurns(before, async (tag) => void (await published(project, tag, before.get(tag))));
    // 31 directories and 143 files: two pages.
    expect(calls(project)).toEqual({ project: 1, archive: 1, tree: 2 });
    await sameAsPlain(project, tags);
  });

  test('cost a few blobs if most are in the cache', async () => {
    const { project, tree } = await repository(thirtyModules(1));
    const first = await tagAll(tree, 'v1.0.0');
    const firstListed = await listed(project, first, true);
    await inTurns(firstListed, async (tag) => void (await published(project, tag, firstListed.get(tag))));
    tree.write({ 'm01/a.go': 'package m01 // changed\n', LICENSE: 'changed\n' });
    await tree.commit('Second');
    const second = await tagAll(tree, 'v1.1.0');
    const secondListed = await listed(project, second, true);
    gitlab.clearRequests();
    await inTurns(secondListed, async (tag) => void (await published(project, tag, secondListed.get(tag))));
    expect(calls(project)).toEqual({ tree: 2, blob: 2 });
    await sameAsPlain(project, second);
  });

  test('are published from single blobs while no archive is available', async () => {
    const { project, tree } = await repository(thirtyModules(1));
    const tags = await tagAll(tree, 'v1.0.0');
    const none = await startPublishing(gitlab, join(folder, 'none'), {
      modulePrefix: HOST,
      parts: {
        gitlab: client,
        blobs: new Blobs({ gitlab: client, cache, temporaryRoot: folder }),
        archivesPerMinute: 0,
      },
    });
    const before = await listed(project, tags, true);
    gitlab.clearRequests();
    await inTurns(before, async (tag) => void (await published(project, tag, before.get(tag), none)));
    const { archive, blob } = calls(project);
    expect(archive).toBeUndefined();
    // Each file once, although several tags request the shared ones.
    expect(blob).toBeLessThanOrEqual(123);
    await sameAsPlain(project, tags, none);
  });

  test('request an archive that is too large once, not for each commit', async () => {
    const { project, tree } = await repository(thirtyModules(1));
    let archives = 0;
    class Huge extends GitLabClient {
      override archive(): Promise<Readable> {
        archives++;
        const [tar, gzip] = [pack(), createGzip({ level: 0 })];
        const zeros = tar.entry({ name: 'top/zeros', size: 600 * aMebibyte.length });
        void pipeline(Readable.from(Array.from({ length: 600 }, () => aMebibyte)), zeros).catch(() => undefined);
        void pipeline(tar, gzip).catch(() => undefined);
        return Promise.resolve(gzip);
      }
    }
    const huge = new Huge({ url: gitlab.url, token: gitlab.rootToken, beforeCall: async () => undefined });
    const other = await startPublishing(gitlab, join(folder, 'huge'), {
      modulePrefix: HOST,
      parts: { gitlab: huge, blobs: new Blobs({ gitlab: client, cache, temporaryRoot: folder }) },
    });
    for (const version of [1, 2]) {
      const tags = (await tagAll(tree, `v1.${version}.0`)).slice(0, 2);
      for (const [tag, said] of await listed(project, tags, true)) await published(project, tag, said, other);
      await tree.write(thirtyModules(version + 1)).commit('Next');
    }
    expect(archives).toBe(1);
  }, 60_000);

  test('have their directories listed if the tree is too large for memory', async () => {
    const others = Object.fromEntries(
      Array.from({ length: 50_001 }, (_, index) => [`others/d${index % 50}/f${index}`, 'x']),
    );
    const { project, tree } = await repository({ ...others, ...thirtyModules(1) });
    const tags = (await tagAll(tree, 'v1.0.0')).slice(0, 2);
    const entries = Array.from({ length: 50_001 }, (_, index) => ({
      id: '1'.repeat(40),
      name: `f${index}`,
      type: 'blob',
      path: `others/f${index}`,
      mode: '100644',
    }));
    // The whole tree in one page: five hundred pages would take the stand-in minutes.
    const whole = gitlab.faults.add({ path: /\/tree\?(?!.*path=)/, times: 100, kind: { status: 200, body: entries } });
    const before = await listed(project, tags, true);
    gitlab.clearRequests();
    for (const tag of tags) await published(project, tag, before.get(tag));
    whole.remove();
    expect(whole.hits).toBe(1);
    expect(
      gitlab.requests.filter(({ query }) => /[?&]path=m\d\d/.test(query) && query.includes('recursive')),
    ).toHaveLength(2);
    await sameAsPlain(project, tags);
  }, 60_000);
});

describe('a listed tag', () => {
  test('is not read again, and its project is read once for all tags', async () => {
    const { project, tree } = await repository(oneModule);
    for (const version of ['v1.0.0', 'v1.1.0', 'v1.2.0']) {
      await tree.write({ 'a.go': `package a // ${version}\n` }).commit(version);
      await tree.tag(version);
    }
    await tree.push();
    const tags = ['v1.2.0', 'v1.1.0', 'v1.0.0'];
    const before = await listed(project, tags, false);
    gitlab.clearRequests();
    for (const tag of tags) await published(project, tag, before.get(tag));
    // All blobs of the first, and of each further one the file that differs.
    expect(calls(project)).toEqual({ project: 1, tree: 3, files: 3, blob: 4 });
    await sameAsPlain(project, tags);
  });

  test('is read again ten minutes after the listing', async () => {
    const { project, tree } = await repository(oneModule);
    await tree.tag('v1.0.0');
    await tree.push();
    const [said] = (await listed(project, ['v1.0.0'], false)).values();
    gitlab.clearRequests();
    await published(project, 'v1.0.0', said && readMinutesAgo(said, 10.1));
    expect(calls(project)).toMatchObject({ tag: 1 });
  });

  test.each(['working-tree-encoding=UTF-16LE', 'an unsupported pattern'])(
    'and has %s comes from an archive',
    async (kind) => {
      const attributes = kind.startsWith('working') ? `*.txt ${kind}\n` : '"\\052.txt" eol=crlf\n';
      const { project, tree } = await repository({ ...oneModule, '.gitattributes': attributes, 'a.txt': 'a\nb\n' });
      await tree.tag('v1.0.0');
      await tree.push();
      for (const sharesCommit of [false, true]) {
        const fresh = await startPublishing(gitlab, join(folder, String(sharesCommit)), {
          modulePrefix: HOST,
          parts: {
            gitlab: client,
            blobs: new Blobs({ gitlab: client, cache, temporaryRoot: folder }),
            archivesPerMinute: 5,
          },
        });
        const [said] = (await listed(project, ['v1.0.0'], sharesCommit)).values();
        gitlab.clearRequests();
        await published(project, 'v1.0.0', said, fresh);
        expect(calls(project)).toMatchObject({ archive: 1 });
        await sameAsPlain(project, ['v1.0.0'], fresh);
      }
    },
  );

  test('waits for an archive if very many blobs are missing', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 1001 }, (_, index) => [`f${index}.go`, `package x // ${index}\n`]),
    );
    const { project, tree } = await repository({ ...oneModule, ...files });
    await tree.tag('v1.0.0');
    await tree.push();
    const none = await startPublishing(gitlab, join(folder, 'none'), {
      modulePrefix: HOST,
      parts: {
        gitlab: client,
        blobs: new Blobs({ gitlab: client, cache, temporaryRoot: folder }),
        archivesPerMinute: 0,
      },
    });
    const [said] = (await listed(project, ['v1.0.0'], false)).values();
    await expect(published(project, 'v1.0.0', said, none)).rejects.toMatchObject({
      name: 'Retry',
      afterMs: expect.any(Number),
    });
    await published(project, 'v1.0.0', said);
    await sameAsPlain(project, ['v1.0.0']);
  });

  test('is built from an archive if it has more files than the cache holds', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 1400 }, (_, index) => [`f${index}.go`, `package x // ${index}\n`]),
    );
    const { project, tree } = await repository({ ...oneModule, ...files });
    await tree.tag('v1.0.0');
    await tree.push();
    const small = new BlobCache(folder, { blobs: 160 });
    const fresh = await startPublishing(gitlab, join(folder, 'small'), {
      modulePrefix: HOST,
      parts: {
        gitlab: client,
        blobs: new Blobs({ gitlab: client, cache: small, temporaryRoot: folder }),
        archivesPerMinute: 5,
      },
    });
    const [said] = (await listed(project, ['v1.0.0'], false)).values();
    gitlab.clearRequests();
    await published(project, 'v1.0.0', said, fresh);
    const { archive, blob } = calls(project);
    expect({ archive, blob }).toEqual({ archive: 2 });
    await sameAsPlain(project, ['v1.0.0'], fresh);
    await small.clear();
  });

  // The response of GitLab's API for a commit while Gitaly is down.
  test.each([true, false])(
    'is not taken for no module while GitLab does not find its commit (on a shared one: %s)',
    async (sharesCommit) => {
      const { project, tree } = await repository(oneModule);
      await tree.tag('v1.0.0');
      await tree.push();
      const [said] = (await listed(project, ['v1.0.0'], sharesCommit)).values();
      gitlab.faults.add({
        path: /\/repository\/(?:files|tree)\b/,
        kind: { status: 404, body: { message: `404 ${sharesCommit ? 'Tree' : 'Commit'} Not Found` } },
      });
      await expect(published(project, 'v1.0.0', said)).rejects.toMatchObject({ name: 'Retry' });
      await published(project, 'v1.0.0', said);
      await sameAsPlain(project, ['v1.0.0']);
    },
  );

  test('has the same bytes although archives obey the attributes of the default branch, as up to GitLab 16', async () => {
    const { project, tree } = await repository({
      ...oneModule,
      '.gitattributes': '*.bat eol=crlf\n',
      'a.bat': '$Id$\n',
      'a.txt': '$Id$\n',
    });
    await tree.tag('v1.0.0');
    await tree.push();
    const [said] = (await listed(project, ['v1.0.0'], false)).values();
    expect(await published(project, 'v1.0.0', said)).toMatchObject({ known: false });
    await mkdir(join(project.repositoryDir, 'info'), { recursive: true });
    await writeFile(join(project.repositoryDir, 'info', 'attributes'), '*.txt eol=crlf\n*.bat ident\n');
    await sameAsPlain(project, ['v1.0.0']);
  });

  test('is published although the first download of a blob is damaged', async () => {
    const { project, tree } = await repository(oneModule);
    await tree.tag('v1.0.0');
    await tree.push();
    const [said] = (await listed(project, ['v1.0.0'], false)).values();
    gitlab.faults.add({ path: /\/blobs\//, kind: { status: 200, body: 'other bytes' } });
    await expect(published(project, 'v1.0.0', said)).rejects.toMatchObject({ name: 'Retry' });
    await published(project, 'v1.0.0', said);
    await sameAsPlain(project, ['v1.0.0']);
  });
});

describe('a pushed tag', () => {
  test('empties the cache of blobs when the disk is full, and reports the full disk', async () => {
    const { project, tree } = await repository(oneModule);
    await tree.tag('v1.0.0');
    await tree.push();
    const blob = hashBytes(Buffer.from(oneModule['a.go']), 40).blob as BlobId;
    const [said] = (await listed(project, ['v1.0.0'], false)).values();
    await published(project, 'v1.0.0', said);
    expect(cache.has(blob)).toBe(true);
    class FullDisk extends GitLabClient {
      override archive(): Promise<never> {
        return Promise.reject(Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' }));
      }
    }
    const full = new FullDisk({ url: gitlab.url, token: gitlab.rootToken, beforeCall: async () => undefined });
    const other = await startPublishing(gitlab, join(folder, 'full'), {
      modulePrefix: HOST,
      parts: { gitlab: full, blobs: new Blobs({ gitlab: client, cache, temporaryRoot: folder }) },
    });
    await expect(published(project, 'v1.0.0', undefined, other)).rejects.toMatchObject({
      name: 'Retry',
      message: expect.stringContaining('no space is left for temporary files'),
    });
    expect(cache.has(blob)).toBe(false);
  });

  test('is built from blobs while GitLab refuses archives because another program reached the limit', async () => {
    const { project, tree } = await repository(oneModule);
    await tree.tag('v1.0.0');
    await tree.push();
    gitlab.faults.add({
      path: /\/archive/,
      kind: { status: 429, body: { message: { error: 'This archive has been requested too many times.' } } },
    });
    gitlab.clearRequests();
    await published(project, 'v1.0.0', undefined);
    expect(calls(project)).toMatchObject({ archive: 1, blob: expect.any(Number) });
    await sameAsPlain(project, ['v1.0.0']);
  });

  test('is built from an archive, and from blobs once the archives of the minute are used up', async () => {
    const { project, tree } = await repository(oneModule);
    const tags = Array.from({ length: 7 }, (_, index) => `v1.${index}.0`);
    for (const tag of tags) {
      await tree.write({ 'a.go': `package a // ${tag}\n` }).commit(tag);
      await tree.tag(tag);
    }
    await tree.push();
    for (const tag of tags.slice(0, 5)) await published(project, tag, undefined);
    gitlab.clearRequests();
    await published(project, 'v1.5.0', undefined);
    expect(calls(project)).toEqual({ project: 1, tag: 1, files: 1, tree: 1, blob: 2 });
    gitlab.clearRequests();
    await published(project, 'v1.6.0', undefined);
    expect(calls(project)).toEqual({ project: 1, tag: 1, files: 1, tree: 1, blob: 1 });
    await sameAsPlain(project, tags);
  });
});

const oneModule = { 'go.mod': 'module gitlab.example/x\n\ngo 1.24\n', 'a.go': 'package a\n', 'b.go': 'package b\n' };

async function repository(files: Readonly<Record<string, FileContent>>): Promise<{ project: Project; tree: WorkTree }> {
  const project = await gitlab.createProject(`group/many${count++}`);
  const tree = await WorkTree.create(project);
  tree.write(files);
  await tree.commit('First');
  return { project, tree };
}

async function tagAll(tree: WorkTree, version: string): Promise<string[]> {
  const tags = moduleNames().map((name) => `${name}/${version}`);
  await tree.tag(tags);
  await tree.push();
  return tags;
}

/** The tags in the form of a listing. */
async function listed(project: Project, tags: readonly string[], sharesCommit: boolean): Promise<Map<string, TagJob>> {
  const found = new Map<string, TagJob>();
  for await (const { name, commit, committedAt } of client.tags(project.id)) {
    if (!commit || !committedAt || !tags.includes(name)) continue;
    found.set(name, listedTag({ id: project.id }, { name, commit, committedAt, sharesCommit }, new Date()));
  }
  expect(found.size).toBe(tags.length);
  return new Map(tags.map((tag) => [tag, found.get(tag) as TagJob]));
}

function readMinutesAgo(job: TagJob, minutes: number): TagJob {
  if (!job.cachedTag) return job;
  return { ...job, cachedTag: { ...job.cachedTag, readAt: new Date(Date.now() - minutes * 60_000).toISOString() } };
}

/** Publishes eight tags at a time, as a backfill does. */
async function inTurns(tags: ReadonlyMap<string, TagJob>, work: (tag: string) => Promise<void>): Promise<void> {
  const waiting = tags.keys();
  const lane = async (): Promise<void> => {
    for (let next = waiting.next(); next.done !== true; next = waiting.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: 8 }, lane));
}

async function published(
  project: Project,
  tag: string,
  said: TagJob | undefined,
  { publisher } = publishing,
): Promise<PublishResult> {
  const result = await publisher.publish(said ?? { projectId: project.id, tag });
  expect(result).toMatchObject({ outcome: { status: 'published' } });
  return result;
}

/** Expects the same checksums as from an archive. */
async function sameAsPlain(project: Project, tags: readonly string[], { publisher } = publishing): Promise<void> {
  for (const tag of tags) {
    const known = await publisher.publish({ projectId: project.id, tag });
    const other = await plain.publisher.publish({ projectId: project.id, tag });
    const sums = [known, other].map(
      (result) => 'outcome' in result && { h1: result.outcome.h1, goModH1: result.outcome.goModH1 },
    );
    expect(known).toMatchObject({ known: true, outcome: { h1: expect.stringMatching(/^h1:/) } });
    expect(sums[0]).toEqual(sums[1]);
  }
}

/** The number of calls of each kind since the requests were cleared. */
function calls(project: Project): Record<string, number> {
  const counted: Record<string, number> = {};
  for (const { path } of gitlab.requests) {
    const rest = path.replace(`/api/v4/projects/${project.id}`, '').replace('/repository/', '');
    const kind = rest === '' ? 'project' : (/^(tag|tree|archive|blob|files)/.exec(rest)?.[1] ?? rest);
    counted[kind] = (counted[kind] ?? 0) + 1;
  }
  return counted;
}
