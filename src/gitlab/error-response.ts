import { z } from 'zod';
import { messageOf, Retry } from '../errors.ts';
import { readStart, type BodyLimits } from '../http-client/read-body.ts';
import { parseJson } from '../io/json.ts';
import { retryAfterMs } from './rate-limit-headers.ts';

/** The limits of the part of an error response that is read. */
const BODY_LIMITS: BodyLimits = { maxBytes: 16 * 1024, timeoutMs: 10_000 };
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

/**
 * The object that a 404 of GitLab names: `404 Tag Not Found` names `Tag`. `nothing` is `404 Not Found`, the response
 * for a project without a repository. `route` means that GitLab does not have the route.
 */
export type MissingThing =
  'Project' | 'Group' | 'Tag' | 'Branch' | 'Commit' | 'File' | 'Merge Base' | 'nothing' | 'route';

/** GitLab responded with 404 in its own JSON: an object does not exist, or the token cannot see it. */
export class GitLabNotFound extends Error {
  override readonly name = 'GitLabNotFound';
  /** One of `MissingThing`, or another name. */
  readonly missing: string;

  constructor(missing: string, message: string) {
    super(message);
    this.missing = missing;
  }
}

/**
 * GitLab, or a server between modpress and GitLab, responded with an error status. The status is 404 only if the
 * response is not from GitLab.
 */
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
  const text = (await textOf(response)).slice(0, MAX_BODY_CHARACTERS);
  const { status } = response;
  const message = `GitLab answered ${status} for ${endpoint}: ${text}`;
  const details = { status, text, retryAfterMs: retryAfterMs(response.headers) };
  switch (status) {
    case 404: {
      const missing = missingThing(text);
      if (missing === 'route') return new GitLabNotFound(missing, `${message} (is GITLAB_URL the base URL of GitLab?)`);
      if (missing !== undefined) return new GitLabNotFound(missing, message);
      return new ErrorResponse(
        details,
        `${message} (this 404 is not from GitLab but from a server in front of it)`,
        undefined,
      );
    }
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

/** Returns the beginning of the body, or the reason why it cannot be read. */
async function textOf(response: Response): Promise<string> {
  try {
    return (await readStart(response, BODY_LIMITS)).bytes.toString();
  } catch (error) {
    return messageOf(error);
  }
}

/**
 * Resolves to the result of a call, or to undefined if GitLab responded with 404 for one of `absent`. Rejects with
 * Retry after every other 404. For example, GitLab responds to a request for a file with `404 Commit Not Found` while
 * Gitaly is down (Commit.find in lib/gitlab/git/commit.rb). If this 404 counted as a missing go.mod, the tag would be
 * skipped permanently.
 */
export async function undefinedIfNotFound<T>(
  call: Promise<T>,
  ...absent: readonly MissingThing[]
): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof GitLabNotFound && (absent as readonly string[]).includes(error.missing)) return undefined;
    throw asOutage(error);
  }
}

/** Resolves to the result of a call for an object that exists. Rejects with Retry after a 404. */
export async function retryIfNotFound<T>(call: Promise<T>): Promise<T> {
  return await call.catch((error: unknown) => {
    throw asOutage(error);
  });
}

function asOutage(error: unknown): unknown {
  if (!(error instanceof GitLabNotFound)) return error;
  return new Retry(error.message, { cause: error, ...(error.missing === 'route' && { afterMs: NEEDS_PERSON_MS }) });
}

/**
 * Returns the object that the body of a 404 names (not_found! in lib/api/helpers.rb). Undefined if it is not from
 * GitLab.
 */
function missingThing(text: string): string | undefined {
  const message = z.object({ message: z.string() }).safeParse(parseJson(text)).data?.message;
  if (message === undefined) return /^\{"error":"404 Not Found"\}$/.test(text.trim()) ? 'route' : undefined;
  const match = /^404 (?:(.+) )?Not Found$/.exec(message);
  return match ? (match[1] ?? 'nothing') : undefined;
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
    // The body is truncated, is the error page of a proxy, or is JSON of another form.
    return oneLine(text);
  }
}

function oneLine(text: string): string {
  return text
    .replaceAll(/[\s\p{C}]+/gu, ' ')
    .trim()
    .slice(0, MAX_LINE_CHARACTERS);
}
