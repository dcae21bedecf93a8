import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { describe, expect } from 'vitest';
import { HttpClient } from '../../src/http-client/http-client.ts';
import type { BlobId } from '../../src/gitlab/schema.ts';
import { GitLabClient } from '../../src/gitlab/client.ts';
import { listedTag, type TagJob } from '../../src/queue/tag-job.ts';
import { BlobCache } from '../../src/build/blob-cache.ts';
import { Blobs } from '../../src/build/blobs.ts';
import type { PublishResult } from '../../src/publish/publisher.ts';
import { hashBytes } from '../../src/build/hashed-file.ts';
import type { Project } from '../fake-gitlab/stand-in.ts';
import type { FileContent, WorkTree } from '../fake-gitlab/work-tree.ts';
import { test as base, type Repository } from './fixtures.ts';
import type { Publishing } from './publishing.ts';
import { moduleNames, thirtyModules } from './thirty-modules.ts';

const ONE_MODULE = { 'go.mod': 'module gitlab.example/x\n\ngo 1.24\n', 'a.go': 'package a\n', 'b.go': 'package b\n' };
const A_MEBIBYTE = Buffer.alloc(2 ** 20);

type Job = Parameters<Publishing['publisher']['publish']>[0];

const test = base
  .extend('cache', ({ folder }, { onCleanup }) => {
    const cache = new BlobCache(folder);
    onCleanup(() => cache.clear());
    return cache;
  })
  /** Creates a source of blobs, with the cache of the test by default. */
  .extend(
    'createBlobs',
    ({ client, folder, cache }) =>
      (blobCache: BlobCache = cache) =>
        new Blobs({ gitlab: client, cache: blobCache, temporaryRoot: folder }),
  )
  /** A publisher with a cache of blobs, and with GitLab's five archives a minute. */
  .override('publishing', ({ client, createPublishing, createBlobs }) =>
    createPublishing({ gitlab: client, blobs: createBlobs(), archivesPerMinute: 5 }, 'one'),
  )
  /** A publisher with a cache of blobs, and without a permit for any archive. */
  .extend('withoutArchives', ({ client, createPublishing, createBlobs }) =>
    createPublishing({ gitlab: client, blobs: createBlobs(), archivesPerMinute: 0 }, 'without-archives'),
  )
  /** A publisher with archives only, without a rate limit, for comparison. */
  .extend('plain', ({ client, createPublishing }) => createPublishing({ gitlab: client }, 'plain'))
  /** Pushes a new repository that has one commit of these files, with these tags. */
  .extend(
    'pushRepository',
    ({ createRepository }) =>
      async (files: Readonly<Record<string, FileContent>>, ...tags: readonly string[]): Promise<Repository> => {
        const repository = await createRepository();
        await repository.tree.write(files).commit('First');
        await repository.tree.tag(tags);
        await repository.tree.push();
        return repository;
      },
  )
  /** Returns the jobs of these tags, with the content of a listing of the project. */
  .extend('listTags', ({ client }) => async (project: Project, tags: readonly string[], sharesCommit: boolean) => {
    const found = new Map<string, TagJob>();
    for await (const { name, commit, committedAt } of client.tags(project.id)) {
      if (!commit || !committedAt) continue;
      found.set(name, listedTag({ id: project.id }, { name, commit, committedAt, sharesCommit }, new Date()));
    }
    return tags.map((tag) => {
      const job = found.get(tag);
      if (job === undefined) throw new Error(`project ${project.path} has no tag ${tag}`);
      return job;
    });
  })
  /** Returns the job of the tag v1.0.0, with the content of a listing of the project. */
  .extend('listTag', ({ listTags }) => async (project: Project, sharesCommit = false): Promise<TagJob> => {
    const [job] = await listTags(project, ['v1.0.0'], sharesCommit);
    if (job === undefined) throw new Error('the listing is empty');
    return job;
  })
  /** Publishes a job, and expects a published version. */
  .extend(
    'publish',
    ({ publishing }) =>
      (job: Job, by = publishing) =>
        publishJob(job, by),
  )
  /** Publishes a pushed tag, and expects a published version. */
  .extend(
    'publishPush',
    ({ publish }) =>
      (project: Project, tag = 'v1.0.0') =>
        publish({ projectId: project.id, tag }),
  )
  /** Expects that the tags have been published with the same checksums as from an archive. */
  .extend(
    'expectSameAsPlain',
    ({ plain, publishing }) =>
      (project: Project, tags: readonly string[], by = publishing) =>
        compareChecksums(project, tags, by, plain),
  )
  /** Counts the calls of each kind for a project since the requests were cleared. */
  .extend('countCalls', ({ gitlab }) => (project: Project): Record<string, number> => {
    const counted: Record<string, number> = {};
    for (const { path } of gitlab.requests) {
      const rest = path.replace(`/api/v4/projects/${project.id}`, '').replace('/repository/', '');
      const kind = rest === '' ? 'project' : (/^(tag|tree|archive|blob|files)/.exec(rest)?.[1] ?? rest);
      counted[kind] = (counted[kind] ?? 0) + 1;
    }
    return counted;
  });

test.afterEach(({ gitlab }) => gitlab.faults.clear());

describe('thirty modules tagged on one commit', () => {
  test('cost one archive and one listing of the tree together', async ({
    gitlab,
    pushRepository,
    listTags,
    publish,
    expectSameAsPlain,
    countCalls,
  }) => {
    const { project, tree } = await pushRepository(thirtyModules(1));
    const tags = await tagAll(tree, 'v1.0.0');
    const jobs = await listTags(project, tags, true);
    gitlab.clearRequests();
    await publishSideBySide(jobs, publish);
    // 31 directories and 143 files: two pages.
    expect(countCalls(project)).toEqual({ project: 1, archive: 1, tree: 2 });
    await expectSameAsPlain(project, tags);
  });

  test('cost a few blobs if most are in the cache', async ({
    gitlab,
    pushRepository,
    listTags,
    publish,
    expectSameAsPlain,
    countCalls,
  }) => {
    const { project, tree } = await pushRepository(thirtyModules(1));
    const first = await tagAll(tree, 'v1.0.0');
    const firstJobs = await listTags(project, first, true);
    await publishSideBySide(firstJobs, publish);
    tree.write({ 'm01/a.go': 'package m01 // changed\n', LICENSE: 'changed\n' });
    await tree.commit('Second');
    const second = await tagAll(tree, 'v1.1.0');
    const secondJobs = await listTags(project, second, true);
    gitlab.clearRequests();
    await publishSideBySide(secondJobs, publish);
    expect(countCalls(project)).toEqual({ tree: 2, blob: 2 });
    await expectSameAsPlain(project, second);
  });

  test('are published from single blobs while no archive is available', async ({
    gitlab,
    withoutArchives,
    pushRepository,
    listTags,
    publish,
    expectSameAsPlain,
    countCalls,
  }) => {
    const { project, tree } = await pushRepository(thirtyModules(1));
    const tags = await tagAll(tree, 'v1.0.0');
    const jobs = await listTags(project, tags, true);
    gitlab.clearRequests();
    await publishSideBySide(jobs, (job) => publish(job, withoutArchives));
    const { archive, blob } = countCalls(project);
    expect(archive).toBeUndefined();
    // Each file is requested once, although several tags have the same files.
    expect(blob).toBeLessThanOrEqual(123);
    await expectSameAsPlain(project, tags, withoutArchives);
  });

  test('request an archive that is too large once, not for each commit', async ({
    gitlab,
    createBlobs,
    createPublishing,
    pushRepository,
    listTags,
    publish,
  }) => {
    const { project, tree } = await pushRepository(thirtyModules(1));
    let archives = 0;
    class Huge extends GitLabClient {
      override archive(): Promise<Readable> {
        archives++;
        const [tar, gzip] = [pack(), createGzip({ level: 0 })];
        const zeros = tar.entry({ name: 'top/zeros', size: 600 * A_MEBIBYTE.length });
        void pipeline(Readable.from(Array.from({ length: 600 }, () => A_MEBIBYTE)), zeros).catch(() => undefined);
        void pipeline(tar, gzip).catch(() => undefined);
        return Promise.resolve(gzip);
      }
    }
    const huge = new Huge({
      http: new HttpClient(),
      url: gitlab.url,
      token: gitlab.rootToken,
      beforeCall: async () => undefined,
    });
    const other = await createPublishing({ gitlab: huge, blobs: createBlobs() }, 'huge');
    for (const version of [1, 2]) {
      const tags = (await tagAll(tree, `v1.${version}.0`)).slice(0, 2);
      for (const job of await listTags(project, tags, true)) await publish(job, other);
      await tree.write(thirtyModules(version + 1)).commit('Next');
    }
    expect(archives).toBe(1);
  }, 60_000);

  test('have their directories listed if the tree is too large for memory', async ({
    gitlab,
    pushRepository,
    listTags,
    publish,
    expectSameAsPlain,
  }) => {
    const others = Object.fromEntries(
      Array.from({ length: 50_001 }, (_, index) => [`others/d${index % 50}/f${index}`, 'x']),
    );
    const { project, tree } = await pushRepository({ ...others, ...thirtyModules(1) });
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
    const jobs = await listTags(project, tags, true);
    gitlab.clearRequests();
    for (const job of jobs) await publish(job);
    whole.remove();
    expect(whole.hits).toBe(1);
    expect(
      gitlab.requests.filter(({ query }) => /[?&]path=m\d\d/.test(query) && query.includes('recursive')),
    ).toHaveLength(2);
    await expectSameAsPlain(project, tags);
  }, 60_000);
});

describe('a listed tag', () => {
  test('is not read again, and its project is read once for all tags', async ({
    gitlab,
    pushRepository,
    listTags,
    publish,
    expectSameAsPlain,
    countCalls,
  }) => {
    const { project, tree } = await pushRepository(ONE_MODULE);
    for (const version of ['v1.0.0', 'v1.1.0', 'v1.2.0']) {
      await tree.write({ 'a.go': `package a // ${version}\n` }).commit(version);
      await tree.tag(version);
    }
    await tree.push();
    const tags = ['v1.2.0', 'v1.1.0', 'v1.0.0'];
    const jobs = await listTags(project, tags, false);
    gitlab.clearRequests();
    for (const job of jobs) await publish(job);
    // All blobs of the first tag, and for each other tag the file that differs.
    expect(countCalls(project)).toEqual({ project: 1, tree: 3, files: 3, blob: 4 });
    await expectSameAsPlain(project, tags);
  });

  test('is read again ten minutes after the listing', async ({
    gitlab,
    pushRepository,
    listTag,
    publish,
    countCalls,
  }) => {
    const { project } = await pushRepository(ONE_MODULE, 'v1.0.0');
    const job = await listTag(project);
    gitlab.clearRequests();
    await publish(readMinutesAgo(job, 10.1));
    expect(countCalls(project)).toMatchObject({ tag: 1 });
  });

  test.for(['working-tree-encoding=UTF-16LE', 'an unsupported pattern'])(
    'with %s is built from an archive',
    async (
      kind,
      {
        gitlab,
        client,
        createBlobs,
        createPublishing,
        pushRepository,
        listTag,
        publish,
        expectSameAsPlain,
        countCalls,
      },
    ) => {
      const attributes = kind.startsWith('working') ? `*.txt ${kind}\n` : '"\\052.txt" eol=crlf\n';
      const { project } = await pushRepository(
        { ...ONE_MODULE, '.gitattributes': attributes, 'a.txt': 'a\nb\n' },
        'v1.0.0',
      );
      for (const sharesCommit of [false, true]) {
        const fresh = await createPublishing(
          { gitlab: client, blobs: createBlobs(), archivesPerMinute: 5 },
          String(sharesCommit),
        );
        const job = await listTag(project, sharesCommit);
        gitlab.clearRequests();
        await publish(job, fresh);
        expect(countCalls(project)).toMatchObject({ archive: 1 });
        await expectSameAsPlain(project, ['v1.0.0'], fresh);
      }
    },
  );

  test('waits for an archive if very many blobs are missing', async ({
    withoutArchives,
    pushRepository,
    listTag,
    publish,
    expectSameAsPlain,
  }) => {
    const files = Object.fromEntries(
      Array.from({ length: 1001 }, (_, index) => [`f${index}.go`, `package x // ${index}\n`]),
    );
    const { project } = await pushRepository({ ...ONE_MODULE, ...files }, 'v1.0.0');
    const job = await listTag(project);
    await expect(publish(job, withoutArchives)).rejects.toMatchObject({
      name: 'Retry',
      afterMs: expect.any(Number),
    });
    await publish(job);
    await expectSameAsPlain(project, ['v1.0.0']);
  });

  test('is built from an archive if it has more files than the cache holds', async ({
    gitlab,
    client,
    folder,
    createBlobs,
    createPublishing,
    pushRepository,
    listTag,
    publish,
    expectSameAsPlain,
    countCalls,
  }) => {
    const files = Object.fromEntries(
      Array.from({ length: 1400 }, (_, index) => [`f${index}.go`, `package x // ${index}\n`]),
    );
    const { project } = await pushRepository({ ...ONE_MODULE, ...files }, 'v1.0.0');
    const small = new BlobCache(folder, { blobs: 160 });
    const fresh = await createPublishing({ gitlab: client, blobs: createBlobs(small), archivesPerMinute: 5 }, 'small');
    const job = await listTag(project);
    gitlab.clearRequests();
    await publish(job, fresh);
    const { archive, blob } = countCalls(project);
    expect({ archive, blob }).toEqual({ archive: 2 });
    await expectSameAsPlain(project, ['v1.0.0'], fresh);
    await small.clear();
  });

  // The response of GitLab's API for a commit while Gitaly is down.
  test.for([true, false])(
    'is retried, and not skipped for having no module, while GitLab does not find its commit (shared commit: %s)',
    async (sharesCommit, { gitlab, pushRepository, listTag, publish, expectSameAsPlain }) => {
      const { project } = await pushRepository(ONE_MODULE, 'v1.0.0');
      const job = await listTag(project, sharesCommit);
      gitlab.faults.add({
        path: /\/repository\/(?:files|tree)\b/,
        kind: { status: 404, body: { message: `404 ${sharesCommit ? 'Tree' : 'Commit'} Not Found` } },
      });
      await expect(publish(job)).rejects.toMatchObject({ name: 'Retry' });
      await publish(job);
      await expectSameAsPlain(project, ['v1.0.0']);
    },
  );

  test('has the same bytes although archives apply the attributes of the default branch, as in GitLab up to 16', async ({
    pushRepository,
    listTag,
    publish,
    expectSameAsPlain,
  }) => {
    const { project } = await pushRepository(
      {
        ...ONE_MODULE,
        '.gitattributes': '*.bat eol=crlf\n',
        'a.bat': '$Id$\n',
        'a.txt': '$Id$\n',
      },
      'v1.0.0',
    );
    const job = await listTag(project);
    expect(await publish(job)).toMatchObject({ known: false });
    await mkdir(join(project.repositoryDir, 'info'), { recursive: true });
    await writeFile(join(project.repositoryDir, 'info', 'attributes'), '*.txt eol=crlf\n*.bat ident\n');
    await expectSameAsPlain(project, ['v1.0.0']);
  });

  test('is published although the first download of a blob is damaged', async ({
    gitlab,
    pushRepository,
    listTag,
    publish,
    expectSameAsPlain,
  }) => {
    const { project } = await pushRepository(ONE_MODULE, 'v1.0.0');
    const job = await listTag(project);
    gitlab.faults.add({ path: /\/blobs\//, kind: { status: 200, body: 'other bytes' } });
    await expect(publish(job)).rejects.toMatchObject({ name: 'Retry' });
    await publish(job);
    await expectSameAsPlain(project, ['v1.0.0']);
  });
});

describe('a pushed tag', () => {
  test('empties the cache of blobs when the disk is full, and reports the full disk', async ({
    gitlab,
    cache,
    createBlobs,
    createPublishing,
    pushRepository,
    listTag,
    publish,
  }) => {
    const { project } = await pushRepository(ONE_MODULE, 'v1.0.0');
    const blob = hashBytes(Buffer.from(ONE_MODULE['a.go']), 40).blob as BlobId;
    const job = await listTag(project);
    await publish(job);
    expect(cache.has(blob)).toBe(true);
    class FullDisk extends GitLabClient {
      override archive(): Promise<never> {
        return Promise.reject(Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' }));
      }
    }
    const full = new FullDisk({
      http: new HttpClient(),
      url: gitlab.url,
      token: gitlab.rootToken,
      beforeCall: async () => undefined,
    });
    const other = await createPublishing({ gitlab: full, blobs: createBlobs() }, 'full');
    await expect(publish({ projectId: project.id, tag: 'v1.0.0' }, other)).rejects.toMatchObject({
      name: 'Retry',
      message: expect.stringContaining('no space is left for temporary files'),
    });
    expect(cache.has(blob)).toBe(false);
  });

  test('is built from blobs while GitLab refuses archives because another program reached the limit', async ({
    gitlab,
    pushRepository,
    publishPush,
    expectSameAsPlain,
    countCalls,
  }) => {
    const { project } = await pushRepository(ONE_MODULE, 'v1.0.0');
    gitlab.faults.add({
      path: /\/archive/,
      kind: { status: 429, body: { message: { error: 'This archive has been requested too many times.' } } },
    });
    gitlab.clearRequests();
    await publishPush(project);
    expect(countCalls(project)).toMatchObject({ archive: 1, blob: expect.any(Number) });
    await expectSameAsPlain(project, ['v1.0.0']);
  });

  test('is built from an archive, and from blobs once the archives of the minute are used up', async ({
    gitlab,
    pushRepository,
    publishPush,
    expectSameAsPlain,
    countCalls,
  }) => {
    const { project, tree } = await pushRepository(ONE_MODULE);
    const tags = Array.from({ length: 7 }, (_, index) => `v1.${index}.0`);
    for (const tag of tags) {
      await tree.write({ 'a.go': `package a // ${tag}\n` }).commit(tag);
      await tree.tag(tag);
    }
    await tree.push();
    for (const tag of tags.slice(0, 5)) await publishPush(project, tag);
    gitlab.clearRequests();
    await publishPush(project, 'v1.5.0');
    expect(countCalls(project)).toEqual({ project: 1, tag: 1, files: 1, tree: 1, blob: 2 });
    gitlab.clearRequests();
    await publishPush(project, 'v1.6.0');
    expect(countCalls(project)).toEqual({ project: 1, tag: 1, files: 1, tree: 1, blob: 1 });
    await expectSameAsPlain(project, tags);
  });
});

/** Tags the newest commit with a version of each of the thirty modules. Returns the tags. */
async function tagAll(tree: WorkTree, version: string): Promise<string[]> {
  const tags = moduleNames().map((name) => `${name}/${version}`);
  await tree.tag(tags);
  await tree.push();
  return tags;
}

function readMinutesAgo(job: TagJob, minutes: number): TagJob {
  if (!job.cachedTag) throw new Error('the job has no cached tag');
  return { ...job, cachedTag: { ...job.cachedTag, readAt: new Date(Date.now() - minutes * 60_000).toISOString() } };
}

/** Publishes eight jobs at a time, as a backfill does. */
async function publishSideBySide(jobs: readonly TagJob[], publish: (job: TagJob) => Promise<unknown>): Promise<void> {
  const waiting = jobs.values();
  const lane = async (): Promise<void> => {
    for (let next = waiting.next(); next.done !== true; next = waiting.next()) await publish(next.value);
  };
  await Promise.all(Array.from({ length: 8 }, lane));
}

async function publishJob(job: Job, { publisher }: Publishing): Promise<PublishResult> {
  const result = await publisher.publish(job);
  expect(result).toMatchObject({ outcome: { status: 'published' } });
  return result;
}

async function compareChecksums(
  project: Project,
  tags: readonly string[],
  { publisher }: Publishing,
  plain: Publishing,
): Promise<void> {
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
