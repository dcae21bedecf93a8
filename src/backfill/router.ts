import express, { type NextFunction, type Request, type Response, type Router } from 'express';
import type { Logger } from 'pino';
import { bearerToken, type AdminAccess, type Caller } from '../auth/admin-access.ts';
import { Forbidden, Unauthorized, Unavailable } from '../auth/auth-errors.ts';
import { messageOf, Retry } from '../errors.ts';
import { sleep } from '../async/sleep.ts';
import { requestIdOf, withRequestId } from '../io/request-id.ts';
import { isToken } from '../auth/token.ts';
import { UnknownTargets } from './backfill.ts';
import { isOver } from './backfill-progress.ts';
import { parseBackfillRequest, type BackfillRequest } from './backfill-request.ts';
import type { BackfillRun, BackfillRuns } from './runs.ts';

/** What the routes are made of. */
export interface BackfillRoutesOptions {
  readonly access: Pick<AdminAccess, 'authorize'>;
  readonly runs: Pick<BackfillRuns, 'start' | 'find'>;
  /** Rejects with UnknownTargets, or Retry, unless all targets of a request are there. */
  readonly checkTargets: (request: BackfillRequest) => Promise<unknown>;
  readonly log: Logger;
  /**
   * For how long an answer waits for `checkTargets`, in milliseconds; 15 seconds unless given. GitLab may want a rest of minutes,
   * and no client waits that long. The backfill itself does, and then ends with what the check would have said.
   */
  readonly checkMs?: number;
}

/** How often a stream looks for news, and says that it lives, in milliseconds. */
const LOOK_MS = 1_000;
const ALIVE_MS = 15_000;

/**
 * `POST /-/backfill` starts a backfill, `GET /-/backfill/<id>` tells how far it is, as JSON or as `text/event-stream`:
 *
 * 202 started, or the same is under way · 400 no such request · 401 who are you · 403 not for you · 404 no such group,
 * project or backfill · 502 GitLab does not answer · 503 the keys of the issuer, or the queue, cannot be reached
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
    const asked = narrowed(parsed, caller);
    await forAtMost(checkMs, checkTargets(asked));
    const run = await runs.start(asked).catch((cause: unknown) => {
      throw new Unavailable('the backfill could not be started: the queue in Redis cannot be used', { cause });
    });
    log.info(
      {
        event: 'backfill.requested',
        requestId: requestIdOf(response),
        ...asked,
        backfill: run.id,
        caller: describe(caller),
      },
      'backfill asked for',
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
      throw new Unavailable('the queue in Redis cannot be used', { cause });
    });
    if (run && isToken(token, [run.followToken])) return run;
    const caller = await access.authorize(authorization);
    if (!run) throw new NoSuchBackfill('there is no such backfill, or it was over a day ago');
    const { targets } = run.request;
    // One of everything is nobody's own.
    if (targets.length === 0 && caller.kind === 'job' && caller.may !== 'everything')
      throw new Forbidden(`jobs of ${caller.project} may follow backfills of that project alone`);
    narrowed(run.request, caller);
    return run;
  };

  const refuse = (error: unknown, request: Request, response: Response, next: NextFunction): void => {
    const status = statusOf(error);
    if (status === undefined || response.headersSent) return next(error);
    const reason = isBodyError(error)
      ? 'the body is no JSON object of at most 100 KB'
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
      'backfill refused',
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
      .send(withRequestId('POST /-/backfill starts a backfill, GET /-/backfill/<id> reports its progress', response));
  });
  router.use('/-/backfill', refuse);
  return router;
}

class BadRequest extends Error {
  override readonly name = 'BadRequest';
}

class NoSuchBackfill extends Error {
  override readonly name = 'NoSuchBackfill';
}

/** Whether express could not read a body. */
function isBodyError(error: unknown): boolean {
  return error instanceof Error && 'type' in error && 'statusCode' in error;
}

async function forAtMost(ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  try {
    await Promise.race([work, sleep(ms, over.signal)]);
  } finally {
    over.abort();
  }
}

/** A job that may act for its own project alone gets just that, asked for or not. */
function narrowed(request: BackfillRequest, caller: Caller): BackfillRequest {
  if (caller.kind === 'token' || caller.may === 'everything') return request;
  const other = request.targets.find((target) => target.toLowerCase() !== caller.project.toLowerCase());
  if (other !== undefined)
    throw new Forbidden(`jobs of ${caller.project} may publish that project's tags alone, not those of ${other}`);
  return { ...request, targets: [caller.project] };
}

/** Sends the progress whenever it has changed, until the backfill is over or the client goes. */
async function stream(run: BackfillRun, runs: BackfillRoutesOptions['runs'], response: Response): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  let { progress } = run;
  let sent = '';
  let sentAt = 0;
  while (!gone.signal.aborted) {
    const text = JSON.stringify(progress);
    if (text !== sent || Date.now() - sentAt > ALIVE_MS) {
      response.write(text === sent ? ': still at it\n\n' : `event: progress\ndata: ${text}\n\n`);
      sent = text;
      sentAt = Date.now();
    }
    if (isOver(progress)) break;
    await sleep(LOOK_MS, gone.signal);
    // While Redis is away, what was known last stays; a run that it has lost has no more news.
    const found: Pick<BackfillRun, 'progress'> | undefined = await runs.find(run.id).catch(() => ({ progress }));
    if (!found) break;
    ({ progress } = found);
  }
  response.end();
}

function describe(caller: Caller): string {
  return caller.kind === 'token' ? 'ADMIN_TOKEN' : `a job of ${caller.project}`;
}

function statusOf(error: unknown): number | undefined {
  if (error instanceof BadRequest || isBodyError(error)) return 400;
  if (error instanceof Unauthorized) return 401;
  if (error instanceof Forbidden) return 403;
  if (error instanceof UnknownTargets || error instanceof NoSuchBackfill) return 404;
  if (error instanceof Retry) return 502;
  if (error instanceof Unavailable) return 503;
  return undefined;
}
