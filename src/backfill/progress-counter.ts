import type { PublishResult } from '../publish/publisher.ts';
import { initialProgress, type BackfillProgress } from './backfill-progress.ts';

/** The maximum number of skip reasons that are counted separately. */
const MAX_REASONS = 30;
/** The maximum number of refused and failed tags that are listed individually. */
const MAX_LISTED_TAGS = 200;
/** The name under which all further reasons are counted together. */
const OTHER_REASONS = 'other reasons';

/** The result of a tag: the result of the publisher, or the reason why the tag could not be published. */
export type TagResult = PublishResult | { readonly failed: string };

/** Counts the projects and tags of a backfill, and computes its progress. */
export class ProgressCounter {
  readonly #progress: Writable<BackfillProgress>;
  readonly #skipCounts = new Map<string, number>();
  /** Number of projects whose tags were compared or could not be read. */
  #compared = 0;

  constructor(dryRun: boolean) {
    this.#progress = { ...initialProgress(dryRun), state: 'running' };
  }

  /** The progress so far. */
  get progress(): BackfillProgress {
    const skips = [...this.#skipCounts]
      .map(([reason, count]) => ({ reason, count }))
      .toSorted((a, b) => b.count - a.count);
    return {
      ...this.#progress,
      troubles: [...this.#progress.troubles],
      skips,
      fraction: this.#fraction,
      updatedAt: new Date().toISOString(),
    };
  }

  /**
   * The share of the work that is done, from 0 to 1. Assumes that the other projects have as many tags to process as
   * the compared ones, on average.
   */
  get #fraction(): number {
    const { projects, tags, dryRun } = this.#progress;
    if (this.#compared === 0) return 0;
    if (dryRun) return this.#compared / projects.found;
    return (this.#compared + tags.done) / (projects.found * (1 + tags.found / this.#compared));
  }

  /** Called while the projects are listed, with the number found so far. */
  projectsFound(count: number): void {
    this.#progress.projects = { found: count, done: 0 };
  }

  /**
   * Called after the tags of a project were compared, with the number of tags of each kind (see `BackfillProgress`).
   */
  projectCompared(counts: Readonly<Record<'known' | 'older' | 'versions' | 'others', number>>): void {
    const { known, older, versions, others } = counts;
    const progress = this.#progress;
    this.#compared++;
    progress.known += known;
    progress.older += older;
    progress.versions += versions;
    progress.others += others;
    progress.tags = { ...progress.tags, found: progress.tags.found + versions + others };
  }

  projectDone(): void {
    this.#progress.projects = { ...this.#progress.projects, done: this.#progress.projects.done + 1 };
  }

  /** Called if the tags of a project could not be compared. */
  projectFailed(project: string, reason: string): void {
    this.#compared++;
    this.#progress.failed++;
    this.#listTag('failed', project, '', reason);
  }

  /** Called with the result of each tag. */
  tagDone(project: string, tag: string, result: TagResult): void {
    const progress = this.#progress;
    progress.tags = { ...progress.tags, done: progress.tags.done + 1 };
    delete progress.waiting;
    if ('failed' in result) {
      progress.failed++;
      this.#listTag('failed', project, tag, result.failed);
    } else if ('dismissed' in result) progress.dismissed++;
    else {
      const { status, reason = '' } = result.outcome;
      progress[status]++;
      if (status === 'refused') this.#listTag('refused', project, tag, reason);
      if (status === 'skipped') this.#countSkip(generalReason(reason, tag));
    }
  }

  /** Called before each wait, with its reason and its length in milliseconds. */
  reportWait(reason: string, waitMs: number): void {
    this.#progress.waiting = `waiting ${Math.ceil(waitMs / 1000)} s: ${reason.replaceAll(/\s+/g, ' ')}`;
  }

  finish(): void {
    delete this.#progress.waiting;
    this.#progress.state = 'done';
  }

  #countSkip(reason: string): void {
    const counted = this.#skipCounts.has(reason) || this.#skipCounts.size < MAX_REASONS ? reason : OTHER_REASONS;
    this.#skipCounts.set(counted, (this.#skipCounts.get(counted) ?? 0) + 1);
  }

  #listTag(status: 'refused' | 'failed', project: string, tag: string, reason: string): void {
    if (this.#progress.troubles.length < MAX_LISTED_TAGS)
      this.#progress.troubles.push({ status, project, tag, reason });
  }
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/**
 * Replaces the tag and its directory in a reason with `…`, so that equal reasons of different tags are counted
 * together.
 */
function generalReason(reason: string, tag: string): string {
  const directory = tag.slice(0, Math.max(0, tag.lastIndexOf('/')));
  const general = reason.replaceAll(tag, '…');
  return directory === '' ? general : general.replaceAll(directory, '…');
}
