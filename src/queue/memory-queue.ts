import { LRUCache } from 'lru-cache';
import type { Added, Handler, Queue, QueueCounts } from './queue.ts';
import { idOf, subjectOf, type TagJob } from './tag-job.ts';
import { failureRule, type QueueOptions } from './job-failure.ts';

interface Entry {
  job: TagJob;
  failures: number;
  timer?: NodeJS.Timeout;
}

/** How long a delivery counts as seen, in milliseconds. */
const DELIVERY_MEMORY_MS = 3_600_000;

/**
 * The queue inside one process. It is safe from failing handlers, and from nothing else: what waits when the
 * process ends is gone, and the sweep finds it again.
 */
export class MemoryQueue implements Queue {
  /** Every job that waits, is delayed or runs, by id: what a new one folds into. */
  readonly #entries = new Map<string, Entry>();
  /** Ids in the order in which they are to run: those of pushed tags, and behind them those of listed ones. */
  readonly #waiting = { pushed: new Set<string>(), listed: new Set<string>() };
  readonly #running = new Map<string, Promise<void>>();
  /** The project and tag of each running job. */
  readonly #busy = new Set<string>();
  readonly #deliveries = new LRUCache<string, true>({ max: 100_000, ttl: DELIVERY_MEMORY_MS });
  readonly #failed: ReturnType<typeof failureRule>;
  #concurrency = 0;
  #handler: Handler | undefined;
  #closing = false;

  constructor(options: QueueOptions) {
    this.#failed = failureRule(options);
  }

  async add(job: TagJob, delivery?: string): Promise<Added> {
    await this.check();
    if (delivery !== undefined && this.#deliveries.has(delivery)) return 'folded';
    const id = idOf(job);
    const entry = this.#entries.get(id);
    if (!entry) {
      this.#entries.set(id, { job, failures: 0 });
      this.#wait(id, job);
    } else if (job.priority === 'pushed' && this.#waiting.listed.delete(id)) {
      // Pushed after it was listed: it comes before the others that were.
      entry.job = { ...entry.job, priority: 'pushed' };
      this.#wait(id, entry.job);
    }
    if (delivery !== undefined) this.#deliveries.set(delivery, true);
    return entry ? 'folded' : 'queued';
  }

  process(concurrency: number, handler: Handler): void {
    this.#concurrency = concurrency;
    this.#handler = handler;
    this.#start();
  }

  async counts(): Promise<QueueCounts> {
    const waiting = this.#waiting.pushed.size + this.#waiting.listed.size;
    const active = this.#running.size;
    return { waiting, active, delayed: this.#entries.size - waiting - active };
  }

  async check(): Promise<void> {
    if (this.#closing) throw new Error('the queue is closed');
  }

  async close(): Promise<void> {
    this.#closing = true;
    for (const entry of this.#entries.values()) clearTimeout(entry.timer);
    await Promise.all(this.#running.values());
  }

  /** Starts as many waiting jobs as there is room for, pushed ones and oldest first, passing over those whose tag is being worked on. */
  #start(): void {
    const handler = this.#handler;
    if (handler === undefined || this.#closing) return;
    for (const waiting of [this.#waiting.pushed, this.#waiting.listed]) {
      for (const id of waiting) {
        if (this.#running.size >= this.#concurrency) return;
        const entry = this.#entries.get(id);
        if (entry === undefined || this.#busy.has(subjectOf(entry.job))) continue;
        waiting.delete(id);
        this.#busy.add(subjectOf(entry.job));
        this.#running.set(id, this.#run(id, entry, handler));
      }
    }
  }

  async #run(id: string, entry: Entry, handler: Handler): Promise<void> {
    try {
      // Lets add() answer first, and turns a handler that throws at once into one that rejects.
      await Promise.resolve();
      await handler(entry.job);
      this.#entries.delete(id);
    } catch (error) {
      entry.failures += 1;
      const delayMs = this.#failed(entry.job, error, entry.failures);
      if (!this.#closing) entry.timer = setTimeout(() => this.#wait(id, entry.job), delayMs);
    } finally {
      this.#running.delete(id);
      this.#busy.delete(subjectOf(entry.job));
      this.#start();
    }
  }

  #wait(id: string, job: TagJob): void {
    this.#waiting[job.priority].add(id);
    this.#start();
  }
}
