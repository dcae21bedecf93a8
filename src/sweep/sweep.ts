import pLimit from 'p-limit';
import type { Project } from '../gitlab/schema.ts';
import { isOpen, projectsInScope } from '../gitlab/targets.ts';
import { OutageDetector } from './outage-detector.ts';
import { dueProjects, hasFailed, isComplete } from './scan-decision.ts';
import { scanProject, type ScanParts, type ScanResult } from './scan-project.ts';
import { readSweepState, writeSweepState, type SweepState } from './sweep-state.ts';
import { reportVanishedProjects } from './vanished-projects.ts';

/** What a sweep needs. */
export interface SweepParts extends ScanParts {
  /** Paths of groups and projects. An empty list stands for all projects that the token is a member of. */
  readonly scope: readonly string[];
  /** Called from time to time while the sweep runs. */
  readonly onProgress?: () => Promise<void>;
}

/** What a sweep saw and did. Tags are counted over all scanned projects. */
export interface SweepResult extends ScanResult {
  /** Number of projects in scope. */
  readonly projects: number;
  /** Number of projects whose tags were read. */
  readonly scanned: number;
}

/** Projects scanned side by side. */
const CONCURRENT_PROJECTS = 4;
/** The state is stored each time this many projects have been scanned. */
const SAVE_EVERY_PROJECTS = 500;

/**
 * Compares all tags in scope with the outcomes in the store, and queues those that have none. This makes up for webhooks
 * that never came and for a queue that was lost. A project is scanned if something happened in it since the last scan, if
 * outcomes were missing then, and once a day. Stops early, without an error, once `signal` is aborted. Rejects with Retry
 * when GitLab cannot be read, and with StoreUnavailable.
 */
export async function sweep(parts: SweepParts, signal: AbortSignal): Promise<SweepResult> {
  const { store, onProgress } = parts;
  const startedAt = Date.now();
  const state = await readSweepState(store);
  const projects = await listProjects(parts);
  scanClosedProjectsLater(state, projects);

  const result = { projects: projects.length, scanned: 0, tags: 0, queued: 0, recovered: 0 };
  const outages = new OutageDetector(parts.log);
  const limit = pLimit(CONCURRENT_PROJECTS);
  await limit.map(dueProjects(projects, state, startedAt), async ({ project, decision }) => {
    if (signal.aborted || outages.isOutage) return;
    // Every failure is caught here: if one rejected, the scans beside it would still run when the next sweep begins.
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
    // Projects scanned before an outage need no second scan after it.
    await writeSweepState(store, state);
    outages.throwLastError();
  }
  await reportVanishedProjects(parts, state, new Set(projects.map(({ id }) => id)));
  await writeSweepState(store, { ...state, sweptAt: startedAt });
  return result;
}

async function listProjects({ gitlab, log, scope }: SweepParts): Promise<Project[]> {
  const onUnknown = (path: string, newPath?: string): void =>
    newPath === undefined
      ? log.error(
          { event: 'scope.unknown', scope: path },
          'GITLAB_SCOPE contains a path that is neither a group nor a project, or that GITLAB_TOKEN may not see',
        )
      : log.error(
          { event: 'scope.outdated', scope: path, now: newPath },
          'GITLAB_SCOPE contains the old path of a project that has moved: its tags are not published until GITLAB_SCOPE contains the new path',
        );
  const projects: Project[] = [];
  for await (const project of projectsInScope(gitlab, scope, onUnknown)) projects.push(project);
  return projects;
}

/** Makes later sweeps scan the projects whose code cannot be read now, as soon as it can be read again. */
function scanClosedProjectsLater(state: SweepState, projects: readonly Project[]): void {
  for (const project of projects) {
    const last = state.projects.get(project.id);
    if (last && !isOpen(project)) state.projects.set(project.id, { ...last, missing: undefined });
  }
}

/** Keeps the rest of the state of the project, so that a later sweep notices if the project has moved. */
function markFailed(state: SweepState, { id, path, archived }: Project): void {
  state.projects.set(id, { path, archived, lookedAt: 0, ...state.projects.get(id), failed: true });
}
