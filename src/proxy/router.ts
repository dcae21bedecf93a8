import { Router, type Request, type Response } from 'express';
import type { Logger } from 'pino';
import { Retry } from '../errors.ts';
import { StoreUnavailable } from '../store/store.ts';
import { Forbidden, Gone, NotFound, NotYet, UpstreamFailed, type Answer, type ModuleSource } from './module-source.ts';
import { parseRequest, type ModuleRequest, type SumdbRequest } from './request.ts';
import { respond } from './respond.ts';
import type { Sumdb } from './sumdb.ts';

/** What the proxy is made of. */
export interface ProxyParts {
  /** Whether a module path, or a prefix of one, is of our own: then nothing outside is ever asked about it. */
  readonly isPrivate: (path: string) => boolean;
  readonly privateModules: ModuleSource;
  readonly externalModules: ModuleSource;
  readonly sumdb: Pick<Sumdb, 'answer'>;
  readonly log: Logger;
  /** Told of every request when it is over; `route` is one of a few fixed words, such as `private/zip`. */
  readonly observe?: (route: string, status: number, seconds: number) => void;
}

/**
 * The GOPROXY protocol, read only. This is the one place where results and errors become status, headers and text.
 * Leaves `/` and everything under `/-/` to others, and answers all the rest.
 */
export function createProxyRouter(parts: ProxyParts): Router {
  const router = Router();
  router.use((request, response, next) => {
    if (request.path === '/' || request.path.startsWith('/-/')) next();
    else void serve(parts, request, response);
  });
  return router;
}

/** A request, and whose business it is. */
type Routed =
  | { readonly scope: 'private' | 'external'; readonly asked: ModuleRequest }
  | { readonly scope: 'sumdb'; readonly asked: SumdbRequest };

async function serve(parts: ProxyParts, request: Request, response: Response): Promise<void> {
  const started = performance.now();
  let route = 'invalid';
  response.once('close', () => {
    parts.observe?.(route, response.statusCode, (performance.now() - started) / 1000);
  });
  response.setHeader('X-Content-Type-Options', 'nosniff');
  let cacheScope: 'private' | 'public' = 'private';
  try {
    const routed = routeOf(parts, request);
    route = `${routed.scope}/${nameOf(routed.asked)}`;
    cacheScope = routed.scope === 'private' ? 'private' : 'public';
    const answer = await answerOf(parts, routed);
    setHeaders(response, routed, answer, cacheScope);
    await respond(request, response, answer);
  } catch (error) {
    fail(parts.log, request, response, error, cacheScope);
  }
}

function routeOf({ isPrivate }: ProxyParts, request: Request): Routed {
  if (request.method !== 'GET' && request.method !== 'HEAD') throw new MethodNotAllowed();
  const asked = parseRequest(request.path);
  if (asked.kind === 'rejected') throw asked.malformed ? new BadRequest(asked.reason) : new NotFound(asked.reason);
  if (asked.kind === 'sumdb') return { scope: 'sumdb', asked };
  return { scope: isPrivate(asked.module) ? 'private' : 'external', asked };
}

/** The defence against dependency confusion: by its path alone, a module has one source and never another. */
async function answerOf(parts: ProxyParts, { scope, asked }: Routed): Promise<Answer> {
  if (scope === 'sumdb') return await parts.sumdb.answer(asked);
  return scope === 'private' ? await parts.privateModules.answer(asked) : await parts.externalModules.answer(asked);
}

function nameOf(asked: ModuleRequest | SumdbRequest): string {
  if (asked.kind === 'sumdb') return asked.operation;
  return asked.kind === 'file' ? asked.file : asked.kind;
}

function setHeaders(response: Response, { asked }: Routed, answer: Answer, scope: 'private' | 'public'): void {
  if (answer.kind !== 'redirect') response.setHeader('Content-Type', contentType(asked));
  const immutable = answer.kind !== 'redirect' && answer.immutable;
  response.setHeader('Cache-Control', immutable ? `${scope}, max-age=604800, immutable` : shortly(scope));
  if (answer.kind === 'bytes' && answer.stale) {
    response.setHeader('Cache-Control', 'no-cache');
    response.setHeader('Warning', '110 modpress "Response is Stale"');
  }
}

/**
 * How long answers that change may be kept. A cache between us and the developers must not hide a tag that was just
 * pushed, so it has to ask again about private modules. `private` because not everybody may read them: a shared
 * cache would hand them to people whose credentials it never checked.
 */
function shortly(scope: 'private' | 'public'): string {
  return scope === 'private' ? 'private, no-cache' : 'public, max-age=60';
}

function contentType(asked: ModuleRequest | SumdbRequest): string {
  switch (nameOf(asked)) {
    case 'info':
      return 'application/json';
    case 'latest':
      return asked.kind === 'sumdb' ? TEXT : 'application/json';
    case 'zip':
      return 'application/zip';
    case 'tile':
      return 'application/octet-stream';
    default:
      return TEXT;
  }
}

const TEXT = 'text/plain; charset=utf-8';

class MethodNotAllowed extends Error {}
class BadRequest extends Error {}

/** What an error looks like from outside. */
interface Failure {
  readonly status: number;
  readonly text: string;
  /** In seconds. */
  readonly retryAfter?: number | undefined;
}

function fail(log: Logger, request: Request, response: Response, error: unknown, scope: 'private' | 'public'): void {
  if (response.headersSent || response.destroyed) {
    const left = error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE';
    if (left) log.debug({ path: request.path }, 'the client left');
    else log.error({ err: error, path: request.path }, 'a response broke off');
    response.destroy();
    return;
  }
  const { status, text, retryAfter } = failureOf(error);
  if (status >= 500) log.error({ err: error, path: request.path, status }, 'request failed');
  for (const name of ['Content-Length', 'Content-Range', 'ETag', 'Accept-Ranges', 'Last-Modified'])
    response.removeHeader(name);
  response.status(status).setHeader('Content-Type', TEXT);
  response.setHeader('Cache-Control', status === 404 || status === 410 ? shortly(scope) : 'no-store');
  if (retryAfter !== undefined) response.setHeader('Retry-After', retryAfter);
  if (status === 405) response.setHeader('Allow', 'GET, HEAD');
  // The go command shows at most eight lines of plain text.
  const body = Buffer.from(`${text.split('\n').slice(0, 8).join('\n')}\n`);
  response.setHeader('Content-Length', body.length);
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** Only messages written for the developer go out; those of unexpected errors stay in the log. */
function failureOf(error: unknown): Failure {
  if (error instanceof BadRequest) return { status: 400, text: `bad request: ${error.message}` };
  if (error instanceof MethodNotAllowed) return { status: 405, text: 'method not allowed: modules can only be read' };
  if (error instanceof Gone) return { status: 410, text: `gone: ${error.message}` };
  if (error instanceof NotFound) return { status: 404, text: `not found: ${error.message}` };
  if (error instanceof Forbidden) return { status: 403, text: `refused: ${error.message}` };
  if (error instanceof UpstreamFailed) {
    const text = `upstream failure: ${error.message}\nModules that were fetched before, and private ones, are not affected.`;
    return { status: error.timedOut ? 504 : 502, text, retryAfter: error.retryAfter };
  }
  if (error instanceof NotYet) {
    return {
      status: error.timedOut ? 504 : 503,
      text: `not available yet: ${error.message}`,
      retryAfter: error.retryAfter,
    };
  }
  if (error instanceof StoreUnavailable) {
    return {
      status: 503,
      text: 'the module store cannot be reached right now\nTry again in a moment.',
      retryAfter: 10,
    };
  }
  if (error instanceof Retry) {
    const retryAfter = Math.ceil((error.afterMs ?? 10_000) / 1000);
    return { status: 503, text: 'not available right now\nTry again in a moment.', retryAfter };
  }
  return { status: 500, text: 'internal error\nThe log of the service has the details.' };
}
