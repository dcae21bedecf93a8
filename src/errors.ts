/**
 * The three ways in which publishing a tag can fail. The type decides whether the queue retries the job, which outcome is
 * recorded, and how the failure is logged. Any other error is a bug. The queue retries it like an outage, so that no tag is
 * lost.
 */

/**
 * There is nothing to publish: the tag is not a version, or there is no Go module. Final until the tag changes. It is
 * recorded, but nobody has to act.
 */
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
 * `afterMs` is the shortest wait before the next attempt, in milliseconds, if the server gave one. Without it, the queue's
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

/**
 * Returns the error to throw after a read broke off: a Refuse or a Retry stays, because it says what happens next. Any other
 * error becomes the cause of a Retry with this message.
 */
export function asRetry(error: unknown, message: string): Refuse | Retry {
  return error instanceof Refuse || error instanceof Retry ? error : new Retry(message, { cause: error });
}

/** Returns the message of any thrown value, followed by the messages of its causes: fetch reports the real reason as a cause. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${messageOf(error.cause)}`;
}
