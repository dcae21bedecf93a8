import { z } from 'zod';
import { messageOf, Retry } from '../errors.ts';
import { retryAfterMs } from './rate-limit-headers.ts';

/** Error texts show at most this many characters of a response's body. */
const MAX_BODY_CHARACTERS = 300;
/** GitLab counts archives by the minute, and its 429 for an archive has no Retry-After. */
const ARCHIVE_RETRY_AFTER_MS = 60_000;
/** The message of a response is cut to this length, so that it stays one readable line. */
const MAX_LINE_CHARACTERS = 200;

/**
 * The wait after an error that only a person can solve, such as a refused token or a missing role. A quick retry is
 * useless, but the tag must not be lost.
 */
export const NEEDS_PERSON_MS = 5 * 60_000;

/** GitLab answered 404: what was requested does not exist, or the token may not see it. */
export class GitLabNotFound extends Error {
  override readonly name = 'GitLabNotFound';
  /** The beginning of the response's body. */
  readonly text: string;

  constructor(text: string, message: string) {
    super(message);
    this.text = text;
  }
}

/** GitLab answered with an error status other than 404. */
export class ErrorResponse extends Retry {
  readonly status: number;
  /** The beginning of the response's body. */
  readonly text: string;
  /** The response's own Retry-After, in milliseconds. `afterMs` also covers statuses that come without one. */
  readonly retryAfterMs: number | undefined;

  constructor(
    response: Pick<ErrorResponse, 'status' | 'text' | 'retryAfterMs'>,
    message: string,
    afterMs: number | undefined,
  ) {
    super(message, afterMs === undefined ? {} : { afterMs });
    this.status = response.status;
    this.text = response.text;
    this.retryAfterMs = response.retryAfterMs;
  }
}

/** Turns an error response into the error to throw. The message says what an operator can do. Reads the body. */
export async function errorOf(response: Response, endpoint: string): Promise<GitLabNotFound | ErrorResponse> {
  const text = (await response.text().catch(messageOf)).slice(0, MAX_BODY_CHARACTERS);
  const { status } = response;
  const message = `GitLab answered ${status} for ${endpoint}: ${text}`;
  const details = { status, text, retryAfterMs: retryAfterMs(response.headers) };
  switch (status) {
    case 404:
      return new GitLabNotFound(text, message);
    case 401:
      return new ErrorResponse(details, `${message} (is GITLAB_TOKEN still valid?)`, NEEDS_PERSON_MS);
    case 403: {
      const advice = 'GITLAB_TOKEN needs the scope read_api and at least the role Reporter';
      return new ErrorResponse(details, `${message} (${advice})`, NEEDS_PERSON_MS);
    }
    case 429:
      return new ErrorResponse(details, message, details.retryAfterMs ?? ARCHIVE_RETRY_AFTER_MS);
    default:
      return new ErrorResponse(details, message, details.retryAfterMs);
  }
}

/**
 * The result of a call, or undefined after a 404. With `isAbsent`, only a 404 that it accepts counts as absence; any
 * other 404 becomes a Retry.
 */
export async function undefinedIfNotFound<T>(
  call: Promise<T>,
  isAbsent: (error: GitLabNotFound) => boolean = () => true,
): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof GitLabNotFound)) throw error;
    if (isAbsent(error)) return undefined;
    throw new Retry(error.message, { cause: error });
  }
}

/**
 * Whether a 404 means that the commit lacks the file (lib/api/files.rb). GitLab also answers 404 with "Commit" while
 * Gitaly is down (Commit.find in lib/gitlab/git/commit.rb), and with "Project" once the token has lost its access. If
 * such a 404 counted as a missing go.mod, the tag would be skipped for ever.
 */
export function isFileNotFound({ text }: GitLabNotFound): boolean {
  return text.includes('404 File Not Found');
}

/** The message in the body of an error: `{"message": …}` or `{"error": …}`, else the body itself. One short line. */
export function messageInBody(text: string): string {
  const schema = z.union([z.object({ message: z.unknown() }), z.object({ error: z.unknown() })]);
  try {
    const body = schema.parse(JSON.parse(text));
    const message = 'message' in body ? body.message : body.error;
    return oneLine(typeof message === 'string' ? message : JSON.stringify(message));
  } catch {
    // The body is not JSON, or was cut off: the page of a proxy, for example.
    return oneLine(text);
  }
}

function oneLine(text: string): string {
  return text
    .replaceAll(/[\s\p{C}]+/gu, ' ')
    .trim()
    .slice(0, MAX_LINE_CHARACTERS);
}
