import express, { type NextFunction, type Request, type Response, type Router } from 'express';
import type { Logger } from 'pino';
import { bearerToken, type AdminAccess, type Caller } from '../auth/admin-access.ts';
import { Forbidden, Unauthorized, Unavailable } from '../auth/auth-errors.ts';
import { messageOf, Retry } from '../errors.ts';
import { sleep } from '../async/sleep.ts';
import { requestIdOf, withRequestId } from '../io/request-id.ts';
import { isToken } from '../auth/token.ts';
import { WrongGitLabSettings } from '../gitlab/instance.ts';
import { UnknownTargets } from './backfill.ts';
import { isOver } from './backfill-progress.ts';
import { parseBackfillRequest, type BackfillRequest } from './backfill-request.ts';
import type { BackfillRun, BackfillRuns } from './runs.ts';

/** The dependencies of the routes. */
export interface BackfillRoutesOptions {
  readonly access: Pick<AdminAccess, 'authorize'>;
  readonly runs: Pick<BackfillRuns, 'start' | 'find'>;
  /**
   * Checks that all targets of a request exist. Rejects with UnknownTargets, and with Retry if GitLab cannot be read.
   */
  readonly checkTargets: (request: BackfillRequest) => Promise<unknown>;
  readonly log: Logger;
  /**
   * The maximum time in milliseconds that a response waits for `checkTargets`. Default: 15,000. A rate limit of GitLab
   * may block calls for minutes, which is too long for a client. The response then comes without this check. The
   * backfill checks its targets again, and reports the same problems in its progress.
   */
  readonly checkMs?: number;
}

/** How often a stream reads the progress of its backfill. */
const POLL_MS = 1_000;
/** A stream that has sent nothing for this time sends a comment, so that no reverse proxy closes the connection. */
const KEEP_ALIVE_MS = 15_000;

/**
 * `POST /-/backfill` starts a backfill. `GET /-/backfill/<id>` returns its progress, as JSON or as `text/event-stream`.
 *
 * 202 started, or an equal backfill is running · 400 invalid request · 401 no valid token · 403 not allowed · 404
 * unknown group, project or backfill · 502 GitLab cannot be read · 503 Redis, or the keys of the token's issuer, cannot
 * be reached
 */
export function createBackfillRouter({
  access,
  runs,
  checkTargets,
  log,
  checkMs = 15_000,
}: BackfillRoutesOptions): Router {
  const start = async (request: Request, response: Response): Promise<void> => {
    const caller = await access.authorize(request.get('Authorization'));
    const parsed = parseBackfillRequest(request.body ?? {});
    if ('faults' in parsed) throw new BadRequest(parsed.faults.join('; '));
    const allowed = restrictTo(caller, parsed);
    await settledWithin(checkMs, checkTargets(allowed));
    const run = await runs.start(allowed).catch((cause: unknown) => {
      throw new Unavailable('the backfill could not be started: Redis cannot be reached', { cause });
    });
    log.info(
      {
        event: 'backfill.requested',
        requestId: requestIdOf(response),
        ...allowed,
        backfill: run.id,
        caller: callerName(caller),
      },
      'backfill requested',
    );
    response.status(202).json({ id: run.id, followToken: run.followToken, progress: run.progress });
  };

  const follow = async (request: Request, response: Response): Promise<void> => {
    const run = await find(request);
    if (request.accepts(['application/json', 'text/event-stream']) !== 'text/event-stream') {
      response.json({ id: run.id, request: run.request, progress: run.progress });
      return;
    }
    response
      .status(200)
      .set({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache', 'X-Accel-Buffering': 'no' });
    response.flushHeaders();
    await stream(run, runs, response);
  };

  const find = async (request: Request): Promise<BackfillRun> => {
    const authorization = request.get('Authorization');
    const token = bearerToken(authorization) ?? '';
    const run = await runs.find(String(request.params['id'])).catch((cause: unknown) => {
      throw new Unavailable('Redis cannot be reached', { cause });
    });
    if (run && isToken(token, [run.followToken])) return run;
    const caller = await access.authorize(authorization);
    if (!run) throw new NoSuchBackfill('there is no backfill with this id, or it ended more than a day ago');
    const { targets } = run.request;
    // A backfill of everything does not belong to any single project.
    if (targets.length === 0 && caller.kind === 'job' && caller.may !== 'everything')
      throw new Forbidden(`a job of ${caller.project} may only follow backfills of that project`);
    restrictTo(caller, run.request);
    return run;
  };

  const handleError = (error: unknown, request: Request, response: Response, next: NextFunction): void => {
    const status = statusOf(error);
    if (status === undefined || response.headersSent) return next(error);
    const reason = isBodyError(error)
      ? 'the body must be a JSON object of at most 100 KB'
      : error instanceof Error
        ? error.message
        : '';
    log.warn(
      {
        event: 'backfill.refused',
        requestId: requestIdOf(response),
        status,
        remote: request.ip,
        reason: messageOf(error),
      },
      'backfill request refused',
    );
    if (status === 401) response.set('WWW-Authenticate', 'Bearer');
    if (error instanceof Retry) response.set('Retry-After', String(Math.ceil((error.afterMs ?? 30_000) / 1000)));
    response.status(status).type('text/plain').send(withRequestId(reason, response));
  };

  const router = express.Router();
  router.post('/-/backfill', express.json({ limit: '100kb', type: () => true }), start);
  router.get('/-/backfill/:id', follow);
  router.all(['/-/backfill', '/-/backfill/:id'], (_request, response) => {
    response
      .status(405)
      .type('text/plain')
      .send(withRequestId('POST /-/backfill starts a backfill, GET /-/backfill/<id> returns its progress', response));
  });
  router.use('/-/backfill', handleError);
  return router;
}

class BadRequest extends Error {
  override readonly name = 'BadRequest';
}

class NoSuchBackfill extends Error {
  override readonly name = 'NoSuchBackfill';
}

/** Whether express could not read the body of a request. */
function isBodyError(error: unknown): boolean {
  return error instanceof Error && 'type' in error && 'statusCode' in error;
}

/** Waits for `work`, but at most `timeoutMs` milliseconds. Rejects if `work` rejects within this time. */
async function settledWithin(timeoutMs: number, work: Promise<unknown>): Promise<void> {
  const settled = new AbortController();
  try {
    await Promise.race([work, sleep(timeoutMs, settled.signal)]);
  } finally {
    settled.abort();
  }
}

/**
 * Returns the request, limited to the targets that the caller may use. For a job that may act only for its own project,
 * this project is the target, even if the request names no target. Throws Forbidden if the request names another
 * target.
 */
function restrictTo(caller: Caller, request: BackfillRequest): BackfillRequest {
  if (caller.kind === 'token' || caller.may === 'everything') return request;
  const foreign = request.targets.find((target) => target.toLowerCase() !== caller.project.toLowerCase());
  if (foreign !== undefined)
    throw new Forbidden(`a job of ${caller.project} may only publish tags of that project, not of ${foreign}`);
  return { ...request, targets: [caller.project] };
}

/** Sends the progress after each change, until the backfill ends or the client disconnects. */
async function stream(run: BackfillRun, runs: BackfillRoutesOptions['runs'], response: Response): Promise<void> {
  const disconnected = new AbortController();
  response.once('close', () => disconnected.abort());
  let { progress } = run;
  let sent = '';
  let sentAt = 0;
  while (!disconnected.signal.aborted) {
    const text = JSON.stringify(progress);
    if (text !== sent || Date.now() - sentAt > KEEP_ALIVE_MS) {
      response.write(text === sent ? ': keep-alive\n\n' : `event: progress\ndata: ${text}\n\n`);
      sent = text;
      sentAt = Date.now();
    }
    if (isOver(progress)) break;
    await sleep(POLL_MS, disconnected.signal);
    // During an outage of Redis, the progress does not change. If Redis has lost the run, the stream ends.
    const found: Pick<BackfillRun, 'progress'> | undefined = await runs.find(run.id).catch(() => ({ progress }));
    if (!found) break;
    ({ progress } = found);
  }
  response.end();
}

function callerName(caller: Caller): string {
  return caller.kind === 'token' ? 'ADMIN_TOKEN' : `a job of ${caller.project}`;
}

function statusOf(error: unknown): number | undefined {
  if (error instanceof BadRequest || isBodyError(error)) return 400;
  if (error instanceof Unauthorized) return 401;
  if (error instanceof Forbidden) return 403;
  if (error instanceof UnknownTargets || error instanceof NoSuchBackfill) return 404;
  if (error instanceof Retry) return 502;
  if (error instanceof Unavailable || error instanceof WrongGitLabSettings) return 503;
  return undefined;
}
