/**
 * The three ways in which publishing a tag can fail. The queue, the outcome and the log all decide by these types what
 * happens next. Any other error is a bug. It is retried like an outage, so that no tag is lost.
 */

/** The tag is not ours to publish: it is no version, or there is no Go module. Final until the tag changes. Recorded, but no reason for an alarm. */
export class Skip extends Error {
  override readonly name = 'Skip';
}

/** Publishing would be wrong: an illegal module, a moved tag. Final: a person has to act on the reason. */
export class Refuse extends Error {
  override readonly name = 'Refuse';
}

/**
 * A failure that should pass: an outage, a rate limit, a truncated archive.
 *
 * `afterMs` is the shortest wait before the next attempt, in milliseconds, if the other side named one. Without it, the
 * queue's own backoff decides.
 */
export class Retry extends Error {
  override readonly name = 'Retry';
  readonly afterMs: number | undefined;

  constructor(message: string, options: { afterMs?: number; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.afterMs = options.afterMs;
  }
}

/** The message of any thrown value, followed by the messages of its causes: fetch puts the real reason there. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${messageOf(error.cause)}`;
}
