import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Request, Response } from 'express';
import type { ByteRange, StoredObject } from '../store/store.ts';
import { NotFound, type Answer, type StoredAnswer } from './module-source.ts';

/**
 * Sends a success: status, validators, length and body. `Content-Type` and `Cache-Control` are set already.
 * Rejects with NotFound if a stored object has vanished, with StoreUnavailable if it cannot be opened, and with any
 * error that breaks the body off; the response is then either untouched or destroyed.
 */
export async function respond(request: Request, response: Response, answer: Answer): Promise<void> {
  switch (answer.kind) {
    case 'redirect':
      // By hand: express would rewrite the escaping of the URL.
      response.status(302).setHeader('Location', answer.url);
      response.end();
      return;
    case 'bytes':
      if (isNotModified(request, response, etagOf(answer.body))) return;
      response.setHeader('Content-Length', answer.body.length);
      response.end(request.method === 'HEAD' ? undefined : answer.body);
      return;
    case 'stream':
      if (answer.size !== undefined) response.setHeader('Content-Length', answer.size);
      await send(request, response, answer.body);
      return;
    case 'stored':
      await respondStored(request, response, answer);
  }
}

/** Stored objects can be asked for in part (RFC 9110, section 14): a go command does not, download managers and caches do. */
async function respondStored(request: Request, response: Response, answer: StoredAnswer): Promise<void> {
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
  // Headers only now: until the object is open, it can still turn out to be gone.
  const opened = request.method === 'HEAD' ? undefined : await answer.open(range);
  if (opened === undefined && request.method !== 'HEAD') throw new NotFound('the file has just been removed');
  setLength(response, object, range);
  await send(request, response, opened?.body);
}

function setLength(response: Response, object: StoredObject, range: ByteRange | undefined): void {
  response.setHeader('Last-Modified', object.modified.toUTCString());
  response.setHeader('Content-Length', range ? range.last - range.first + 1 : object.size);
  if (range) response.status(206).setHeader('Content-Range', `bytes ${range.first}-${range.last}/${object.size}`);
}

async function send(request: Request, response: Response, body: Readable | undefined): Promise<void> {
  if (body === undefined || request.method === 'HEAD') {
    body?.destroy();
    response.end();
    return;
  }
  await pipeline(body, response);
}

/** Whether the client has this already; then the answer is complete. */
function isNotModified(request: Request, response: Response, etag: string): boolean {
  response.setHeader('ETag', etag);
  const known = request.get('if-none-match');
  if (known === undefined) return false;
  // A weak comparison, as RFC 9110 wants it for If-None-Match.
  const tags = new Set(known.split(',').map((tag) => tag.trim().replace(/^W\//, '')));
  if (!tags.has(etag) && !tags.has('*')) return false;
  response.status(304).removeHeader('Content-Type');
  response.end();
  return true;
}

/** The one range asked for; undefined means everything, which is also the answer to several ranges. */
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
