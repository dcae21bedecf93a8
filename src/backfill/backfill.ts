import pLimit, { type LimitFunction } from 'p-limit';
import { messageOf, Retry } from '../errors.ts';
import type { Project } from '../gitlab/schema.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import { below } from '../module/elements.ts';
import { CommandRetryPolicy } from '../async/command-retry-policy.ts';
import { retry } from '../async/retry.ts';
import type { Published } from '../publish/publisher.ts';
import { listedTag, type TagJob } from '../queue/tag-job.ts';
import type { Ownership } from '../resolve/ownership.ts';
import type { ReadStore } from '../store/store.ts';
import { StoreUnavailable } from '../store/store.ts';
import { compareTags, type MissingTag } from '../sweep/compare-tags.ts';
import { findTargets, isOpen, projectsOf, type Target } from '../gitlab/targets.ts';
import type { BackfillProgress } from './backfill-progress.ts';
import type { BackfillRequest } from './backfill-request.ts';
import { Tally, type TagResult } from './tally.ts';

/** Where the targets of a backfill are looked for. */
export interface TargetParts {
  readonly gitlab: GitLabClient;
  /** Its scope is what an empty list of targets means. */
  readonly ownership: Ownership;
}

/** What a backfill works with. */
export interface BackfillParts extends TargetParts {
  readonly store: ReadStore;
  /** Publishes a tag and says what became of it; rejects when it has to be done again (Publisher.publish). */
  readonly publish: (job: TagJob) => Promise<Published>;
}

/** The targets of a backfill are not what they should be: none of it was begun. */
export class UnknownTargets extends Error {
  override readonly name = 'UnknownTargets';
}

/** Projects worked on side by side, and tags of all of them together. */
const PROJECTS = 4;
const TAGS = 8;

/** Finds out what a request names. Throws UnknownTargets; Retry where GitLab cannot be asked. */
export async function findBackfillTargets(
  { gitlab, ownership }: TargetParts,
  request: BackfillRequest,
): Promise<readonly Target[]> {
  const { targets, unknown } = await findTargets(
    gitlab,
    request.targets.length === 0 ? ownership.scope : request.targets,
  );
  if (unknown.length > 0)
    throw new UnknownTargets(`GitLab has no group or project ${unknown.join(', ')} that GITLAB_TOKEN may see`);
  // Of a group that lies around GITLAB_SCOPE, what is in it is meant.
  const isAround = (group: string): boolean =>
    ownership.scope.some((path) => below(path.toLowerCase(), group.toLowerCase()) !== undefined);
  const outside = targets.flatMap((target) =>
    target.kind === 'membership' ||
    ownership.isInScope(target.path) ||
    (target.kind === 'group' && isAround(target.path))
      ? []
      : [target.path],
  );
  if (outside.length > 0) throw new UnknownTargets(`not in GITLAB_SCOPE: ${outside.join(', ')}`);
  return targets;
}

/**
 * Publishes every tag that has no outcome yet, the newest of each project first, several projects side by side. What has an
 * outcome costs no call, so that one that was cut off goes on where it was. Resolves to the last progress; early, with what
 * was done, once `signal` is aborted. Rejects with UnknownTargets, or Retry where the projects cannot be listed.
 */
export async function backfill(
  parts: BackfillParts,
  request: BackfillRequest,
  onProgress: (progress: BackfillProgress) => void,
  signal: AbortSignal,
): Promise<BackfillProgress> {
  const tally = new Tally(request.dryRun);
  const run = new Run(parts, request, tally, () => onProgress(tally.progress), signal);
  await run.all();
  if (!signal.aborted) tally.finish();
  return tally.progress;
}

class Run {
  readonly #parts: BackfillParts;
  readonly #request: BackfillRequest;
  readonly #tally: Tally;
  readonly #tell: () => void;
  readonly #signal: AbortSignal;
  readonly #retryPolicy = new CommandRetryPolicy(
    (error) => error instanceof Retry || error instanceof StoreUnavailable,
  );
  readonly #limit: LimitFunction = pLimit(TAGS);

  constructor(parts: BackfillParts, request: BackfillRequest, tally: Tally, tell: () => void, signal: AbortSignal) {
    this.#parts = parts;
    this.#request = request;
    this.#tally = tally;
    this.#tell = tell;
    this.#signal = signal;
  }

  async all(): Promise<void> {
    const targets = await findBackfillTargets(this.#parts, this.#request);
    const projects: Project[] = [];
    for await (const project of projectsOf(this.#parts.gitlab, targets)) {
      if (this.#signal.aborted) return;
      if (isOpen(project) && this.#parts.ownership.isInScope(project.path)) projects.push(project);
      this.#tally.projectsFound(projects.length);
      this.#tell();
    }
    const sideBySide = pLimit(PROJECTS);
    await Promise.all(projects.map((project) => sideBySide(() => this.#project(project))));
  }

  async #project(project: Project): Promise<void> {
    if (this.#signal.aborted) return;
    const at = new Date();
    const compared = await this.#withRetry(() => compareTags(this.#parts, project.id));
    if (this.#signal.aborted) return;
    if ('failed' in compared) this.#tally.projectFailed(project.path, compared.failed);
    else {
      const { count, missing } = compared;
      const wanted = missing.filter((tag) => isSince(tag, this.#request.since));
      const versions = wanted.filter(({ isVersion }) => isVersion).length;
      this.#tally.compared({
        known: count - missing.length,
        older: missing.length - wanted.length,
        versions,
        others: wanted.length - versions,
      });
      if (!this.#request.dryRun) await this.#tags(project, wanted, at);
    }
    // One that was cut off is not done.
    if (this.#signal.aborted) return;
    this.#tally.projectDone();
    this.#tell();
  }

  async #tags(project: Project, tags: readonly MissingTag[], at: Date): Promise<void> {
    await Promise.all(
      tags.map((tag) =>
        this.#limit(async () => {
          if (this.#signal.aborted) return;
          const result: TagResult = await this.#withRetry(() => this.#parts.publish(listedTag(project, tag, at)));
          if (this.#signal.aborted && 'failed' in result) return;
          this.#tally.tagDone(project.path, tag.name, result);
          this.#tell();
        }),
      ),
    );
  }

  /** Waits for what should work later, for a bounded time; a failure that stays is the result. */
  async #withRetry<T extends object>(work: () => Promise<T>): Promise<T | { readonly failed: string }> {
    try {
      return await retry(work, this.#retryPolicy, {
        signal: this.#signal,
        onWait: (error, waitMs) => {
          this.#tally.waits(messageOf(error), waitMs);
          this.#tell();
        },
      });
    } catch (error) {
      return { failed: messageOf(error) };
    }
  }
}

/** Lightweight tags have no time of their own, so that of the commit counts. */
function isSince({ createdAt, committedAt }: MissingTag, since: string | undefined): boolean {
  return since === undefined || (createdAt ?? committedAt) >= new Date(since);
}
