import type { Logger } from 'pino';
import type { GitLabClient } from '../gitlab/client.ts';
import type { Project } from '../gitlab/schema.ts';
import type { JobSink } from '../queue/queue.ts';
import { outcomeKey } from '../store/layout.ts';
import type { Store } from '../store/store.ts';
import { compareTags, type MissingTag } from './compare-tags.ts';
import { markDeletedTags } from './deleted-tags.ts';
import { jobOf } from './listed-tag-job.ts';
import type { ProjectState, SweepState } from './sweep-state.ts';

/** The dependencies of a scan. */
export interface ScanParts {
  readonly gitlab: GitLabClient;
  readonly store: Store;
  readonly queue: JobSink;
  readonly log: Logger;
  /** Called with the full path of a project whose tags were deleted or restored. */
  readonly onChanged?: (projectPath: string) => Promise<void>;
  /** Resolves once the queue has room for one more tag. If absent, the scan queues tags without waiting. */
  readonly roomInQueue?: (signal: AbortSignal) => Promise<void>;
}

/** The result of a scan of one project. All numbers count tags. */
export interface ScanResult {
  /** Tags in GitLab. */
  readonly tags: number;
  /** Tags without an outcome that the scan added to the queue. */
  readonly queued: number;
  /** Queued tags for which a webhook should have arrived. */
  readonly recovered: number;
}

/** If a project lacks more outcomes than this, their keys are not stored in the state. */
const MAX_REMEMBERED_KEYS = 1_000;
/** The number of sweeps that queue all tags of a moved project again, after the sweep that detected the move. */
const MOVED_REPEATS = 2;

/**
 * Compares the tags of a project with the outcomes, queues the tags without an outcome, and records the result in
 * `state`. Once `signal` is aborted, stops early and does not change `state`. Rejects with Retry if GitLab cannot be
 * read, and with StoreUnavailable.
 */
export async function scanProject(
  parts: ScanParts,
  state: SweepState,
  project: Project,
  signal: AbortSignal,
): Promise<ScanResult> {
  const { log } = parts;
  const { id, path, archived } = project;
  const last = state.projects.get(id);
  const lookedAt = Date.now();
  const hasMoved = last !== undefined && last.path !== path;
  if (hasMoved) {
    log.warn(
      { event: 'project.moved', projectId: id, from: last.path, to: path },
      'a project has moved; its published versions stay in service, and its tags are also published under the new path',
    );
  }
  // The store does not show whether the tags were published under the new path. Later sweeps queue the tags again, in
  // case the queue was lost.
  const repeats = hasMoved ? MOVED_REPEATS : (last?.repeats ?? 0) - 1;
  if (repeats >= 0) await queueAllTags(parts, project, signal);
  const { tags, queued, missing } = await queueMissingTags(parts, project, signal);
  if (signal.aborted) return { tags, queued, recovered: 0 };
  const keys = missing.map(({ name, commit }) => outcomeKey(id, name, commit));
  const remembered = keys.length > MAX_REMEMBERED_KEYS ? undefined : keys;
  state.projects.set(id, { path, lookedAt, archived, missing: remembered, ...(repeats > 0 && { repeats }) });
  const recovered = Math.min(queued, countUnannounced(keys, last, project, state));
  if (recovered > 0) {
    log.warn(
      { event: 'webhook.missed', projectId: id, project: path, recovered },
      'found tags for which no webhook arrived; the webhook of this project is probably broken: run modpress hooks check ' +
        '(GitLab sends no tag events for a push of more than three tags)',
    );
  }
  return { tags, queued, recovered };
}

/**
 * Queues all tags of a project that have no outcome, and marks the tags that were deleted. Resolves to the number of
 * tags in GitLab, the number of new jobs, and the tags without an outcome. Rejects as `scanProject` does.
 */
export async function queueMissingTags(
  parts: ScanParts,
  project: { readonly id: number; readonly path?: string },
  signal: AbortSignal,
): Promise<{ readonly tags: number; readonly queued: number; readonly missing: readonly MissingTag[] }> {
  const readAt = new Date();
  const compared = await compareTags(parts, project.id);
  let queued = 0;
  for (const tag of compared.missing) {
    if (signal.aborted) break;
    await parts.roomInQueue?.(signal);
    if ((await parts.queue.add(jobOf(project, tag, readAt))) === 'queued') queued++;
  }
  await markDeletedTags(parts, project.id, compared);
  if (project.path !== undefined && compared.deleted.length + compared.restored.length > 0)
    await parts.onChanged?.(project.path);
  return { tags: compared.count, queued, missing: compared.missing };
}

/**
 * Counts the tags without an outcome for which a webhook should have arrived. Tags that were pushed before modpress
 * watched the project do not count. Tags that an earlier sweep queued do not count either: the queue may have lost
 * them, or publishing them may still fail.
 */
function countUnannounced(
  missing: readonly string[],
  last: ProjectState | undefined,
  { createdAt }: Project,
  { sweptAt }: SweepState,
): number {
  if (!last) {
    const isNew = sweptAt !== undefined && createdAt !== undefined && createdAt.getTime() > sweptAt;
    return isNew ? missing.length : 0;
  }
  if (last.gone || !last.missing) return 0;
  const missingBefore = new Set(last.missing);
  return missing.filter((key) => !missingBefore.has(key)).length;
}

/**
 * Queues all tags of a moved project, with or without an outcome. The publisher determines which of them are modules
 * under the new path.
 */
async function queueAllTags(
  { gitlab, queue, roomInQueue }: ScanParts,
  project: Project,
  signal: AbortSignal,
): Promise<void> {
  const readAt = new Date();
  for await (const { name, commit, committedAt } of gitlab.tags(project.id)) {
    if (signal.aborted) return;
    await roomInQueue?.(signal);
    if (commit) await queue.add(jobOf(project, { name, commit, committedAt, sharesCommit: false }, readAt));
  }
}
