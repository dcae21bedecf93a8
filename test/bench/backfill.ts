import pLimit from 'p-limit';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { backfill } from '../../src/backfill/backfill.ts';
import { GitLabClient } from '../../src/gitlab/client.ts';
import { MemoryRateLimiter } from '../../src/rate-limit/memory-rate-limiter.ts';
import type { RateLimiter } from '../../src/rate-limit/rate-limiter.ts';
import { waitForPermit } from '../../src/rate-limit/wait-for-permit.ts';
import { BlobCache } from '../../src/build/blob-cache.ts';
import { Blobs } from '../../src/build/blobs.ts';
import type { Outcome } from '../../src/store/outcome.ts';
import { Publisher } from '../../src/publish/publisher.ts';
import { memoryLock } from '../../src/redis/version-lock.ts';
import { Ownership } from '../../src/resolve/ownership.ts';
import { DiskStore } from '../../src/store/disk.ts';
import type { TagJob } from '../../src/queue/tag-job.ts';
import { Git } from '../fake-gitlab/git.ts';
import { startGitLab, type Project, type StandIn } from '../fake-gitlab/stand-in.ts';
import { Content } from './content.ts';
import { commitMonorepo, type MonorepoShape } from './monorepo.ts';

/**
 * Measures how fast modpress publishes the history of a repository if GitLab allows five archives a minute. Run it with
 * `npm run bench:backfill`, or with `-- --quick` for a tenth of the history. Afterwards it builds each version again
 * from an archive, without a rate limit, and compares the checksums. The exit status is 1 if a target is missed or a
 * step fails.
 */

const HOST = 'gitlab.example';
const PATH = 'bench/monorepo';
/** Calls per second, as in the default of GITLAB_RATE. */
const RATE = 20;
/** GitLab's limit. It is also the rate at which versions can be published from archives only. */
const ARCHIVES_A_MINUTE = 5;
/** The minimum number of published tags for each archive that GitLab allows. */
const RATIO_TARGET = 40;
/** The number of versions that are built again concurrently. */
const COMPARED_AT_A_TIME = 3;
const LIMIT_MS = 15 * 60_000;

const quick = process.argv.includes('--quick');
const SHAPE: MonorepoShape = { modules: 30, filesPerModule: 20, releases: quick ? 6 : 60, singles: quick ? 20 : 200 };

process.exitCode = await run();

async function run(): Promise<number> {
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(new Error(`it took longer than ${LIMIT_MS / 60_000} minutes`)), LIMIT_MS);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => over.abort(new Error(signal)));
  const folder = await mkdtemp(join(tmpdir(), 'modpress-bench-'));
  try {
    const met = await measure(folder, over.signal);
    const [load = 0] = loadavg();
    if (load > availableParallelism() + 1)
      print(
        `\nThe load of this machine is ${load.toFixed(1)}: other programs are running, so the figures are not reliable.`,
      );
    return met ? 0 : 1;
  } catch (error) {
    print(`\nThe benchmark failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    return 1;
  } finally {
    clearTimeout(timer);
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(folder: string, deadline: AbortSignal): Promise<boolean> {
  print(`Publishing a history with modpress: Node ${process.versions.node}, ${availableParallelism()} cores`);
  await using limited = await startGitLab({ archiveLimit: ARCHIVES_A_MINUTE });
  const { project, tags } = await createMonorepo(limited);
  print(
    `${SHAPE.modules} modules, ${tags.length} tags: ${SHAPE.releases} releases of all modules, ${SHAPE.singles} tags on separate commits`,
  );

  const cache = new BlobCache(folder);
  const rateLimiter = new MemoryRateLimiter();
  const gitlab = clientOf(limited, () => waitForPermit(rateLimiter, 'gitlab', RATE, 1000));
  const blobs = new Blobs({ gitlab, cache, temporaryRoot: folder });
  const { publisher, store, ownership } = await publisherIn(join(folder, 'backfill'), {
    gitlab,
    rateLimiter,
    blobs,
    archivesPerMinute: ARCHIVES_A_MINUTE,
  });
  const sums = new Map<string, Sums>();
  const publish = async (job: TagJob) => {
    const published = await publisher.publish(job);
    if ('outcome' in published) sums.set(job.tag, sumsOf(published.outcome));
    return published;
  };
  limited.clearRequests();
  const started = performance.now();
  const progress = await backfill(
    { gitlab, store, ownership, publish },
    { targets: [], dryRun: false },
    () => undefined,
    deadline,
  );
  const seconds = (performance.now() - started) / 1000;
  await cache.clear();
  deadline.throwIfAborted();
  const calls = callsOf(limited, project);
  const aMinute = progress.published / (seconds / 60);
  const ratio = aMinute / ARCHIVES_A_MINUTE;
  const isFast = ratio >= RATIO_TARGET;
  print(`\n${progress.published} versions in ${seconds.toFixed(0)} s: ${aMinute.toFixed(0)} a minute`);
  print(
    `${ratio.toFixed(0)} times the rate that archives alone allow  ${isFast ? 'ok' : 'MISSED'} (target: at least ${RATIO_TARGET})`,
  );
  print(`Calls to GitLab's API: ${Array.from(calls, ([kind, count]) => `${count} ${kind}`).join(', ')}`);
  const isComplete = progress.published === tags.length;
  if (!isComplete)
    print(
      `MISSED: ${tags.length - progress.published} tags were not published: ${JSON.stringify(progress.troubles)} ${JSON.stringify(progress.skips)}`,
    );

  const different = await compare(folder, tags, sums, deadline);
  print(
    `\nBuilt again from archives: ${tags.length - different.length} of ${tags.length} have the same checksums  ${different.length === 0 ? 'ok' : `MISSED: ${different.slice(0, 5).join(', ')}`}`,
  );
  return isFast && isComplete && different.length === 0;
}

/** Returns the tags whose versions have other checksums if they are built from archives. */
async function compare(
  folder: string,
  tags: readonly string[],
  sums: ReadonlyMap<string, Sums>,
  deadline: AbortSignal,
): Promise<string[]> {
  await using unlimited = await startGitLab({ archiveLimit: 'off' });
  const { project } = await createMonorepo(unlimited);
  const gitlab = clientOf(unlimited, async () => undefined);
  const { publisher } = await publisherIn(join(folder, 'archives'), {
    gitlab,
    rateLimiter: new MemoryRateLimiter(),
    archivesPerMinute: Number.MAX_SAFE_INTEGER,
  });
  const limit = pLimit(COMPARED_AT_A_TIME);
  const compared = tags.map((tag) =>
    limit(async () => {
      deadline.throwIfAborted();
      const published = await publisher.publish({ projectId: project.id, tag });
      const truth = 'outcome' in published ? sumsOf(published.outcome) : undefined;
      const ours = sums.get(tag);
      return truth?.h1 !== undefined && truth.h1 === ours?.h1 && truth.goModH1 === ours.goModH1 ? [] : [tag];
    }),
  );
  return (await Promise.all(compared)).flat();
}

/** Creates a project and its commits. Every call creates the same commits. */
async function createMonorepo(gitlab: StandIn): Promise<{ project: Project; tags: string[] }> {
  const git = new Git();
  try {
    const project = await gitlab.createProject(PATH);
    const tags = await commitMonorepo(git, project.repositoryDir, `${HOST}/${PATH}`, SHAPE, new Content());
    await project.reload();
    return { project, tags };
  } finally {
    await git.close();
  }
}

function clientOf(gitlab: StandIn, beforeCall: () => Promise<void>): GitLabClient {
  return new GitLabClient({ http: new HttpClient(), url: gitlab.url, token: gitlab.rootToken, beforeCall });
}

interface Built {
  readonly gitlab: GitLabClient;
  readonly rateLimiter: RateLimiter;
  readonly blobs?: Blobs;
  readonly archivesPerMinute: number;
}

async function publisherIn(
  folder: string,
  built: Built,
): Promise<{ publisher: Publisher; store: DiskStore; ownership: Ownership }> {
  const temporaryRoot = join(folder, 'temporary');
  await mkdir(temporaryRoot, { recursive: true });
  const store = await DiskStore.open(join(folder, 'store'));
  const ownership = new Ownership(HOST, [], [PATH]);
  return {
    publisher: new Publisher({ ...built, store, ownership, lock: memoryLock(), retag: 'refuse', temporaryRoot }),
    store,
    ownership,
  };
}

type Sums = Pick<Outcome, 'h1' | 'goModH1'>;

function sumsOf({ h1, goModH1 }: Outcome): Sums {
  return { h1, goModH1 };
}

/** Returns the number of calls to GitLab of each kind. */
function callsOf(gitlab: StandIn, project: Project): ReadonlyMap<string, number> {
  const calls = new Map([['in total', gitlab.requests.length]]);
  for (const { path } of gitlab.requests) {
    const kind =
      /\/repository\/(archive|tree|blobs|files|tags)/.exec(path)?.[1] ??
      (path.endsWith(`/projects/${project.id}`) ? 'project' : 'other');
    calls.set(kind, (calls.get(kind) ?? 0) + 1);
  }
  return calls;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
