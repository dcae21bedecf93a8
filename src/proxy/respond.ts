import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Request, Response } from 'express';
import type { ByteRange, StoredObject } from '../store/store.ts';
import { NotFound, type Answer, type FileAccess, type StoredAnswer } from './module-source.ts';

/**
 * Returns how to read a stored file for a request. A plain GET opens the file at once: this also returns size and time,
 * so a `stat` would be an unnecessary second call. A HEAD needs no body, and a range such as `bytes=-100` needs the
 * size first. A client that sends If-None-Match most likely has the file already. For such a client, a `stat` is
 * cheaper than opening a body that is not sent: an unread body from S3 makes its connection unusable.
 */
export function fileAccessFor(request: Request): FileAccess {
  const isPlainGet =
    request.method === 'GET' && request.get('range') === undefined && request.get('if-none-match') === undefined;
  return isPlainGet ? 'open' : 'stat';
}

/**
 * Sends an answer: status, validators, length and body. The caller must set `Content-Type` and `Cache-Control`
 * beforehand. Rejects with NotFound if the stored object has been removed, with StoreUnavailable if it cannot be
 * opened, or with the error of the body. After a rejection, the response is either unsent or destroyed. A body in
 * `answer` is always consumed or destroyed.
 */
export async function respond(request: Request, response: Response, answer: Answer): Promise<void> {
  try {
    await send(request, response, answer);
  } finally {
    bodyOf(answer)?.destroy();
  }
}

async function send(request: Request, response: Response, answer: Answer): Promise<void> {
  switch (answer.kind) {
    case 'redirect':
      // response.redirect is not used, because express would change the escaping of the URL.
      response.status(302).setHeader('Location', answer.url);
      response.end();
      return;
    case 'bytes':
      if (isNotModified(request, response, etagOf(answer.body))) return;
      response.setHeader('Content-Length', answer.body.length);
      if (request.method === 'HEAD') response.end();
      else if (answer.body.length <= PIECE_BYTES) response.end(answer.body);
      else await pipeline(Readable.from(piecesOf(answer.body)), response);
      return;
    case 'stream':
      if (answer.size !== undefined) response.setHeader('Content-Length', answer.size);
      await sendBody(response, request.method === 'HEAD' ? undefined : answer.body);
      return;
    case 'stored':
      await sendStored(request, response, answer);
  }
}

/**
 * Sends a stored object or a range of it (RFC 9110, section 14). The go command requests only whole files, but download
 * managers and caches request ranges.
 */
async function sendStored(request: Request, response: Response, answer: StoredAnswer): Promise<void> {
  const { object } = answer;
  const etag = etagOf(`${object.key} ${object.size} ${object.modified.getTime()}`);
  response.setHeader('Accept-Ranges', 'bytes');
  if (isNotModified(request, response, etag)) return;
  const range = rangeOf(request, etag, object.size);
  if (range === 'unsatisfiable') {
    response.status(416).setHeader('Content-Range', `bytes */${object.size}`);
    response.removeHeader('Content-Type');
    response.end();
    return;
  }
  // The headers are set only after the object is open, because until then the response can still become a 404.
  const body = request.method === 'HEAD' ? undefined : await openBody(answer, range);
  setLength(response, object, range);
  await sendBody(response, body);
}

async function openBody(answer: StoredAnswer, range: ByteRange | undefined): Promise<Readable> {
  const opened = bodyOf(answer);
  if (opened && range === undefined) return opened;
  const part = await answer.openRange(range);
  if (part === undefined) throw new NotFound('the file has just been removed');
  return part.body;
}

function setLength(response: Response, object: StoredObject, range: ByteRange | undefined): void {
  response.setHeader('Last-Modified', object.modified.toUTCString());
  response.setHeader('Content-Length', range ? range.last - range.first + 1 : object.size);
  if (range) response.status(206).setHeader('Content-Range', `bytes ${range.first}-${range.last}/${object.size}`);
}

/**
 * Sends the body, or ends a response without a body. Sends nothing before the first bytes of the body, so that a body
 * that fails at once still becomes an error response. `pipeline` destroys the body if the client disconnects.
 */
async function sendBody(response: Response, body: Readable | undefined): Promise<void> {
  if (body === undefined) {
    response.end();
    return;
  }
  await firstBytes(body, response);
  await pipeline(body, response);
}

/** Resolves once the body can be read, or the client has disconnected. Rejects if the body fails before. */
async function firstBytes(body: Readable, response: Response): Promise<void> {
  if (body.readableLength > 0 || body.destroyed || response.destroyed) return;
  const disconnected = new AbortController();
  const disconnect = (): void => disconnected.abort();
  response.once('close', disconnect);
  try {
    await once(body, 'readable', { signal: disconnected.signal });
  } catch (error) {
    if (!disconnected.signal.aborted) throw error;
  } finally {
    response.off('close', disconnect);
  }
}

/** The size of the pieces of a body in memory. */
const PIECE_BYTES = 64 * 1024;

/**
 * Yields a body in pieces. Node counts the bytes of a piece as sent only when all of them are, so the progress of a
 * slow client would otherwise not be visible (see stalled-connections.ts).
 */
function* piecesOf(body: Buffer): Generator<Buffer> {
  for (let start = 0; start < body.length; start += PIECE_BYTES) yield body.subarray(start, start + PIECE_BYTES);
}

/** Returns the open stream of an answer, if any. */
function bodyOf(answer: Answer): Readable | undefined {
  if (answer.kind === 'stream') return answer.body;
  return answer.kind === 'stored' && 'body' in answer.object ? answer.object.body : undefined;
}

/** Ends the response with 304 and returns true if the client already has the content. */
function isNotModified(request: Request, response: Response, etag: string): boolean {
  response.setHeader('ETag', etag);
  const header = request.get('if-none-match');
  if (header === undefined) return false;
  // RFC 9110 requires a weak comparison for If-None-Match.
  const tags = new Set(header.split(',').map((tag) => tag.trim().replace(/^W\//, '')));
  if (!tags.has(etag) && !tags.has('*')) return false;
  response.status(304).removeHeader('Content-Type');
  response.end();
  return true;
}

/**
 * Returns the requested range, or undefined for the whole object. A request for several ranges gets the whole object.
 */
function rangeOf(request: Request, etag: string, size: number): ByteRange | 'unsatisfiable' | undefined {
  if (request.method !== 'GET') return undefined;
  const condition = request.get('if-range');
  if (condition !== undefined && condition !== etag) return undefined;
  const match = /^bytes=(?:([0-9]{1,15})-([0-9]{1,15})?|-([0-9]{1,15}))$/.exec(request.get('range') ?? '');
  if (!match) return undefined;
  const [, from, to, suffix] = match;
  const first = from === undefined ? Math.max(0, size - Number(suffix)) : Number(from);
  const last = to === undefined ? size - 1 : Math.min(Number(to), size - 1);
  if (to !== undefined && Number(to) < first) return undefined;
  return first > last ? 'unsatisfiable' : { first, last };
}

function etagOf(content: Buffer | string): string {
  return `"${createHash('sha256').update(content).digest('base64url').slice(0, 32)}"`;
}
