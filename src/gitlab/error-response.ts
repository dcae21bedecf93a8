import { z } from 'zod';
import { messageOf, Retry } from '../errors.ts';
import { retryAfterMs } from './rate-limit-headers.ts';

/** Error messages contain at most this many characters of a response body. */
const MAX_BODY_CHARACTERS = 300;
/**
 * The wait after a 429 without Retry-After, in milliseconds. GitLab sends such a 429 for archives, which it limits per
 * minute.
 */
const ARCHIVE_RETRY_AFTER_MS = 60_000;
/** The result of `messageInBody` has at most this many characters, so that it stays one readable line. */
const MAX_LINE_CHARACTERS = 200;

/**
 * The wait after an error that needs a person, such as a rejected token or a missing role, in milliseconds. A quick
 * retry is useless, but the tag must not be lost.
 */
export const NEEDS_PERSON_MS = 5 * 60_000;

/** GitLab responded with 404: the requested object does not exist, or the token may not see it. */
export class GitLabNotFound extends Error {
  override readonly name = 'GitLabNotFound';
  /** The beginning of the response body. */
  readonly text: string;

  constructor(text: string, message: string) {
    super(message);
    this.text = text;
  }
}

/** GitLab responded with an error status other than 404. */
export class ErrorResponse extends Retry {
  readonly status: number;
  /** The beginning of the response body. */
  readonly text: string;
  /**
   * The Retry-After of the response, in milliseconds. `afterMs` has a default for some statuses without a Retry-After.
   */
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

/** Reads the body of an error response and returns the error to throw. The message states what an operator can do. */
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
 * Resolves to the result of a call, or to undefined after a 404. If `isAbsent` is given and returns false for the 404,
 * rejects with Retry instead.
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
 * Returns whether a 404 means that the commit does not contain the file (lib/api/files.rb). GitLab also responds with
 * "404 Commit Not Found" while Gitaly is down (Commit.find in lib/gitlab/git/commit.rb). Once the token has lost its
 * access, GitLab responds with "404 Project Not Found". If such a 404 counted as a missing go.mod, the tag would be
 * skipped permanently.
 */
export function isFileNotFound({ text }: GitLabNotFound): boolean {
  return text.includes('404 File Not Found');
}

/**
 * Returns the message in an error body as one short line. The message is the value of `message` or `error` in a JSON
 * body, or else the body itself.
 */
export function messageInBody(text: string): string {
  const schema = z.union([z.object({ message: z.unknown() }), z.object({ error: z.unknown() })]);
  try {
    const body = schema.parse(JSON.parse(text));
    const message = 'message' in body ? body.message : body.error;
    return oneLine(typeof message === 'string' ? message : JSON.stringify(message));
  } catch {
    // The body is truncated or not JSON, such as the error page of a proxy.
    return oneLine(text);
  }
}

function oneLine(text: string): string {
  return text
    .replaceAll(/[\s\p{C}]+/gu, ' ')
    .trim()
    .slice(0, MAX_LINE_CHARACTERS);
}
