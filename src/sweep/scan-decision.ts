import type { Project } from '../gitlab/schema.ts';
import { isOpen } from '../gitlab/targets.ts';
import type { ReadStore } from '../store/store.ts';
import { hasAllOutcomes } from './compare-tags.ts';
import type { ProjectState, SweepState } from './sweep-state.ts';

/**
 * What a sweep does with a project. `scan` reads its tags. `scan if incomplete` reads them only if outcomes that were
 * missing at the last scan are still missing, which the store alone knows.
 */
export type ScanDecision = 'scan' | 'scan if incomplete' | 'skip';

/** A project that a sweep does not skip. */
export interface DueProject {
  readonly project: Project;
  readonly decision: Exclude<ScanDecision, 'skip'>;
}

/** GitLab notes activity in a project once an hour (app/models/event.rb). Five minutes more allow for clocks that differ. */
const ACTIVITY_DELAY_MS = 65 * 60_000;
/** Even a quiet project is scanned once a day. Sweeps are minutes apart, so the limit is a little under 24 hours. */
const MAX_SCAN_INTERVAL_MS = 22 * 60 * 60_000;

/** The projects that a sweep at the time `now` (milliseconds since 1970) does not skip, in the order in which it scans them. */
export function dueProjects(projects: readonly Project[], state: SweepState, now: number): DueProject[] {
  const due: DueProject[] = [];
  for (const project of projects) {
    const decision = decide(project, state.projects.get(project.id), now);
    if (decision !== 'skip') due.push({ project, decision });
  }
  // Projects that failed last time come last: each call that fails is repeated, and other projects should not wait for
  // these repetitions.
  due.sort((a, b) => Number(hasFailed(state, a.project)) - Number(hasFailed(state, b.project)));
  return due;
}

/** Whether the tags of a project could not be read in the previous sweep. */
export function hasFailed({ projects }: SweepState, { id }: Project): boolean {
  return projects.get(id)?.failed === true;
}

/**
 * Whether every outcome that was missing at the last scan of a project is in the store now; then `state` says so too.
 * Makes no call to GitLab.
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
  // If the last scan is in the future, a clock was wrong. An archived project may have been unarchived for a moment
  // since.
  const mayHaveChanged =
    elapsedMs < 0 ||
    elapsedMs > MAX_SCAN_INTERVAL_MS ||
    (project.lastActivityAt?.getTime() ?? now) > last.lookedAt - ACTIVITY_DELAY_MS;
  if (mayHaveChanged) return 'scan';
  return last.missing.length > 0 ? 'scan if incomplete' : 'skip';
}
