import { pino } from 'pino';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { GitLabClient } from '../../src/gitlab/client.ts';
import type { JobSink } from '../../src/queue/queue.ts';
import type { TagJob } from '../../src/queue/tag-job.ts';
import type { Store } from '../../src/store/store.ts';
import { sweep, type SweepParts, type SweepResult } from '../../src/sweep/sweep.ts';
import { ServiceLog, type LogLine } from '../e2e/service-log.ts';
import type { Project, StandIn } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';

/** The result of a sweep, with the jobs that it queued, its calls to GitLab, and its log. */
export interface Swept {
  readonly result: SweepResult;
  readonly jobs: readonly TagJob[];
  /** The paths that it requested from GitLab, without the base URL and the query. */
  readonly calls: readonly string[];
  readonly log: readonly LogLine[];
}

/** Sweeps once, with a queue that only records the jobs. */
export async function sweepOnce(
  gitlab: StandIn,
  store: Store,
  scope: readonly string[] = [],
  parts: Partial<SweepParts> = {},
): Promise<Swept> {
  const jobs: TagJob[] = [];
  const queue: JobSink = {
    add: async (job) => {
      jobs.push(job);
      return 'queued';
    },
  };
  const lines = new ServiceLog();
  const log = pino({ level: 'debug' }, { write: (line) => lines.add(line) });
  const token = gitlab.createToken({ scopes: ['read_api'] });
  const client = new GitLabClient({
    http: new HttpClient(),
    url: gitlab.url,
    token,
    beforeCall: async () => undefined,
  });
  gitlab.clearRequests();
  const result = await sweep({ gitlab: client, store, queue, log, scope, ...parts }, new AbortController().signal);
  return { result, jobs, calls: gitlab.requests.map(({ path }) => path.replace('/api/v4/', '')), log: lines.lines };
}

/** Returns the tags of jobs, sorted. */
export function tagsOf(jobs: readonly TagJob[]): string[] {
  return jobs.map((job) => job.tag).toSorted((a, b) => a.localeCompare(b));
}

/** Pushes the first commit of a module to a project, with these tags. */
export async function pushModule(project: Project, ...tags: readonly string[]): Promise<void> {
  await using tree = await WorkTree.create(project);
  await tree.write({ 'go.mod': `module gitlab.example/${project.path}\n` }).commit('First');
  await tree.tag([...tags]);
  await tree.push();
}

/** Pushes another commit of the module team/lib to a project, with these tags. */
export async function pushVersion(project: Project, ...tags: readonly string[]): Promise<void> {
  await using tree = await WorkTree.create(project);
  await tree.write({ 'go.mod': 'module gitlab.example/team/lib\n', 'a.go': 'package lib\n' }).commit('Another');
  await tree.tag([...tags]);
  await tree.push('+main', ...tags);
}
