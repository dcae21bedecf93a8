import { LRUCache } from 'lru-cache';
import { Turns } from '../async/turns.ts';
import type { AddResult, Handler, Queue, QueueCounts } from './queue.ts';
import { idOf, subjectOf, type TagJob } from './tag-job.ts';
import { ProjectSlots } from './project-slots.ts';
import { handleFailures, type AfterFailure, type QueueOptions } from './job-failure.ts';

interface Entry {
  readonly id: string;
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
  /** The waiting jobs, by project and id. Pushed tags run before listed tags. */
  readonly #waiting = { pushed: new Turns<number, Entry>(), listed: new Turns<number, Entry>() };
  readonly #running = new Map<string, Promise<void>>();
  /** The project and tag of each running job. */
  readonly #busy = new Set<string>();
  readonly #slots = new ProjectSlots();
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
      const added = { id, job, failures: 0 };
      this.#entries.set(id, added);
      this.#wait(added);
    } else if (job.priority === 'pushed' && this.#waiting.listed.delete(job.projectId, id)) {
      // A listed tag that has now been pushed runs before the other listed tags.
      entry.job = { ...entry.job, priority: 'pushed' };
      this.#wait(entry);
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

  /** Starts waiting jobs up to the limit. Passes over a job while another job of its tag runs. */
  #start(): void {
    const handler = this.#handler;
    if (handler === undefined || this.#closing) return;
    const canRun = ({ job }: Entry): boolean =>
      this.#slots.hasFree(job.projectId, this.#concurrency) && !this.#busy.has(subjectOf(job));
    while (this.#running.size < this.#concurrency) {
      const entry = this.#waiting.pushed.take(canRun) ?? this.#waiting.listed.take(canRun);
      if (entry === undefined) return;
      this.#busy.add(subjectOf(entry.job));
      this.#slots.take(entry.job.projectId);
      this.#running.set(entry.id, this.#run(entry, handler));
    }
  }

  async #run(entry: Entry, handler: Handler): Promise<void> {
    try {
      // This wait lets `add` resolve first. It also makes a handler that throws behave like a handler that rejects.
      await Promise.resolve();
      await handler(entry.job);
      this.#entries.delete(entry.id);
    } catch (error) {
      entry.failures += 1;
      const delayMs = this.#afterFailure(entry.job, error, entry.failures);
      if (!this.#closing) entry.timer = setTimeout(() => this.#wait(entry), delayMs);
    } finally {
      this.#running.delete(entry.id);
      this.#busy.delete(subjectOf(entry.job));
      this.#slots.free(entry.job.projectId);
      this.#start();
    }
  }

  #wait(entry: Entry): void {
    this.#waiting[entry.job.priority].add(entry.job.projectId, entry.id, entry);
    this.#start();
  }
}
