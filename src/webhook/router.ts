import express from 'express';
import type { NextFunction, Request, Response, Router } from 'express';
import type { Logger } from 'pino';
import type { JobSink } from '../queue/queue.ts';
import type { TagJob } from '../queue/tag-job.ts';
import { readDelivery } from './payload.ts';
import { isToken } from '../auth/token.ts';
import { isSigned, signingKey } from './signature.ts';

/** What a delivery came to, as a metric's label. */
export type WebhookResult = 'queued' | 'folded' | 'ignored' | 'refused' | 'malformed' | 'unavailable';

/** What the webhook is made of. At least one token or signing token is needed. */
export interface WebhookOptions {
  /** Accepted as `X-Gitlab-Token`; several while rotating. */
  readonly tokens: readonly string[];
  /** `whsec_…`, for `webhook-signature`; several while rotating. */
  readonly signingTokens: readonly string[];
  readonly queue: JobSink;
  readonly log: Logger;
  readonly metrics?: { received(event: string, result: WebhookResult): void };
}

/** GitLab sends no larger body. */
const bodyLimit = 25 * 1_024 * 1_024;
/** How many seconds a sender should wait if the queue cannot take anything. */
const retryAfter = '30';

/**
 * `POST /-/webhook`, what GitLab calls: checks the secret, queues the tags and answers. GitLab disables a hook that
 * answers anything but 2xx too often, so that only says no to what is wrong, not to what is of no interest:
 *
 * 202 queued (JSON) · 200 ignored, and why · 400 not what GitLab sends · 401 wrong or no secret · 413 · 415 ·
 * 503 the queue cannot take it
 *
 * Throws if no secret is given, or a signing token is none.
 */
export function createWebhookRouter(options: WebhookOptions): Router {
  const { tokens, signingTokens, queue, log, metrics } = options;
  if (tokens.length + signingTokens.length === 0 || tokens.includes('')) throw new Error('the webhook needs a secret');
  const keys = signingTokens.map(signingKey);

  const answer = (request: Request, response: Response, result: WebhookResult, status: number, text: string): void => {
    metrics?.received(eventOf(request), result);
    const facts = { event: eventOf(request), delivery: request.get('X-Gitlab-Event-UUID'), remote: request.ip, status };
    if (status >= 400) log.warn(facts, `webhook: ${text}`);
    else log.debug(facts, `webhook: ${text}`);
    response.status(status).type('text/plain').send(`${text}\n`);
  };

  /** Whatever needs no body is checked before it is read: nobody without a secret makes us hold 25 MB. */
  const checkHead = (request: Request, response: Response, next: NextFunction): void => {
    const known = isToken(request.get('X-Gitlab-Token') ?? '', tokens);
    const maybeSigned = keys.length > 0 && request.get('webhook-signature') !== undefined;
    response.locals['known'] = known;
    if (!known && !maybeSigned) return answer(request, response, 'refused', 401, 'wrong or missing secret');
    if (!/^application\/json\s*(?:;|$)/i.test(request.get('Content-Type') ?? '')) {
      return answer(request, response, 'malformed', 415, 'the Content-Type has to be application/json');
    }
    return next();
  };

  const checkSignature = (request: Request, response: Response, next: NextFunction): void => {
    const signed = {
      id: request.get('webhook-id') ?? '',
      timestamp: request.get('webhook-timestamp') ?? '',
      signature: request.get('webhook-signature') ?? '',
      body: bodyOf(request),
    };
    if (response.locals['known'] === true || isSigned(signed, keys, Date.now())) return next();
    return answer(request, response, 'refused', 401, 'the signature does not match, or its timestamp is too far off');
  };

  const receive = async (request: Request, response: Response): Promise<void> => {
    let body: unknown;
    try {
      body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bodyOf(request)));
    } catch {
      return answer(request, response, 'malformed', 400, 'the body is not JSON');
    }
    const delivery = readDelivery(request.get('X-Gitlab-Event'), body);
    if (delivery.kind === 'malformed') return answer(request, response, 'malformed', 400, delivery.reason);
    if (delivery.kind === 'ignored') {
      return answer(request, response, 'ignored', 200, `ignored: ${delivery.reason}`);
    }

    const id = request.get('webhook-id') ?? request.get('Idempotency-Key');
    const results = await Promise.allSettled(delivery.jobs.map((job) => queue.add(job, id && deliveryOf(id, job))));
    const failure = results.find((result) => result.status === 'rejected');
    if (failure !== undefined) {
      log.error({ err: failure.reason }, 'the queue cannot take a tag');
      response.set('Retry-After', retryAfter);
      return answer(request, response, 'unavailable', 503, 'the queue cannot take it now');
    }
    const queued = results.filter((result) => result.status === 'fulfilled' && result.value === 'queued').length;
    const folded = results.length - queued;
    metrics?.received(eventOf(request), queued > 0 ? 'queued' : 'folded');
    log.info({ jobs: delivery.jobs.slice(0, 10), queued, folded }, 'tags received');
    response.status(202).json({ queued, folded });
  };

  /** What the body's reader has to say: 413 too large, 415 compressed, 400 cut off. */
  const refuseBody = (error: unknown, request: Request, response: Response, next: NextFunction): void => {
    const status = statusOf(error);
    if (status === undefined || response.headersSent) return next(error);
    const reason = status === 413 ? 'the body is larger than 25 MB' : 'the body cannot be read';
    return answer(request, response, 'malformed', status, reason);
  };

  const router = express.Router();
  // Not inflated: GitLab does not compress, and a signature is over what was sent.
  const readBody = express.raw({ type: () => true, limit: bodyLimit, inflate: false });
  router.post('/-/webhook', checkHead, readBody, checkSignature, (request, response) => receive(request, response));
  router.use('/-/webhook', refuseBody);
  router.all('/-/webhook', (_request, response) => {
    response.status(405).set('Allow', 'POST').type('text/plain').send('GitLab posts to this address\n');
  });
  return router;
}

/** A delivery is one push, which may be about several tags. */
function deliveryOf(id: string, { projectId, tag }: TagJob): string {
  return `${id.slice(0, 255)} ${projectId} ${tag}`;
}

/** The event as a label: a header's value could be anything. */
function eventOf(request: Request): string {
  const event = request.get('X-Gitlab-Event');
  if (event === 'Tag Push Hook') return 'tag_push';
  return event === 'System Hook' ? 'system' : 'other';
}

/** An empty body leaves no buffer. */
function bodyOf(request: Request): Buffer {
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
}

function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('status' in error) || typeof error.status !== 'number') return undefined;
  return error.status >= 400 && error.status < 500 ? error.status : undefined;
}
