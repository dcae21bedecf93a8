import type { Logger } from 'pino';

/** The client for which a request is sent. */
export interface Client {
  /** The address of the client. Clients without an address count as one client. */
  readonly address?: string;
  /** Aborted when the client is gone. */
  readonly signal?: AbortSignal;
}

/** The side that sends requests and waits for their answers. */
export interface RequestClient<R, A> {
  /**
   * Resolves to the answer, or to undefined after `timeoutMs` milliseconds or when the client is gone. Work that has
   * started then continues, and its answer is kept for the next equal request. Rejects with RequestFailed if the
   * handler failed unexpectedly or the queue cannot be used.
   */
  request(request: R, timeoutMs: number, client?: Client): Promise<A | undefined>;
}

/**
 * Requests to a worker, in this process or another one. Every implementation guarantees:
 * - Equal requests that are open at the same time, in any process, are handled once. Every client gets the answer.
 * - An answer is kept for `keepMs(answer)` and returned to every client that sends an equal request in that time.
 * - If a handler rejects, the request fails for all waiting clients. Nothing is kept, and the next equal request runs
 *   the handler again.
 * - If the process that handles a request dies, another process takes over within 20 seconds, provided that a client
 *   still waits.
 * - After `invalidate(subject)`, an answer that depends on the subject is not returned to any new request, even if its
 *   handler is still running. A new request runs the handler again.
 * - Clients take turns, and so do the groups of requests (see `groupOf`): many requests of one client or group do not
 *   delay those of others by more than a few requests. A request of several clients waits in a place for each of them.
 * - A waiting request is dropped when all its clients are gone.
 * - If 10,000 requests are already waiting, a new request is rejected with RequestFailed.
 */
export interface Requests<R, A> extends RequestClient<R, A> {
  /** Starts handling requests in this process, at most `concurrency` at a time. Called once. */
  serve(concurrency: number, handler: RequestHandler<R, A>): void;
  /** Invalidates all answers that depend on a subject (see `subjectsOf`), in all processes. Rejects if Redis fails. */
  invalidate(subject: string): Promise<void>;
  /**
   * Resolves if requests can reach a worker, or could if there were no outage. The proxy serves published versions
   * during an outage. Rejects with the reason if requests cannot reach a worker until an operator changes a setting.
   */
  check(): Promise<void>;
  /** Accepts no new request, waits for the running handlers, and releases every connection and timer. */
  close(): Promise<void>;
}

/**
 * Handles a request. `changedAt` grows with each change of a subject of the request. The answer must contain all
 * changes so far: if `changedAt` is higher than before, data that was cached earlier is out of date.
 */
export type RequestHandler<R, A> = (request: R, changedAt: number) => Promise<A>;

/** The options of both implementations. */
export interface RequestsOptions<R, A> {
  readonly log: Logger;
  /**
   * Returns how long an answer is valid for later equal requests, in milliseconds. 0 means that it is valid only for
   * clients that are already waiting.
   */
  readonly keepMs: (answer: A) => number;
  /** Returns the name of the group of a request. */
  readonly groupOf: (request: R) => string;
  /** Returns the subjects on which the answer to a request depends, for `invalidate`. */
  readonly subjectsOf: (request: R) => readonly string[];
}

/** How long a change must be remembered, in milliseconds: longer than any answer is valid. */
export const REMEMBER_CHANGES_MS = 20 * 60_000;

/**
 * The queue, the handler or the service failed, so a request could not be answered. `cause` or the log has the details.
 */
export class RequestFailed extends Error {
  override readonly name = 'RequestFailed';
}

/**
 * The maximum number of requests that wait for a handler. Without a limit, they could use up the memory while no
 * handler runs.
 */
export const MAX_WAITING_REQUESTS = 10_000;

/**
 * Returns the id of a request. Equal requests have the same id: the order of fields does not matter, and undefined
 * fields do not count.
 */
export function requestId(request: object): string {
  const fields = Object.entries(request).filter(([, value]) => value !== undefined);
  return JSON.stringify(fields.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
