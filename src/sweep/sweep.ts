import pLimit from 'p-limit';
import type { Logger } from 'pino';
import type { Project } from '../gitlab/schema.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import type { JobSink } from '../queue/queue.ts';
import { listedTag } from '../queue/tag-job.ts';
import type { Store } from '../store/store.ts';
import { markDeletedTags } from './deleted-tags.ts';
import { Failures } from './failures.ts';
import { outcomeKey } from '../store/layout.ts';
import { areThere, compareTags, type MissingTag } from './compare-tags.ts';
import { isOpen, projectsInScope } from '../gitlab/targets.ts';
import { readSweepState, writeSweepState, type SeenProject, type SweepState } from './sweep-state.ts';
import { noteVanished } from './vanished-projects.ts';

/** What a sweep compares, and where it puts what is missing. */
export interface SweepParts {
  readonly gitlab: GitLabClient;
  readonly store: Store;
  readonly queue: JobSink;
  readonly log: Logger;
  /** Groups and projects; empty for all that the token is a member of. */
  readonly scope: readonly string[];
  /** Resolves once the queue is short enough to take more. */
  readonly roomInQueue?: (signal: AbortSignal) => Promise<void>;
  /** Told from time to time that the sweep goes on. */
  readonly onProgress?: () => Promise<void>;
}

/** What a sweep saw and did. */
export interface SweepResult {
  /** All projects in scope, and those of which the tags were read. */
  readonly projects: number;
  readonly looked: number;
  readonly tags: number;
  /** Tags that had no outcome and are now in the queue. */
  readonly queued: number;
  /** Those among them of which a webhook should have told. */
  readonly recovered: number;
}

/** Projects compared side by side. */
const SIDE_BY_SIDE = 4;
/** How often what was seen so far is stored, in projects. */
const SAVE_EVERY = 500;
/** More missing tags of a project than this are not remembered one by one. */
const REMEMBERED = 1_000;
/** So many further sweeps queue the tags of a moved project. */
const MOVED_REPEATS = 2;
/** GitLab notes activity in a project once an hour (app/models/event.rb); five minutes for clocks that differ. In milliseconds. */
const ACTIVITY_MS = 65 * 60_000;
/** Even the quietest project is looked at once a day; sweeps are minutes apart, so a bit earlier. In milliseconds. */
const LONGEST_MS = 22 * 60 * 60_000;

/**
 * Compares the tags in scope with the outcomes in the store and queues those that have none. This is what makes up for
 * webhooks that never came, and for a queue that was lost. A project's tags are read if something happened in it since the
 * last time, if that time something was missing, and once a day. Stops early, without error, once `signal` is aborted;
 * rejects with Retry when GitLab cannot be read.
 */
export async function sweep(parts: SweepParts, signal: AbortSignal): Promise<SweepResult> {
  const { gitlab, store, log, scope } = parts;
  const startedAt = Date.now();
  const state = await readSweepState(store);
  const complain = (path: string, now?: string): void =>
    now === undefined
      ? log.error({ scope: path }, 'GITLAB_SCOPE names neither a group nor a project that GITLAB_TOKEN may see')
      : log.error(
          { scope: path, now },
          'GITLAB_SCOPE names a project by a path that it has left: nothing of it is published until its new one is in there',
        );
  const projects: Project[] = [];
  for await (const project of projectsInScope(gitlab, scope, complain)) projects.push(project);

  const result = { projects: projects.length, looked: 0, tags: 0, queued: 0, recovered: 0 };
  const due = projects
    .map((project) => ({ project, when: isDue(project, state.projects.get(project.id), startedAt) }))
    .filter(({ when }) => when !== 'no');
  for (const { id } of projects.filter((project) => !isOpen(project))) {
    const seen = state.projects.get(id);
    // They are looked at as soon as they are open again.
    if (seen) state.projects.set(id, { ...seen, missing: undefined });
  }
  // What failed the last time comes last: what fails is tried several times, and no other waits for that.
  due.sort((one, other) => Number(hasFailed(state, one.project)) - Number(hasFailed(state, other.project)));
  const failures = new Failures(log);
  const sideBySide = pLimit(SIDE_BY_SIDE);
  // Whatever fails is counted: a rejection would leave the others running behind the back of the next sweep.
  const looks = due.map(({ project, when }) =>
    sideBySide(async () => {
      if (signal.aborted || failures.areTooMany) return;
      const succeeded = await failures.count(project, hasFailed(state, project), async () => {
        if (when === 'if incomplete' && (await isComplete(parts, state, project))) return;
        const { tags, queued, recovered } = await look(parts, state, project, signal);
        result.looked++;
        result.tags += tags;
        result.queued += queued;
        result.recovered += recovered;
        if (result.looked % SAVE_EVERY !== 0) return;
        await writeSweepState(store, state);
        await parts.onProgress?.();
      });
      const { id, path, archived } = project;
      // All else stays as it was seen, so that a move is noticed once it can be read.
      if (!succeeded) state.projects.set(id, { path, archived, lookedAt: 0, ...state.projects.get(id), failed: true });
    }),
  );
  await Promise.all(looks);
  if (signal.aborted) return result;
  if (failures.areAll) {
    // What was seen before an outage need not be looked at again after it.
    await writeSweepState(store, state);
    failures.throwLast();
  }
  await noteVanished(parts, state, new Set(projects.map(({ id }) => id)));
  await writeSweepState(store, { ...state, sweptAt: startedAt });
  return result;
}

/** Queues the missing tags of one project, whatever the last sweep saw. */
export async function sweepProject(
  parts: Pick<SweepParts, 'gitlab' | 'store' | 'queue' | 'log' | 'roomInQueue'>,
  project: { readonly id: number; readonly path?: string },
  signal: AbortSignal,
): Promise<{ readonly tags: number; readonly queued: number; readonly missing: readonly MissingTag[] }> {
  const at = new Date();
  const compared = await compareTags(parts, project.id);
  let queued = 0;
  for (const tag of compared.missing) {
    if (signal.aborted) break;
    await parts.roomInQueue?.(signal);
    if ((await parts.queue.add(listedTag(project, tag, at))) === 'queued') queued++;
  }
  await markDeletedTags(parts, project.id, compared);
  return { tags: compared.count, queued, missing: compared.missing };
}

/** Whether a project is to be looked at, whatever the outcomes say, or only if some are still missing. */
function isDue(project: Project, seen: SeenProject | undefined, now: number): 'yes' | 'if incomplete' | 'no' {
  if (!isOpen(project)) return 'no';
  if (
    !seen?.missing ||
    seen.gone ||
    seen.failed ||
    seen.path !== project.path ||
    seen.archived !== project.archived ||
    seen.repeats
  )
    return 'yes';
  const agoMs = now - seen.lookedAt;
  // A time to come is from a clock that was wrong. An archived one may have been open for a moment since.
  const isActive =
    agoMs < 0 || agoMs > LONGEST_MS || (project.lastActivityAt?.getTime() ?? now) > seen.lookedAt - ACTIVITY_MS;
  if (isActive) return 'yes';
  return seen.missing.length > 0 ? 'if incomplete' : 'no';
}

function hasFailed({ projects }: SweepState, { id }: Project): boolean {
  return projects.get(id)?.failed === true;
}

/** Whether all that was missing the last time is there by now, in a project that is not due otherwise: that costs no call. */
async function isComplete({ store }: SweepParts, { projects }: SweepState, { id }: Project): Promise<boolean> {
  const seen = projects.get(id);
  if (!seen?.missing || !(await areThere(store, id, seen.missing))) return false;
  projects.set(id, { ...seen, missing: [] });
  return true;
}

async function look(
  parts: SweepParts,
  state: SweepState,
  project: Project,
  signal: AbortSignal,
): Promise<Omit<SweepResult, 'projects' | 'looked'>> {
  const { log } = parts;
  const { id, path, archived } = project;
  const seen = state.projects.get(id);
  const lookedAt = Date.now();
  const hasMoved = seen !== undefined && seen.path !== path;
  if (hasMoved) {
    log.warn(
      { projectId: id, from: seen.path, to: path },
      'a project has moved: what was published stays, and its tags are published under the new path as well',
    );
  }
  // Nothing in the store tells whether that is done: it is queued again, for the case that a queue was lost.
  const repeats = hasMoved ? MOVED_REPEATS : (seen?.repeats ?? 0) - 1;
  if (repeats >= 0) await queueAgain(parts, project, signal);
  const { tags, queued, missing } = await sweepProject(parts, project, signal);
  if (signal.aborted) return { tags, queued, recovered: 0 };
  const keys = missing.map(({ name, commit }) => outcomeKey(id, name, commit));
  const remembered = keys.length > REMEMBERED ? undefined : keys;
  state.projects.set(id, { path, lookedAt, archived, missing: remembered, ...(repeats > 0 && { repeats }) });
  const recovered = Math.min(queued, untold(state, project, seen, keys));
  if (recovered > 0) {
    const advice =
      'tags were found that no webhook had told of: the hook of this project is probably broken, which modpress hooks check tells (a push of more than three tags sends none)';
    log.warn({ projectId: id, project: path, recovered }, advice);
  }
  return { tags, queued, recovered };
}

/**
 * Of how many missing tags a webhook should have told: not of what was there before modpress, nor of what an earlier sweep had
 * queued, which a queue that was emptied has lost, or which still fails.
 */
function untold(
  state: SweepState,
  { createdAt }: Project,
  seen: SeenProject | undefined,
  missing: readonly string[],
): number {
  if (!seen)
    return state.sweptAt !== undefined && createdAt !== undefined && createdAt.getTime() > state.sweptAt
      ? missing.length
      : 0;
  if (seen.gone || !seen.missing) return 0;
  const before = new Set(seen.missing);
  return missing.filter((key) => !before.has(key)).length;
}

/** All tags of a project, outcome or not: the publisher knows which of them are modules under another path now. */
async function queueAgain(
  { gitlab, queue, roomInQueue }: SweepParts,
  project: Project,
  signal: AbortSignal,
): Promise<void> {
  const at = new Date();
  for await (const { name, commit, committedAt } of gitlab.tags(project.id)) {
    if (signal.aborted) return;
    await roomInQueue?.(signal);
    if (commit && committedAt)
      await queue.add(listedTag(project, { name, commit, committedAt, sharesCommit: false }, at));
  }
}
