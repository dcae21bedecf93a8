import type { IncomingMessage, ServerResponse } from 'node:http';
import { credentialOf } from './api/access.ts';

/** A recorded request, with the status of its response. */
export interface RequestRecord {
  readonly method: string;
  /** The percent-encoded path as received, without the relative URL. */
  readonly path: string;
  /** The query with its question mark, or an empty text. */
  readonly query: string;
  /** The status of the response, or 0 until the response begins. */
  readonly status: number;
  readonly at: Date;
  readonly token: 'none' | 'private-token' | 'bearer' | 'basic';
}

/**
 * Records a request. The status is set when the response begins. `base` is the relative URL, which the recorded path
 * omits.
 */
export function recordRequest(request: IncomingMessage, response: ServerResponse, base: string): RequestRecord {
  const [, path, query] = /^([^?]*)(.*)$/s.exec(request.url ?? '') ?? [];
  const record = {
    method: request.method ?? '',
    path: (path ?? '').startsWith(`${base}/`) ? (path ?? '').slice(base.length) : (path ?? ''),
    query: query ?? '',
    status: 0,
    at: new Date(),
    token: credentialOf(request)?.kind ?? ('none' as const),
  };
  // The status is recorded before the first byte is sent, so that the client finds it in the record.
  const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => ServerResponse;
  response.writeHead = (...args: unknown[]): ServerResponse => {
    record.status = Number(args[0]);
    return writeHead(...args);
  };
  return record;
}
