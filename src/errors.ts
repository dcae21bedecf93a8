/**
 * What a tag can fail with. Every failure of a publish is one of these three, so that the queue, the outcome
 * and the log agree on what happens next. Anything else thrown is a bug, and is retried like an outage so
 * that no tag is lost to it.
 */

/** Not ours to publish: no version tag, no Go module. Final until the tag changes; recorded, not alarming. */
export class Skip extends Error {
  override readonly name = 'Skip';
}

/** Publishing would be wrong: an illegal module, a moved tag. Final; a person has to act on the reason. */
export class Refuse extends Error {
  override readonly name = 'Refuse';
}

/**
 * It should work later: an outage, a rate limit, a truncated archive.
 *
 * `afterMs` is how long to wait at least, in milliseconds, when the other side said so; without it the queue's
 * own backoff decides.
 */
export class Retry extends Error {
  override readonly name = 'Retry';
  readonly afterMs: number | undefined;

  constructor(message: string, options: { afterMs?: number; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.afterMs = options.afterMs;
  }
}

/** The message of anything thrown, followed by those of its causes: fetch hides the real reason in there. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${messageOf(error.cause)}`;
}
