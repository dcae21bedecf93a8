import { LRUCache } from 'lru-cache';
import { messageOf } from '../errors.ts';
import { queueMissingTags, type ScanParts } from './scan-project.ts';

/** The dependencies of `CatchUp`. */
export type CatchUpParts = Pick<ScanParts, 'gitlab' | 'store' | 'queue' | 'log'>;

/** The minimum time between two scans of a project. A scan queues all missing tags of the project. */
const RESCAN_MS = 60_000;

/**
 * Queues all missing tags of a project after a client requested one of them. If no webhook arrived for one tag, other
 * tags are probably missing too. A version list with only some of them could lack the newest version.
 */
export class CatchUp {
  readonly #parts: CatchUpParts;
  readonly #recent = new LRUCache<number, true>({ max: 10_000, ttl: RESCAN_MS });
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(parts: CatchUpParts) {
    this.#parts = parts;
  }

  /**
   * Starts a scan of a project in the background, unless a scan of this project started within the last minute. Logs
   * failures.
   */
  add(projectId: number): void {
    if (this.#closing.signal.aborted || this.#recent.has(projectId)) return;
    this.#recent.set(projectId, true);
    const run = this.#run(projectId).finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  /** Aborts all scans and waits until they have ended. */
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
          'found tags for which no webhook arrived; check the webhook of this project',
        );
    } catch (error) {
      this.#recent.delete(projectId);
      log.warn(
        { event: 'catch-up.failed', projectId, reason: messageOf(error) },
        'could not compare the tags of a project with the store; the next sweep tries again',
      );
    }
  }
}
