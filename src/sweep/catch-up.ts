import { LRUCache } from 'lru-cache';
import { messageOf } from '../errors.ts';
import { sweepProject, type SweepParts } from './sweep.ts';

/** What a project's tags are compared with, and where the missing ones go. */
export type CatchUpParts = Pick<SweepParts, 'gitlab' | 'store' | 'queue' | 'log'>;

/** A project is not looked at again for so long, in milliseconds: its tags are in the queue by then. */
const AGAIN_MS = 60_000;

/**
 * Queues what is missing of single projects: those of which somebody asked for a tag that should have been published long
 * ago. Where one tag was missed, others were, and a list with half of the versions in it would hide the newest.
 */
export class CatchUp {
  readonly #parts: CatchUpParts;
  readonly #recent = new LRUCache<number, true>({ max: 10_000, ttl: AGAIN_MS });
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(parts: CatchUpParts) {
    this.#parts = parts;
  }

  /** Starts on a project, unless that was done within the last minute. */
  add(projectId: number): void {
    if (this.#closing.signal.aborted || this.#recent.has(projectId)) return;
    this.#recent.set(projectId, true);
    const run = this.#run(projectId).finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  /** Stops, and waits for what runs. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#running);
  }

  async #run(projectId: number): Promise<void> {
    const { log } = this.#parts;
    try {
      const { queued } = await sweepProject(this.#parts, { id: projectId }, this.#closing.signal);
      if (queued > 0)
        log.warn(
          { projectId, queued },
          'tags were asked for before any webhook told of them: check the webhook of this project',
        );
    } catch (error) {
      this.#recent.delete(projectId);
      log.warn(
        { projectId, reason: messageOf(error) },
        'the tags of a project could not be compared with the store; the next sweep does it',
      );
    }
  }
}
