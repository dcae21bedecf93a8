import pLimit from 'p-limit';
import type { Project } from '../gitlab/schema.ts';
import { isOpen, projectsInScope } from '../gitlab/targets.ts';
import { OutageDetector } from './outage-detector.ts';
import { dueProjects, hasFailed, isComplete } from './scan-decision.ts';
import { scanProject, type ScanParts, type ScanResult } from './scan-project.ts';
import { readSweepState, writeSweepState, type SweepState } from './sweep-state.ts';
import { reportVanishedProjects } from './vanished-projects.ts';

/** The dependencies and settings of a sweep. */
export interface SweepParts extends ScanParts {
  /** Paths of groups and projects. An empty list means all projects that the token is a member of. */
  readonly scope: readonly string[];
  /** Called repeatedly while the sweep runs. */
  readonly onProgress?: () => Promise<void>;
}

/** The result of a sweep. The numbers of tags are totals over all scanned projects. */
export interface SweepResult extends ScanResult {
  /** Number of projects in scope. */
  readonly projects: number;
  /** Number of projects whose tags were read. */
  readonly scanned: number;
}

/** The maximum number of projects that are scanned concurrently. */
const CONCURRENT_PROJECTS = 4;
/** The sweep stores its state each time it has scanned this many projects. */
const SAVE_EVERY_PROJECTS = 500;

/**
 * Compares all tags in scope with the outcomes in the store, and queues the tags without an outcome. This recovers from
 * webhooks that never arrived and from a lost queue. A project is scanned if it had activity since the last scan, if
 * outcomes were missing then, and at least once a day. Once `signal` is aborted, stops early without an error. Rejects
 * with Retry if GitLab cannot be read, and with StoreUnavailable.
 */
export async function sweep(parts: SweepParts, signal: AbortSignal): Promise<SweepResult> {
  const { store, onProgress } = parts;
  const startedAt = Date.now();
  const state = await readSweepState(store);
  const { projects, unreadable } = await listProjects(parts);
  scanClosedProjectsLater(state, projects);

  const result = { projects: projects.length, scanned: 0, tags: 0, queued: 0, recovered: 0 };
  const outages = new OutageDetector(parts.log);
  const limit = pLimit(CONCURRENT_PROJECTS);
  await limit.map(dueProjects(projects, state, startedAt), async ({ project, decision }) => {
    if (signal.aborted || outages.isOutage) return;
    // `outages.run` never rejects. After a rejection, concurrent scans could still be running when the next sweep
    // starts.
    const succeeded = await outages.run(project, hasFailed(state, project), async () => {
      if (decision === 'scan if incomplete' && (await isComplete(store, state, project))) return;
      const { tags, queued, recovered } = await scanProject(parts, state, project, signal);
      result.scanned++;
      result.tags += tags;
      result.queued += queued;
      result.recovered += recovered;
      if (result.scanned % SAVE_EVERY_PROJECTS !== 0) return;
      await writeSweepState(store, state);
      await onProgress?.();
    });
    if (!succeeded) markFailed(state, project);
  });
  if (signal.aborted) return result;
  if (outages.hasSweepFailed) {
    // Stores the state, so that the next sweep does not repeat the scans before the outage.
    await writeSweepState(store, state);
    outages.throwLastError();
  }
  // A project that cannot be read may be one that an earlier sweep found.
  if (!unreadable.has(undefined)) {
    await reportVanishedProjects(parts, state, new Set([...projects.map(({ id }) => id), ...unreadable]));
  }
  await writeSweepState(store, { ...state, sweptAt: startedAt });
  return result;
}

/** Lists the projects in scope, and the ids of those that cannot be read. An id that cannot be read is undefined. */
async function listProjects({
  gitlab,
  log,
  scope,
}: SweepParts): Promise<{ readonly projects: Project[]; readonly unreadable: ReadonlySet<number | undefined> }> {
  const onUnknown = (path: string, newPath?: string): void =>
    newPath === undefined
      ? log.error(
          { event: 'scope.unknown', scope: path },
          'GITLAB_SCOPE contains a path that is neither a group nor a project, or that GITLAB_TOKEN cannot see',
        )
      : log.error(
          { event: 'scope.outdated', scope: path, now: newPath },
          'GITLAB_SCOPE contains the old path of a project that has moved; its tags are not published until GITLAB_SCOPE contains the new path',
        );
  const unreadable = new Set<number | undefined>();
  const projects: Project[] = [];
  for await (const project of projectsInScope(gitlab, scope, onUnknown, (id) => unreadable.add(id)))
    projects.push(project);
  return { projects, unreadable };
}

/**
 * Clears `missing` for projects whose code cannot be read now, so that they are scanned as soon as it can be read
 * again.
 */
function scanClosedProjectsLater(state: SweepState, projects: readonly Project[]): void {
  for (const project of projects) {
    const last = state.projects.get(project.id);
    if (last && !isOpen(project)) state.projects.set(project.id, { ...last, missing: undefined });
  }
}

/** Records that a scan failed. Keeps the other fields, so that a later sweep detects whether the project has moved. */
function markFailed(state: SweepState, { id, path, archived }: Project): void {
  state.projects.set(id, { path, archived, lookedAt: 0, ...state.projects.get(id), failed: true });
}
