import express from 'express';
import type { Request, Response, Router } from 'express';
import type { Logger } from 'pino';
import { requestIdOf, withRequestId } from '../io/request-id.ts';
import type { JobSink } from '../queue/queue.ts';
import type { TagJob } from '../queue/tag-job.ts';
import { BodyReader, BodyRefused } from './body.ts';
import { readDelivery } from './payload.ts';
import { isToken } from '../auth/token.ts';
import { parseBody } from './parse-body.ts';
import { SignatureCheck, signingKey } from './signature.ts';

/** The result of a delivery, as a metric label. */
export type WebhookResult = 'queued' | 'folded' | 'ignored' | 'refused' | 'malformed' | 'unavailable';

/** The dependencies and secrets of the webhook router. At least one token or signing token is required. */
export interface WebhookOptions {
  /** The accepted values of the header `X-Gitlab-Token`. There are several during a rotation. */
  readonly tokens: readonly string[];
  /** The tokens (`whsec_…`) that verify the header `webhook-signature`. There are several during a rotation. */
  readonly signingTokens: readonly string[];
  readonly queue: JobSink;
  readonly log: Logger;
  readonly metrics?: { received(event: string, result: WebhookResult): void };
  /** Called with the full path of a project whose tag was deleted. Must not reject. */
  readonly onDeleted?: (projectPath: string) => Promise<void>;
}

const WRONG_SECRET = 'wrong or missing secret';
const WRONG_SIGNATURE =
  'the signature does not match, or its timestamp differs from the clock of the service by more than 5 minutes';
/** The memory for bodies whose sender is not known until their end, because only a signature proves it. */
const UNVERIFIED_BODY_BYTES = 64 * 1_024 * 1_024;
/** The memory for bodies of senders that know the secret. */
const VERIFIED_BODY_BYTES = 256 * 1_024 * 1_024;
/** The value of the header Retry-After if the queue is not available. */
const RETRY_AFTER_SECONDS = '30';
/** The maximum number of jobs in a log line. */
const MAX_LOGGED_JOBS = 10;
const MAX_DELIVERY_ID_CHARACTERS = 255;

/**
 * `POST /-/webhook`: checks the secret of a delivery and queues its tags. GitLab disables a webhook after too many
 * responses other than 2xx, so a delivery with nothing to publish gets 200.
 *
 * 202 queued (JSON) · 200 ignored, with the reason · 400 not a delivery of GitLab · 401 wrong or missing secret · 408
 * body too slow · 413 body too large · 415 not JSON, or compressed · 503 the queue is not available, or too many bodies
 *
 * Error texts and log lines contain the request id, so `assignRequestIds` must run before this router.
 *
 * Throws if there is no secret, or if a signing token is invalid.
 */
export function createWebhookRouter(options: WebhookOptions): Router {
  const { tokens, signingTokens, queue, log, metrics, onDeleted } = options;
  if (tokens.length + signingTokens.length === 0 || tokens.includes('')) throw new Error('the webhook needs a secret');
  const keys = signingTokens.map(signingKey);
  const unverifiedBodies = new BodyReader(UNVERIFIED_BODY_BYTES);
  const verifiedBodies = new BodyReader(VERIFIED_BODY_BYTES);

  const ignore = (request: Request, response: Response, reason: string): void => {
    metrics?.received(eventOf(request), 'ignored');
    log.debug({ event: 'webhook.ignored', reason, ...fieldsOf(request, response) }, 'webhook ignored');
    response.status(200).type('text/plain').send(`ignored: ${reason}\n`);
  };

  const refuse = (
    request: Request,
    response: Response,
    result: 'refused' | 'malformed' | 'unavailable',
    status: number,
    reason: string,
  ): void => {
    metrics?.received(eventOf(request), result);
    log.warn(
      { event: 'webhook.refused', result, status, reason, ...fieldsOf(request, response) },
      `webhook refused: ${reason}`,
    );
    response.status(status).type('text/plain').send(withRequestId(reason, response));
  };

  /**
   * Checks the headers before the body is read, so that a sender without a secret cannot make the service hold its body
   * in memory.
   */
  const receive = async (request: Request, response: Response): Promise<void> => {
    const isTokenValid = isToken(request.get('X-Gitlab-Token') ?? '', tokens);
    const signature = isTokenValid ? undefined : startCheck(request);
    if (!isTokenValid && signature === undefined) {
      const reason = keys.length > 0 && request.get('webhook-signature') !== undefined ? WRONG_SIGNATURE : WRONG_SECRET;
      return refuse(request, response, 'refused', 401, reason);
    }
    if (!/^application\/json\s*(?:;|$)/i.test(request.get('Content-Type') ?? '')) {
      return refuse(request, response, 'malformed', 415, 'the Content-Type must be application/json');
    }
    try {
      return await (isTokenValid ? verifiedBodies : unverifiedBodies).read(
        request,
        (chunk) => signature?.update(chunk),
        async (body) =>
          signature === undefined || signature.isValid()
            ? await handle(body, request, response)
            : refuse(request, response, 'refused', 401, WRONG_SIGNATURE),
      );
    } catch (error) {
      if (!(error instanceof BodyRefused)) throw error;
      if (error.status === 503) response.set('Retry-After', RETRY_AFTER_SECONDS);
      return refuse(request, response, error.status === 503 ? 'unavailable' : 'malformed', error.status, error.message);
    }
  };

  const startCheck = (request: Request): SignatureCheck | undefined =>
    SignatureCheck.start(
      {
        id: request.get('webhook-id') ?? '',
        timestamp: request.get('webhook-timestamp') ?? '',
        signature: request.get('webhook-signature') ?? '',
      },
      keys,
      Date.now(),
    );

  const handle = async (bytes: Buffer, request: Request, response: Response): Promise<void> => {
    let body: unknown;
    try {
      body = await parseBody(bytes);
    } catch {
      return refuse(request, response, 'malformed', 400, 'the body is not JSON');
    }
    const delivery = readDelivery(request.get('X-Gitlab-Event'), body);
    if (delivery.kind === 'malformed') return refuse(request, response, 'malformed', 400, delivery.reason);
    if (delivery.kind === 'ignored') return ignore(request, response, delivery.reason);
    if (delivery.kind === 'deleted') {
      if (delivery.projectPath !== undefined) await onDeleted?.(delivery.projectPath);
      return ignore(request, response, 'the tag was deleted');
    }

    const id = request.get('webhook-id') ?? request.get('Idempotency-Key');
    const announcedAt = new Date().toISOString();
    const results = await Promise.allSettled(
      delivery.jobs.map((job) => queue.add({ ...job, announcedAt }, id && deliveryIdOf(id, job))),
    );
    const failure = results.find((result) => result.status === 'rejected');
    if (failure !== undefined) {
      log.error(
        { event: 'queue.unavailable', err: failure.reason, ...fieldsOf(request, response) },
        'the queue cannot accept a tag',
      );
      response.set('Retry-After', RETRY_AFTER_SECONDS);
      return refuse(request, response, 'unavailable', 503, 'the queue is not available; try again later');
    }
    const queued = results.filter((result) => result.status === 'fulfilled' && result.value === 'queued').length;
    const folded = results.length - queued;
    metrics?.received(eventOf(request), queued > 0 ? 'queued' : 'folded');
    const jobs = delivery.jobs.slice(0, MAX_LOGGED_JOBS);
    log.info({ event: 'webhook.received', queued, folded, jobs, ...fieldsOf(request, response) }, 'tags received');
    response.status(202).json({ queued, folded });
  };

  const router = express.Router();
  router.post('/-/webhook', receive);
  router.all('/-/webhook', (_request, response) => {
    const text = 'this address accepts only POST requests from GitLab';
    response.status(405).set('Allow', 'POST').type('text/plain').send(withRequestId(text, response));
  });
  return router;
}

/** The fields of every log line about a request. */
function fieldsOf(request: Request, response: Response): Record<string, unknown> {
  return {
    requestId: requestIdOf(response),
    gitlabEvent: eventOf(request),
    delivery: request.get('X-Gitlab-Event-UUID'),
    remote: request.ip,
  };
}

/** Returns an id for one tag of a delivery. A delivery is one push, which may contain several tags. */
function deliveryIdOf(id: string, { projectId, tag }: TagJob): string {
  return `${id.slice(0, MAX_DELIVERY_ID_CHARACTERS)} ${projectId} ${tag}`;
}

/** Returns the event as a metric label. The header itself may contain any text. */
function eventOf(request: Request): string {
  const event = request.get('X-Gitlab-Event');
  if (event === 'Tag Push Hook') return 'tag_push';
  return event === 'System Hook' ? 'system' : 'other';
}
