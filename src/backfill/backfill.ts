import pLimit, { type LimitFunction } from 'p-limit';
import { messageOf, Retry } from '../errors.ts';
import type { Project } from '../gitlab/schema.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import { below } from '../module/path-elements.ts';
import { CommandRetryPolicy } from '../async/command-retry-policy.ts';
import { retry } from '../async/retry.ts';
import type { PublishResult } from '../publish/publisher.ts';
import type { TagJob } from '../queue/tag-job.ts';
import type { Ownership } from '../resolve/ownership.ts';
import type { ReadStore } from '../store/store.ts';
import { StoreUnavailable } from '../store/store.ts';
import { compareTags, type MissingTag } from '../sweep/compare-tags.ts';
import { jobOf } from '../sweep/listed-tag-job.ts';
import { checkGitLab, checkMembership } from '../gitlab/instance.ts';
import { findTargets, isOpen, projectsOf, type Target } from '../gitlab/targets.ts';
import type { BackfillProgress } from './backfill-progress.ts';
import type { BackfillRequest } from './backfill-request.ts';
import { ProgressCounter, type TagResult } from './progress-counter.ts';

/** The dependencies of `findBackfillTargets`. */
export interface TargetParts {
  readonly gitlab: GitLabClient;
  /** A request without targets uses the scope of `ownership`. */
  readonly ownership: Ownership;
}

/** The dependencies of a backfill. */
export interface BackfillParts extends TargetParts {
  readonly store: ReadStore;
  /** Publishes a tag and resolves to the result. Rejects if the caller has to try again (see Publisher.publish). */
  readonly publish: (job: TagJob) => Promise<PublishResult>;
}

/** A target of a backfill is unknown or out of scope. Nothing was published. The message names the targets. */
export class UnknownTargets extends Error {
  override readonly name = 'UnknownTargets';
}

/** The maximum number of projects whose tags are compared and published concurrently. */
const CONCURRENT_PROJECTS = 4;
/** The maximum number of tags published concurrently, over all projects. */
const CONCURRENT_TAGS = 8;

/**
 * Checks GITLAB_URL and GITLAB_TOKEN before a backfill of a command starts. A backfill that a service continues does
 * not check them: in an outage, a server in front of GitLab can look like a wrong URL, and the backfill must go on.
 * Rejects with WrongGitLabSettings, and with Retry if GitLab cannot be read.
 */
export async function checkBackfillSettings(gitlab: GitLabClient): Promise<void> {
  await checkGitLab(gitlab);
}

/**
 * Finds the groups and projects that a request names. Rejects with UnknownTargets, with WrongGitLabSettings, and with
 * Retry if GitLab cannot be read.
 */
export async function findBackfillTargets(
  { gitlab, ownership }: TargetParts,
  request: BackfillRequest,
): Promise<readonly Target[]> {
  const { targets, unknown } = await findTargets(
    gitlab,
    request.targets.length === 0 ? ownership.scope : request.targets,
  );
  if (targets.some(({ kind }) => kind === 'membership')) await checkMembership(gitlab);
  if (unknown.length > 0)
    throw new UnknownTargets(`GitLab has no group or project ${unknown.join(', ')} that GITLAB_TOKEN can see`);
  // A group may contain a part of GITLAB_SCOPE. The backfill then publishes only that part.
  const containsScope = (group: string): boolean =>
    ownership.scope.some((path) => below(path.toLowerCase(), group.toLowerCase()) !== undefined);
  const outside = targets.flatMap((target) =>
    target.kind === 'membership' ||
    ownership.isInScope(target.path) ||
    (target.kind === 'group' && containsScope(target.path))
      ? []
      : [target.path],
  );
  if (outside.length > 0) throw new UnknownTargets(`not in GITLAB_SCOPE: ${outside.join(', ')}`);
  return targets;
}

/**
 * Publishes every tag that has no outcome yet. Processes several projects concurrently, and the newest tags of each
 * project first. Tags with an outcome are not processed again, so a backfill continues where an interrupted one
 * stopped. Resolves to the last progress. Once `signal` is aborted, resolves early to the progress so far. Rejects with
 * UnknownTargets, and with Retry if the projects cannot be listed.
 */
export async function backfill(
  parts: BackfillParts,
  request: BackfillRequest,
  onProgress: (progress: BackfillProgress) => void,
  signal: AbortSignal,
): Promise<BackfillProgress> {
  const counter = new ProgressCounter(request.dryRun);
  await new Backfill(parts, request, counter, () => onProgress(counter.progress), signal).publishAll();
  if (!signal.aborted) counter.finish();
  return counter.progress;
}

/** A running backfill. */
class Backfill {
  readonly #parts: BackfillParts;
  readonly #request: BackfillRequest;
  readonly #counter: ProgressCounter;
  readonly #reportProgress: () => void;
  readonly #signal: AbortSignal;
  readonly #retryPolicy = new CommandRetryPolicy(
    (error) => error instanceof Retry || error instanceof StoreUnavailable,
  );
  readonly #tagLimit: LimitFunction = pLimit(CONCURRENT_TAGS);

  constructor(
    parts: BackfillParts,
    request: BackfillRequest,
    counter: ProgressCounter,
    reportProgress: () => void,
    signal: AbortSignal,
  ) {
    this.#parts = parts;
    this.#request = request;
    this.#counter = counter;
    this.#reportProgress = reportProgress;
    this.#signal = signal;
  }

  async publishAll(): Promise<void> {
    const projects = await this.#retry(() => this.#listProjects());
    if (this.#signal.aborted) return;
    await pLimit(CONCURRENT_PROJECTS).map(projects, (project) => this.#publishProject(project));
  }

  async #listProjects(): Promise<readonly Project[]> {
    const targets = await findBackfillTargets(this.#parts, this.#request);
    const projects: Project[] = [];
    const onUnreadable = (id: number | undefined, reason: string): void => {
      this.#counter.projectFailed(`project ${id ?? 'without an id'}`, reason);
    };
    for await (const project of projectsOf(this.#parts.gitlab, targets, onUnreadable)) {
      if (this.#signal.aborted) break;
      if (isOpen(project) && this.#parts.ownership.isInScope(project.path)) projects.push(project);
      this.#counter.projectsFound(projects.length);
      this.#reportProgress();
    }
    return projects;
  }

  async #publishProject(project: Project): Promise<void> {
    if (this.#signal.aborted) return;
    const readAt = new Date();
    const compared = await this.#withRetries(() => compareTags(this.#parts, project.id));
    if (this.#signal.aborted) return;
    if ('failed' in compared) this.#counter.projectFailed(project.path, compared.failed);
    else {
      const { count, missing } = compared;
      const selected = missing.filter((tag) => isSince(tag, this.#request.since));
      const versions = selected.filter(({ isVersion }) => isVersion).length;
      this.#counter.projectCompared({
        known: count - missing.length,
        older: missing.length - selected.length,
        versions,
        others: selected.length - versions,
      });
      if (!this.#request.dryRun) await this.#publishTags(project, selected, readAt);
    }
    // If the backfill was aborted, some tags of the project may not be published yet. The project is then not done.
    if (this.#signal.aborted) return;
    this.#counter.projectDone();
    this.#reportProgress();
  }

  async #publishTags(project: Project, tags: readonly MissingTag[], readAt: Date): Promise<void> {
    await this.#tagLimit.map(tags, async (tag) => {
      if (this.#signal.aborted) return;
      const result: TagResult = await this.#withRetries(() => this.#parts.publish(jobOf(project, tag, readAt)));
      if (this.#signal.aborted && 'failed' in result) return;
      this.#counter.tagDone(project.path, tag.name, result);
      this.#reportProgress();
    });
  }

  /**
   * Runs `work`, and retries temporary errors as the retry policy allows. Resolves to a `failed` result if `work` fails
   * in the end.
   */
  async #withRetries<T extends object>(work: () => Promise<T>): Promise<T | { readonly failed: string }> {
    try {
      return await this.#retry(work);
    } catch (error) {
      return { failed: messageOf(error) };
    }
  }

  /** Runs `work`, and retries temporary errors as the retry policy allows. Rejects with the last error. */
  async #retry<T>(work: () => Promise<T>): Promise<T> {
    return await retry(work, this.#retryPolicy, {
      signal: this.#signal,
      onWait: (error, waitMs) => {
        this.#counter.reportWait(messageOf(error), waitMs);
        this.#reportProgress();
      },
    });
  }
}

/**
 * Whether a tag was created at or after `since`. A lightweight tag has no creation time, so the time of its commit
 * counts.
 */
function isSince({ createdAt, committedAt }: MissingTag, since: string | undefined): boolean {
  const at = createdAt ?? committedAt;
  return since === undefined || at === undefined || at >= new Date(since);
}
