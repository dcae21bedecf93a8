import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ModulePath } from '../../src/module/path.ts';
import type { Version } from '../../src/module/version.ts';
import { moduleKey } from '../../src/store/layout.ts';
import type { RequestRecord } from '../fake-gitlab/requests.ts';
import type { Project } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import type { Bench } from './bench.ts';
import { MODULE_PREFIX, startService, WEBHOOK_TOKEN, type Service } from './service.ts';
import { median, quantile } from './statistics.ts';

/**
 * The time until pushed tags are available, in ms: from GitLab's call of the webhook to the first status 200 for
 * `.info`.
 */
export interface PushFigures {
  readonly pushes: number;
  readonly median: number;
  readonly p95: number;
  /** The median times from the call of the webhook to the arrival of each request at GitLab, in order. */
  readonly requests: readonly { readonly name: string; readonly after: number }[];
}

/**
 * Whether GitLab has the archive in its cache when the tag arrives (`cached`), or makes the archive at the request
 * (`made`), as for the first tag of a commit. With `cached`, the result contains only the time of modpress.
 */
export type Archive = 'cached' | 'made';

const FILES = 85;
const BYTES = 2 ** 20;
/** The first pushes are not counted, because V8 is still compiling the code. */
const WARM_UP = 5;
const LOOK_EVERY_MS = 2;

/**
 * Pushes the first tag of `pushes` projects, one after the other, with real git and real webhooks. Each project is a
 * module of 1 MB.
 */
export async function measurePushes(bench: Bench, archive: Archive, pushes: number): Promise<PushFigures> {
  const { gitlab, folder, deadline } = bench;
  const group = `push-${archive}`;
  gitlab.createGroup(group);
  const place = join(folder, `service-${group}`);
  await using service = await startService(gitlab, group, place, deadline);
  await addHook(bench, group, service);

  const times: number[] = [];
  const requests = new Map<string, number[]>();
  for (let push = -WARM_UP; push < pushes; push++) {
    deadline.throwIfAborted();
    const { available, hook } = await pushOnce(bench, service, place, archive, `${group}/module${push + WARM_UP}`);
    if (push < 0) continue;
    times.push(available - hook);
    for (const request of gitlab.requests) {
      const name = nameOf(request);
      if (name !== undefined) requests.set(name, [...(requests.get(name) ?? []), request.at.getTime() - hook]);
    }
  }
  return {
    pushes,
    median: median(times),
    p95: quantile(times, 0.95),
    requests: Array.from(requests, ([name, after]) => ({ name, after: median(after) })).sort(
      (one, other) => one.after - other.after,
    ),
  };
}

/** Pushes one tag. Resolves to the times of the webhook call and of the first status 200, in ms since the epoch. */
async function pushOnce(
  bench: Bench,
  service: Service,
  place: string,
  archive: Archive,
  path: string,
): Promise<{ hook: number; available: number }> {
  const { gitlab, content, deadline } = bench;
  const project = await gitlab.createProject(path);
  await using tree = await WorkTree.create(project);
  const files = Array.from(
    { length: FILES },
    (_, index) => [`internal/part${index % 7}/source${index}.go`, content.text(Math.floor(BYTES / FILES))] as const,
  );
  tree.write({ 'go.mod': `module ${MODULE_PREFIX}/${path}\n\ngo 1.24\n`, ...Object.fromEntries(files) });
  const commit = await tree.commit('First');
  await tree.push('main');
  if (archive === 'cached') await haveArchiveMade(bench, project, commit);
  await tree.tag('v1.0.0');
  gitlab.clearRequests();
  const info = moduleKey(`${MODULE_PREFIX}/${path}` as ModulePath, 'v1.0.0' as Version, 'info');
  const url = `${service.url}/${MODULE_PREFIX}/${path}/@v/v1.0.0.info`;
  const [available] = await Promise.all([
    untilAvailable(join(place, 'store', info), url, deadline),
    tree.push('v1.0.0'),
  ]);
  await gitlab.settled();
  const hook = gitlab.deliveries.findLast((delivery) => delivery.event === 'Tag Push Hook');
  if (hook?.status !== 202) throw new Error(`the webhook responded with status ${String(hook?.status)}`);
  return { hook: hook.at.getTime(), available };
}

/** Waits for the file before requesting it. A service that often has to respond with 404 has less time to publish. */
async function untilAvailable(file: string, url: string, deadline: AbortSignal): Promise<number> {
  while (!(await exists(file))) await sleep(LOOK_EVERY_MS, undefined, { signal: deadline });
  const response = await fetch(url, { signal: deadline });
  await response.arrayBuffer();
  if (response.status !== 200) throw new Error(`${url} responded with ${response.status}, although ${file} exists`);
  return Date.now();
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

/**
 * Requests the archive as modpress does, until the response comes from the cache. Such a response has a Content-Length.
 */
async function haveArchiveMade({ gitlab, deadline }: Bench, { id }: Project, commit: string): Promise<void> {
  for (let cached = false; !cached;) {
    const response = await fetch(`${gitlab.url}/api/v4/projects/${id}/repository/archive.tar.gz?sha=${commit}`, {
      headers: { Authorization: `Bearer ${gitlab.rootToken}` },
      mode: 'same-origin',
      signal: deadline,
    });
    if (response.status !== 200)
      throw new Error(`GitLab responded to the request for the archive with ${response.status}`);
    await response.arrayBuffer();
    cached = response.headers.has('content-length');
  }
}

async function addHook({ gitlab }: Bench, group: string, service: Service): Promise<void> {
  const response = await fetch(`${gitlab.url}/api/v4/groups/${group}/hooks`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${gitlab.rootToken}` },
    body: JSON.stringify({
      url: `${service.url}/-/webhook`,
      token: WEBHOOK_TOKEN,
      tag_push_events: true,
      push_events: false,
    }),
  });
  if (response.status !== 201)
    throw new Error(`the stand-in responded with ${response.status}: ${await response.text()}`);
}

/** Returns a short name for a request to the API, or undefined for a request that is not measured. */
function nameOf({ path }: RequestRecord): string | undefined {
  const [, thing] = /\/repository\/(tags|files|tree|archive)\b/.exec(path) ?? [];
  if (thing !== undefined) return { tags: 'tag', files: 'go.mod' }[thing] ?? thing;
  return /^\/api\/v4\/projects\/\d+$/.test(path) ? 'project' : undefined;
}
