/**
 * The three ways in which publishing a tag can fail. The class of the error decides whether the queue retries the job,
 * which outcome is recorded, and how the failure is logged. Any other error is a bug. The queue retries the job in this
 * case too, so that no tag is lost.
 */

/**
 * There is nothing to publish: the tag is not a version, or there is no Go module in its directory. The outcome is
 * recorded, and is final until the tag moves. Nobody has to act.
 */
export class Skip extends Error {
  override readonly name = 'Skip';

  constructor(message: string) {
    super(shortened(message));
  }
}

/**
 * Publishing would be wrong, for example because the module is invalid or the tag was moved. The outcome is final, and
 * a person has to act.
 */
export class Refuse extends Error {
  override readonly name = 'Refuse';

  constructor(message: string) {
    super(shortened(message));
  }
}

/**
 * A temporary failure, for example an outage, a rate limit, or a truncated archive.
 *
 * `afterMs` is the minimum wait before the next attempt, in milliseconds, if the server specified one. Without it, the
 * backoff of the queue applies.
 */
export class Retry extends Error {
  override readonly name = 'Retry';
  readonly afterMs: number | undefined;

  constructor(message: string, options: { afterMs?: number; cause?: unknown } = {}) {
    super(shortened(message), 'cause' in options ? { cause: options.cause } : undefined);
    this.afterMs = options.afterMs;
  }
}

/** The maximum number of characters of a message. */
const MAX_MESSAGE_CHARACTERS = 2_000;

/**
 * Returns the first part of a text if the text is too long for a message. A message goes to the log, to the store and
 * to clients, and a name from a repository that it contains can have 16 MiB.
 */
export function shortened(text: string): string {
  return text.length <= MAX_MESSAGE_CHARACTERS ? text : `${text.slice(0, MAX_MESSAGE_CHARACTERS)}…`;
}

/** A Retry because modpress itself limits its work. Its message may be shown to developers. */
export class Postponed extends Retry {}

/**
 * Returns the error to throw after a read has failed. Returns a Refuse or a Retry unchanged, because its class already
 * decides what happens next. Any other error becomes the cause of a new Retry with this message.
 */
export function asRetry(error: unknown, message: string): Refuse | Retry {
  return error instanceof Refuse || error instanceof Retry ? error : new Retry(message, { cause: error });
}

/**
 * Returns the message of any thrown value, followed by the messages of its causes. For example, fetch reports the
 * actual reason as a cause.
 */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${messageOf(error.cause)}`;
}
