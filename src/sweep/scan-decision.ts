import type { Project } from '../gitlab/schema.ts';
import { isOpen } from '../gitlab/targets.ts';
import type { ReadStore } from '../store/store.ts';
import { hasAllOutcomes } from './compare-tags.ts';
import type { ProjectState, SweepState } from './sweep-state.ts';

/**
 * What a sweep does with a project. `scan` reads its tags from GitLab. `scan if incomplete` reads them only if the
 * store still lacks an outcome that was missing at the last scan.
 */
export type ScanDecision = 'scan' | 'scan if incomplete' | 'skip';

/** A project that a sweep does not skip. */
export interface DueProject {
  readonly project: Project;
  readonly decision: Exclude<ScanDecision, 'skip'>;
}

/**
 * GitLab updates the last activity of a project at most once an hour (app/models/event.rb). The other five minutes
 * allow for clock differences.
 */
const ACTIVITY_DELAY_MS = 65 * 60_000;
/**
 * Even a project without activity is scanned once a day. The limit is under 24 hours because sweeps are minutes apart.
 */
const MAX_SCAN_INTERVAL_MS = 22 * 60 * 60_000;

/**
 * Returns the projects that a sweep at the time `now` does not skip, in the order of their scans. `now` is in
 * milliseconds since the epoch.
 */
export function dueProjects(projects: readonly Project[], state: SweepState, now: number): DueProject[] {
  const due: DueProject[] = [];
  for (const project of projects) {
    const decision = decide(project, state.projects.get(project.id), now);
    if (decision !== 'skip') due.push({ project, decision });
  }
  // Projects that failed in the previous sweep come last. Their failing calls are retried, and other projects should
  // not wait for these retries.
  due.sort((a, b) => Number(hasFailed(state, a.project)) - Number(hasFailed(state, b.project)));
  return due;
}

/** Whether the previous sweep could not read the tags of a project. */
export function hasFailed({ projects }: SweepState, { id }: Project): boolean {
  return projects.get(id)?.failed === true;
}

/**
 * Whether the store now has every outcome that was missing at the last scan of a project. If so, records this in
 * `state`. Makes no call to GitLab. Rejects with StoreUnavailable.
 */
export async function isComplete(store: ReadStore, { projects }: SweepState, { id }: Project): Promise<boolean> {
  const last = projects.get(id);
  if (!last?.missing || !(await hasAllOutcomes(store, id, last.missing))) return false;
  projects.set(id, { ...last, missing: [] });
  return true;
}

function decide(project: Project, last: ProjectState | undefined, now: number): ScanDecision {
  if (!isOpen(project)) return 'skip';
  if (
    !last?.missing ||
    last.gone ||
    last.failed ||
    last.path !== project.path ||
    last.archived !== project.archived ||
    last.repeats
  )
    return 'scan';
  const elapsedMs = now - last.lookedAt;
  // If the last scan is in the future, a clock was wrong. Archived projects are checked like the others, because a
  // project may have been unarchived temporarily since its last scan.
  const mayHaveChanged =
    elapsedMs < 0 ||
    elapsedMs > MAX_SCAN_INTERVAL_MS ||
    (project.lastActivityAt?.getTime() ?? now) > last.lookedAt - ACTIVITY_DELAY_MS;
  if (mayHaveChanged) return 'scan';
  return last.missing.length > 0 ? 'scan if incomplete' : 'skip';
}
