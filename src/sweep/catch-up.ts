import { LRUCache } from 'lru-cache';
import { messageOf } from '../errors.ts';
import { queueMissingTags, type ScanParts } from './scan-project.ts';

/** What a catch-up needs. */
export type CatchUpParts = Pick<ScanParts, 'gitlab' | 'store' | 'queue' | 'log'>;

/** A project is scanned at most once in this time: by then its missing tags are in the queue. */
const RESCAN_MS = 60_000;

/**
 * Queues all missing tags of a project after somebody requested one of them. If the webhook missed one tag, it missed
 * others, and a version list with only some of them would hide the newest.
 */
export class CatchUp {
  readonly #parts: CatchUpParts;
  readonly #recent = new LRUCache<number, true>({ max: 10_000, ttl: RESCAN_MS });
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(parts: CatchUpParts) {
    this.#parts = parts;
  }

  /** Starts to scan a project, unless it was scanned within the last minute. Failures are logged. */
  add(projectId: number): void {
    if (this.#closing.signal.aborted || this.#recent.has(projectId)) return;
    this.#recent.set(projectId, true);
    const run = this.#run(projectId).finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  /** Aborts all scans and waits for them to end. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#running);
  }

  async #run(projectId: number): Promise<void> {
    const { log } = this.#parts;
    try {
      const { queued } = await queueMissingTags(this.#parts, { id: projectId }, this.#closing.signal);
      if (queued > 0)
        log.warn(
          { event: 'webhook.missed', projectId, queued },
          'tags were requested that no webhook had announced: check the webhook of this project',
        );
    } catch (error) {
      this.#recent.delete(projectId);
      log.warn(
        { event: 'catch-up.failed', projectId, reason: messageOf(error) },
        'could not compare the tags of a project with the store; the next sweep does it',
      );
    }
  }
}
