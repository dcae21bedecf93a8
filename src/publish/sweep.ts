import type { Logger } from 'pino';
import type { GitLabClient, Project } from '../gitlab/client.ts';
import { outcomeKey, outcomesPrefix } from '../store/layout.ts';
import type { ReadStore } from '../store/store.ts';
import type { JobSink } from '../queue/queue.ts';

/** What a sweep compares, and where it puts what is missing. */
export interface SweepParts {
  readonly gitlab: GitLabClient;
  readonly store: ReadStore;
  readonly queue: JobSink;
  readonly log: Logger;
  /** Groups and projects; empty for all that the token is a member of. */
  readonly scope: readonly string[];
}

/** What a sweep saw: projects and tags looked at, and tags that had no outcome and are now in the queue. */
export interface SweepResult {
  readonly projects: number;
  readonly tags: number;
  readonly queued: number;
}

/**
 * Compares every tag in scope with the outcomes in the store and queues those that have none. This is what makes
 * up for webhooks that never came, and for a queue that was lost. Stops early, without error, once `signal` is
 * aborted; rejects with Retry when GitLab cannot be read.
 */
export async function sweep(parts: SweepParts, signal: AbortSignal): Promise<SweepResult> {
  const result = { projects: 0, tags: 0, queued: 0 };
  for await (const project of projectsInScope(parts)) {
    if (signal.aborted) break;
    result.projects++;
    if (project.empty) continue;
    const { tags, queued } = await sweepProject(parts, project.id, signal);
    result.tags += tags;
    result.queued += queued;
  }
  return result;
}

/** The same for one project. */
export async function sweepProject(
  { gitlab, store, queue }: Pick<SweepParts, 'gitlab' | 'store' | 'queue'>,
  projectId: number,
  signal: AbortSignal,
): Promise<Omit<SweepResult, 'projects'>> {
  const result = { tags: 0, queued: 0 };
  const known = await knownOutcomes(store, projectId);
  for await (const { name, commit } of gitlab.tags(projectId)) {
    if (signal.aborted) break;
    result.tags++;
    if (!commit || known.has(outcomeKey(projectId, name, commit))) continue;
    await queue.add({ projectId, tag: name, hint: commit });
    result.queued++;
  }
  return result;
}

/** The keys of all outcomes of a project: one listing instead of a look for each tag. */
async function knownOutcomes(store: ReadStore, projectId: number): Promise<ReadonlySet<string>> {
  const keys = new Set<string>();
  for await (const { key } of store.list(outcomesPrefix(projectId))) keys.add(key);
  return keys;
}

async function* projectsInScope({ gitlab, scope, log }: SweepParts): AsyncGenerator<Project> {
  if (scope.length === 0) yield* gitlab.memberProjects();
  for (const path of scope) {
    const projects = await gitlab.groupProjects(path);
    if (projects) {
      yield* projects;
      continue;
    }
    const project = await gitlab.project(path);
    if (project) yield project;
    else log.error({ scope: path }, 'GITLAB_SCOPE names neither a group nor a project that GITLAB_TOKEN may see');
  }
}
