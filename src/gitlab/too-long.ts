import { Refuse } from '../errors.ts';
import { NoResponse } from './call-retry-policy.ts';
import { ErrorResponse } from './error-response.ts';

/**
 * A name or path from a repository can have any length, but a URL and the headers of a response cannot. Such a request
 * never succeeds, so its failure must not count as an outage, which is retried for ever.
 */

/** GitLab accepts no longer URL (REQUEST_URI in Puma). This and the following limit are in percent-encoded characters. */
const MAX_CHARACTERS = 12 * 2 ** 10;
/** If a text is shorter, it is not the reason why a server does not accept the URL. */
const MIN_CHARACTERS = 2_000;
/** The statuses of servers that do not accept a URL because of its length. Some of them respond with 400. */
const STATUSES: ReadonlySet<number> = new Set([400, 413, 414, 431]);

/**
 * Settles as `call` does, but rejects with Refuse if the call can never succeed because its URL contains `text`.
 * `subject` names the kind of the text in the message.
 */
export async function refuseIfTooLong<T>(text: string, subject: string, call: () => Promise<T>): Promise<T> {
  const { length } = encodeURIComponent(text.toWellFormed());
  const refusal = (): Refuse => {
    const bytes = Buffer.byteLength(text);
    return new Refuse(
      `${subject} is too long for GitLab: it has ${bytes} bytes, and begins with ${text.slice(0, 100)}`,
    );
  };
  if (length > MAX_CHARACTERS) throw refusal();
  return await call().catch((error: unknown) => {
    if (length < MIN_CHARACTERS) throw error;
    const isTooLong = error instanceof ErrorResponse ? STATUSES.has(error.status) : hasLongHeaders(error);
    throw isTooLong ? refusal() : error;
  });
}

/** Returns whether the headers of the response to a call were too long. */
export function hasLongHeaders(error: unknown): boolean {
  return error instanceof NoResponse && error.hasLongHeaders;
}
