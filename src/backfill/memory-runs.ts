import { LRUCache } from 'lru-cache';
import pLimit from 'p-limit';
import { failedProgress, isOver } from './backfill-progress.ts';
import type { BackfillRequest } from './backfill-request.ts';
import {
  isSameRequest,
  RETENTION_MS,
  newRun,
  MAX_CONCURRENT_RUNS,
  type BackfillRun,
  type BackfillRuns,
  type BackfillWork,
} from './runs.ts';

/** Keeps backfill runs in the memory of the process. The runs are lost when the process ends. */
export class MemoryRuns implements BackfillRuns {
  readonly #runs = new LRUCache<string, BackfillRun>({ max: 1_000, ttl: RETENTION_MS });
  readonly #limit = pLimit(MAX_CONCURRENT_RUNS);
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #work: BackfillWork | undefined;

  async start(request: BackfillRequest): Promise<BackfillRun> {
    const same = [...this.#runs.values()].find((run) => !isOver(run.progress) && isSameRequest(run.request, request));
    if (same) return same;
    const work = this.#work;
    if (work === undefined || this.#closing.signal.aborted) throw new Error('this process does not run backfills');
    const run = newRun(request);
    this.#runs.set(run.id, run);
    const running = this.#limit(() => this.#run(run, work)).finally(() => this.#running.delete(running));
    this.#running.add(running);
    return run;
  }

  async find(id: string): Promise<BackfillRun | undefined> {
    return this.#runs.get(id);
  }

  process(work: BackfillWork): void {
    this.#work = work;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#running);
  }

  async #run(run: BackfillRun, work: BackfillWork): Promise<void> {
    if (this.#closing.signal.aborted) return;
    let current = run;
    const update = (progress: BackfillRun['progress']): void => {
      current = { ...current, progress };
      this.#runs.set(run.id, current);
    };
    try {
      update(await work(run.request, update, this.#closing.signal));
    } catch (error) {
      update(failedProgress(error, current.progress));
    }
  }
}
