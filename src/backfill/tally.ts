import type { PublishResult } from '../publish/publisher.ts';
import { notBegun, type BackfillProgress } from './backfill-progress.ts';

/** So many kinds of reasons are told apart, and so many tags are told of. */
const KINDS = 30;
const TOLD = 200;
const OTHER = 'other reasons';

/** What became of a tag: what the publisher says, or that it could not be done. */
export type TagResult = PublishResult | { readonly failed: string };

/** Counts what a backfill does. */
export class Tally {
  readonly #progress: Writable<BackfillProgress>;
  readonly #skips = new Map<string, number>();
  /** Projects whose tags were compared, or could not be. */
  #compared = 0;

  constructor(dryRun: boolean) {
    this.#progress = { ...notBegun(dryRun), state: 'running' };
  }

  /** How far it has come by now. */
  get progress(): BackfillProgress {
    const skips = [...this.#skips].map(([reason, count]) => ({ reason, count })).toSorted((a, b) => b.count - a.count);
    return {
      ...this.#progress,
      troubles: [...this.#progress.troubles],
      skips,
      fraction: this.#fraction,
      updatedAt: new Date().toISOString(),
    };
  }

  /** What was looked at of projects, and done of tags. Projects not looked at yet are taken to have as many tags to do as those that were. */
  get #fraction(): number {
    const { projects, tags, dryRun } = this.#progress;
    if (this.#compared === 0) return 0;
    if (dryRun) return this.#compared / projects.found;
    return (this.#compared + tags.done) / (projects.found * (1 + tags.found / this.#compared));
  }

  projectsFound(count: number): void {
    this.#progress.projects = { found: count, done: 0 };
  }

  /** A project's tags were compared: so many have an outcome, so many are older than asked for, so many are left to do. */
  compared(counts: {
    readonly known: number;
    readonly older: number;
    readonly versions: number;
    readonly others: number;
  }): void {
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

  /** A project could not be looked at at all. */
  projectFailed(project: string, reason: string): void {
    this.#compared++;
    this.#progress.failed++;
    this.#trouble('failed', project, '', reason);
  }

  tagDone(project: string, tag: string, result: TagResult): void {
    const progress = this.#progress;
    progress.tags = { ...progress.tags, done: progress.tags.done + 1 };
    delete progress.waiting;
    if ('failed' in result) {
      progress.failed++;
      this.#trouble('failed', project, tag, result.failed);
    } else if ('dismissed' in result) progress.dismissed++;
    else {
      const { status, reason = '' } = result.outcome;
      progress[status]++;
      if (status === 'refused') this.#trouble('refused', project, tag, reason);
      if (status === 'skipped') this.#skip(kindOf(reason, tag));
    }
  }

  waits(reason: string, ms: number): void {
    this.#progress.waiting = `waiting ${Math.ceil(ms / 1000)} s: ${reason.replaceAll(/\s+/g, ' ')}`;
  }

  finish(): void {
    delete this.#progress.waiting;
    this.#progress.state = 'done';
  }

  #skip(kind: string): void {
    const reason = this.#skips.has(kind) || this.#skips.size < KINDS ? kind : OTHER;
    this.#skips.set(reason, (this.#skips.get(reason) ?? 0) + 1);
  }

  #trouble(status: 'refused' | 'failed', project: string, tag: string, reason: string): void {
    if (this.#progress.troubles.length < TOLD) this.#progress.troubles.push({ status, project, tag, reason });
  }
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** A reason without the name of the tag in it, so that equal ones can be counted. */
function kindOf(reason: string, tag: string): string {
  const directory = tag.slice(0, Math.max(0, tag.lastIndexOf('/')));
  const general = reason.replaceAll(tag, '…');
  return directory === '' ? general : general.replaceAll(directory, '…');
}
