import type { IncomingMessage, ServerResponse } from 'node:http';
import { credentialOf } from './api/access.ts';

/** A request as it was answered. */
export interface RequestRecord {
  readonly method: string;
  /** Without the base, percent-encoded as it came. */
  readonly path: string;
  /** With the question mark, or empty. */
  readonly query: string;
  /** 0 until the answer begins. */
  readonly status: number;
  readonly at: Date;
  readonly token: 'none' | 'private-token' | 'bearer' | 'basic';
}

/** Notes a request. The status is filled in when the answer begins. `base` is the relative URL, which the path is noted without. */
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
  // Noted before the first byte leaves, so that whoever has the answer finds it here.
  const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => ServerResponse;
  response.writeHead = (...args: unknown[]): ServerResponse => {
    record.status = Number(args[0]);
    return writeHead(...args);
  };
  return record;
}
