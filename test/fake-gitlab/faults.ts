import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

/** A fault in a response. */
export type FaultKind =
  | { readonly status: number; readonly body?: string | object; readonly headers?: Readonly<Record<string, string>> }
  /**
   * The body stops in the middle, and the response ends normally. GitLab sends a truncated archive in this way, with
   * status 200.
   */
  | 'truncate'
  /** The connection is closed in the middle of the body. */
  | 'drop'
  | { readonly delayMs: number }
  | { readonly trickleBytesPerSecond: number };

export interface Fault {
  /** The pattern for the path and the query. The path is percent-encoded and does not contain the relative URL. */
  readonly path: RegExp;
  readonly method?: string;
  /** The number of requests that the fault affects. The default is 1. */
  readonly times?: number;
  readonly kind: FaultKind;
}

export interface AddedFault {
  remove(): void;
  readonly hits: number;
}

/** The faults of a stand-in. All faults that match a request apply, in the order in which they were added. */
export class Faults {
  readonly #active = new Map<Fault, { hits: number }>();

  add(fault: Fault): AddedFault {
    // A copy, so that a test can add one object twice.
    const own = { ...fault };
    const count = { hits: 0 };
    this.#active.set(own, count);
    return {
      remove: () => void this.#active.delete(own),
      get hits() {
        return count.hits;
      },
    };
  }

  clear(): void {
    this.#active.clear();
  }

  /**
   * Applies the matching faults to a response, before any byte of it is written. Resolves to true if a fault has
   * already sent the response.
   */
  async apply(path: string, request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    for (const [fault, count] of this.#active) {
      if (fault.method !== undefined && fault.method !== request.method) continue;
      if (count.hits >= (fault.times ?? 1) || !matches(fault.path, path)) continue;
      count.hits += 1;
      if (await spoil(fault.kind, response)) return true;
    }
    return false;
  }
}

function matches(pattern: RegExp, path: string): boolean {
  return new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, '')).test(path);
}

async function spoil(kind: FaultKind, response: ServerResponse): Promise<boolean> {
  if (kind === 'truncate') {
    holdBack(response, (body, end) => end(body.subarray(0, Math.floor(body.length / 2))));
  } else if (kind === 'drop') {
    holdBack(response, (body) => {
      response.flushHeaders();
      if (body.length === 0) response.socket?.destroy();
      else response.write(body.subarray(0, Math.ceil(body.length / 2)), () => response.socket?.destroy());
    });
  } else if ('delayMs' in kind) {
    await delay(kind.delayMs);
  } else if ('trickleBytesPerSecond' in kind) {
    holdBack(response, (body, end) => trickle(response, body, kind.trickleBytesPerSecond, end));
  } else {
    const json = typeof kind.body === 'object';
    response.writeHead(kind.status, { 'Content-Type': json ? 'application/json' : 'text/plain', ...kind.headers });
    response.end(json ? JSON.stringify(kind.body) : kind.body);
    return true;
  }
  return false;
}

/** Collects the body of a response instead of sending it, and passes the complete body to `send`. */
function holdBack(response: ServerResponse, send: (body: Buffer, end: (rest: Buffer) => void) => void): void {
  const chunks: Buffer[] = [];
  const write = response.write.bind(response);
  const end = response.end.bind(response);
  const keep = (chunk: unknown): void => {
    if (typeof chunk === 'string' || chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk as string));
  };
  response.write = ((chunk: unknown, ...rest: unknown[]): boolean => {
    keep(chunk);
    callLast(rest);
    return true;
  }) as ServerResponse['write'];
  response.end = ((chunk?: unknown, ...rest: unknown[]): ServerResponse => {
    keep(chunk);
    response.write = write;
    response.end = end;
    // The length that was set may no longer be right.
    response.removeHeader('Content-Length');
    send(Buffer.concat(chunks), (tail) => void end(tail));
    callLast([chunk, ...rest]);
    return response;
  }) as ServerResponse['end'];
}

function callLast(args: readonly unknown[]): void {
  const last = args.at(-1);
  if (typeof last === 'function') process.nextTick(last);
}

function trickle(response: ServerResponse, body: Buffer, bytesPerSecond: number, end: (rest: Buffer) => void): void {
  const step = Math.max(1, Math.floor(bytesPerSecond / 20));
  let at = 0;
  response.flushHeaders();
  const timer = setInterval(() => {
    if (at + step < body.length && !response.destroyed) {
      response.write(body.subarray(at, at + step));
      at += step;
      return;
    }
    clearInterval(timer);
    end(body.subarray(at));
  }, 50);
  response.once('close', () => clearInterval(timer));
}
