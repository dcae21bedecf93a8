import { Router, type Request, type Response } from 'express';
import type { Logger } from 'pino';
import { Retry } from '../errors.ts';
import { requestIdOf, withRequestId } from '../io/request-id.ts';
import { StoreUnavailable } from '../store/store.ts';
import {
  describe,
  Forbidden,
  Gone,
  NotFound,
  TryAgainLater,
  UpstreamFailed,
  type Answer,
  type FileAccess,
  type ModuleSource,
} from './module-source.ts';
import { ClientLeft, Clients, type Client } from './client.ts';
import { parseRequest, type ModuleRequest, type SumdbRequest } from './protocol-request.ts';
import { fileAccessFor, respond } from './respond.ts';
import type { Sumdb } from './sumdb.ts';
import { isLoop } from './via.ts';

/** The dependencies of the proxy router. */
export interface ProxyParts {
  /**
   * Returns whether a module path, or a prefix of a module path, is private. No external server ever receives a private
   * path.
   */
  readonly isPrivate: (path: string) => boolean;
  readonly privateModules: ModuleSource;
  readonly externalModules: ModuleSource;
  readonly sumdb: Pick<Sumdb, 'answer'>;
  /** The name of this service in `Via` headers (see via.ts). */
  readonly viaName: string;
  readonly log: Logger;
  /**
   * Called when a response has ended or the client has disconnected. `route` is one of a few fixed names, such as
   * `private/zip`.
   */
  readonly observe?: (route: string, status: number, seconds: number) => void;
}

/**
 * Creates the router of the GOPROXY protocol, which is read-only. Only this file converts answers and errors to status,
 * headers and text. The router passes `/` and all paths below `/-/` on to the next router, and responds to all other
 * paths.
 *
 * Error texts and log lines contain the request id, so `assignRequestIds` must run first.
 */
export function createProxyRouter(parts: ProxyParts): Router {
  const router = Router();
  const clients = new Clients();
  router.use((request, response, next) => {
    if (request.path === '/' || request.path.startsWith('/-/')) next();
    else void serve(parts, clients.of(request), request, response);
  });
  return router;
}

/** A parsed request and the source that must answer it. */
type RoutedRequest =
  | { readonly scope: 'private' | 'external'; readonly parsed: ModuleRequest }
  | { readonly scope: 'sumdb'; readonly parsed: SumdbRequest };

async function serve(parts: ProxyParts, client: Client, request: Request, response: Response): Promise<void> {
  const started = performance.now();
  let routed: RoutedRequest | undefined;
  response.once('close', () => {
    const route = routed ? `${routed.scope}/${nameOf(routed.parsed)}` : 'invalid';
    parts.observe?.(route, response.statusCode, (performance.now() - started) / 1000);
  });
  response.setHeader('X-Content-Type-Options', 'nosniff');
  try {
    routed = routeOf(parts, request);
    const answer = await answerOf(parts, routed, fileAccessFor(request), client);
    setHeaders(response, routed, answer);
    await respond(request, response, answer);
  } catch (error) {
    sendError(parts.log, request, response, error, routed);
  }
}

function routeOf({ isPrivate }: ProxyParts, request: Request): RoutedRequest {
  if (request.method !== 'GET' && request.method !== 'HEAD') throw new MethodNotAllowed();
  const parsed = parseRequest(request.path);
  if (parsed.kind === 'rejected') throw parsed.malformed ? new BadRequest(parsed.reason) : new NotFound(parsed.reason);
  if (parsed.kind === 'sumdb') return { scope: 'sumdb', parsed };
  return { scope: isPrivate(parsed.module) ? 'private' : 'external', parsed };
}

/** Prevents dependency confusion: the module path alone determines the source, and no other source is tried. */
async function answerOf(
  parts: ProxyParts,
  { scope, parsed }: RoutedRequest,
  access: FileAccess,
  client: Client,
): Promise<Answer> {
  if (isLoop(client.via, parts.viaName)) throw new Loop();
  if (scope === 'sumdb') return await parts.sumdb.answer(parsed, client);
  const source = scope === 'private' ? parts.privateModules : parts.externalModules;
  return await source.answer(parsed, access, client);
}

function nameOf(parsed: ModuleRequest | SumdbRequest): string {
  if (parsed.kind === 'sumdb') return parsed.operation;
  return parsed.kind === 'file' ? parsed.file : parsed.kind;
}

/** Returns the subject of a request for messages to the developer. */
function subjectOf(parsed: ModuleRequest | SumdbRequest): string {
  return parsed.kind === 'sumdb' ? `the checksum database ${parsed.database}` : describe(parsed);
}

function setHeaders(response: Response, routed: RoutedRequest, answer: Answer): void {
  const cacheScope = cacheScopeOf(routed);
  if (answer.kind !== 'redirect') response.setHeader('Content-Type', contentType(routed.parsed));
  const immutable = answer.kind !== 'redirect' && answer.immutable;
  response.setHeader(
    'Cache-Control',
    immutable ? `${cacheScope}, max-age=604800, immutable` : cacheControlForChanges(cacheScope),
  );
  if (answer.kind === 'bytes' && answer.stale) {
    response.setHeader('Cache-Control', 'no-cache');
    response.setHeader('Warning', '110 modpress "Response is Stale"');
  }
}

/**
 * Returns `private` for private modules and for invalid requests. A shared cache would serve private modules without
 * checking credentials.
 */
function cacheScopeOf(routed: RoutedRequest | undefined): 'private' | 'public' {
  return routed === undefined || routed.scope === 'private' ? 'private' : 'public';
}

/**
 * Returns the Cache-Control header for content that can change. Shared caches must revalidate private content, because
 * they must not hide a tag that was just pushed.
 */
function cacheControlForChanges(cacheScope: 'private' | 'public'): string {
  return cacheScope === 'private' ? 'private, no-cache' : 'public, max-age=60';
}

function contentType(parsed: ModuleRequest | SumdbRequest): string {
  switch (nameOf(parsed)) {
    case 'info':
      return 'application/json';
    case 'latest':
      return parsed.kind === 'sumdb' ? TEXT : 'application/json';
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
/** The service is its own upstream. */
class Loop extends Error {}

/** The response to a failed request. */
interface Failure {
  readonly status: number;
  readonly text: string;
  /** The Retry-After, in seconds. */
  readonly retryAfter?: number | undefined;
}

function sendError(
  log: Logger,
  request: Request,
  response: Response,
  error: unknown,
  routed: RoutedRequest | undefined,
): void {
  const fields = { requestId: requestIdOf(response), path: request.path };
  const clientLeft =
    error instanceof ClientLeft ||
    (error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE');
  if (response.headersSent || response.destroyed || clientLeft) {
    if (clientLeft) log.debug({ event: 'request.aborted', ...fields }, 'the client closed the connection');
    else log.error({ event: 'response.interrupted', err: error, ...fields }, 'a response could not be completed');
    response.destroy();
    return;
  }
  const { status, text, retryAfter } = failureOf(error, routed ? subjectOf(routed.parsed) : request.path);
  if (status >= 500) log.error({ event: 'request.failed', err: error, status, ...fields }, 'the request failed');
  for (const name of ['Content-Length', 'Content-Range', 'ETag', 'Accept-Ranges', 'Last-Modified'])
    response.removeHeader(name);
  response.status(status).setHeader('Content-Type', TEXT);
  response.setHeader(
    'Cache-Control',
    status === 404 || status === 410 ? cacheControlForChanges(cacheScopeOf(routed)) : 'no-store',
  );
  if (retryAfter !== undefined) response.setHeader('Retry-After', retryAfter);
  if (status === 405) response.setHeader('Allow', 'GET, HEAD');
  const body = Buffer.from(withRequestId(shownLines(text), response));
  response.setHeader('Content-Length', body.length);
  response.end(request.method === 'HEAD' ? undefined : body);
}

/**
 * The go command shows at most eight lines of an error text, up to the first blank line. The eighth line is for the
 * request id.
 */
const MAX_TEXT_LINES = 7;

/** Returns the lines of a text that the go command shows in addition to the request id. */
function shownLines(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.slice(0, MAX_TEXT_LINES).join('\n');
}

/**
 * Returns the response to an error. Only messages for developers are sent; messages of unexpected errors appear only in
 * the log.
 */
function failureOf(error: unknown, subject: string): Failure {
  if (error instanceof BadRequest) return { status: 400, text: `bad request: ${error.message}` };
  if (error instanceof MethodNotAllowed) return { status: 405, text: 'method not allowed: modules are read-only here' };
  if (error instanceof Loop) {
    return {
      status: 508,
      text: `loop: the request for ${subject} has come back to this service, which is its own upstream\nThe operator has to correct UPSTREAM (or GOPROXY in the environment of the service).`,
    };
  }
  if (error instanceof Gone) return { status: 410, text: `gone: ${error.message}` };
  if (error instanceof NotFound) return { status: 404, text: `not found: ${error.message}` };
  if (error instanceof Forbidden) return { status: 403, text: `refused: ${error.message}` };
  if (error instanceof UpstreamFailed) {
    const text = `upstream failure for ${subject}: ${error.message}\nPrivate modules, and modules that were downloaded before, are not affected.`;
    return { status: error.timedOut ? 504 : 502, text, retryAfter: error.retryAfter };
  }
  if (error instanceof TryAgainLater) {
    return {
      status: error.timedOut ? 504 : 503,
      text: `not available yet: ${error.message}`,
      retryAfter: error.retryAfter,
    };
  }
  if (error instanceof StoreUnavailable) {
    return {
      status: 503,
      text: `the module store cannot be reached right now, so ${subject} cannot be served\nTry again in a moment.`,
      retryAfter: 10,
    };
  }
  if (error instanceof Retry) {
    const retryAfter = Math.ceil((error.afterMs ?? 10_000) / 1000);
    return { status: 503, text: `${subject} is not available right now\nTry again in a moment.`, retryAfter };
  }
  return { status: 500, text: 'internal error\nThe log of the service has the details under this request id.' };
}
