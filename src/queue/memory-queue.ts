import { LRUCache } from 'lru-cache';
import type { AddResult, Handler, Queue, QueueCounts } from './queue.ts';
import { idOf, subjectOf, type TagJob } from './tag-job.ts';
import { handleFailures, type AfterFailure, type QueueOptions } from './job-failure.ts';

interface Entry {
  job: TagJob;
  failures: number;
  timer?: NodeJS.Timeout;
}

/** How long the queue remembers a delivery, in milliseconds. */
const DELIVERY_MEMORY_MS = 3_600_000;
const MAX_DELIVERIES = 100_000;

/**
 * A queue within one process. Its jobs survive failing handlers, but not the end of the process. After a restart, the
 * next sweep queues their tags again.
 */
export class MemoryQueue implements Queue {
  /** All jobs that wait, are delayed or run, by id. A new job is folded into an existing job with the same id. */
  readonly #entries = new Map<string, Entry>();
  /** The ids of the waiting jobs in their order of execution. Pushed tags run before listed tags. */
  readonly #waiting = { pushed: new Set<string>(), listed: new Set<string>() };
  readonly #running = new Map<string, Promise<void>>();
  /** The project and tag of each running job. */
  readonly #busy = new Set<string>();
  readonly #deliveries = new LRUCache<string, true>({ max: MAX_DELIVERIES, ttl: DELIVERY_MEMORY_MS });
  readonly #afterFailure: AfterFailure;
  #concurrency = 0;
  #handler: Handler | undefined;
  #closing = false;

  constructor(options: QueueOptions) {
    this.#afterFailure = handleFailures(options);
  }

  async add(job: TagJob, delivery?: string): Promise<AddResult> {
    await this.check();
    if (delivery !== undefined && this.#deliveries.has(delivery)) return 'folded';
    const id = idOf(job);
    const entry = this.#entries.get(id);
    if (!entry) {
      this.#entries.set(id, { job, failures: 0 });
      this.#wait(id, job);
    } else if (job.priority === 'pushed' && this.#waiting.listed.delete(id)) {
      // A listed tag that has now been pushed runs before the other listed tags.
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

  /**
   * Starts waiting jobs up to the limit: pushed tags first, then listed tags, oldest first. Skips a job while another
   * job of its tag runs.
   */
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
      // This wait lets `add` resolve first. It also makes a handler that throws behave like a handler that rejects.
      await Promise.resolve();
      await handler(entry.job);
      this.#entries.delete(id);
    } catch (error) {
      entry.failures += 1;
      const delayMs = this.#afterFailure(entry.job, error, entry.failures);
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
