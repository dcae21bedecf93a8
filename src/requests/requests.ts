import type { Logger } from 'pino';

/** The side that sends requests and waits for their answers. */
export interface RequestClient<R, A> {
  /**
   * Resolves with the answer, or with undefined after `timeoutMs` milliseconds. The work then continues, and its answer is
   * kept for the next client that sends the same request. Rejects with RequestFailed if the handler failed unexpectedly or
   * the queue cannot be used.
   */
  request(request: R, timeoutMs: number): Promise<A | undefined>;
}

/**
 * Requests to a worker, in this process or another one. Every implementation guarantees:
 * - equal requests that are open at the same time, in all processes together, are handled once, and every client gets the
 *   answer;
 * - an answer is kept for `keepMs(answer)` and returned to every client that sends the same request in that time;
 * - a handler that rejects fails the request for all clients that wait; nothing is kept, and the next equal request runs
 *   the handler again;
 * - if the process that handles a request dies, another one takes the request over within 20 seconds, provided that a client
 *   waits for it;
 * - if 10,000 requests wait already, a new one is rejected with RequestFailed.
 */
export interface Requests<R, A> extends RequestClient<R, A> {
  /** Starts handling requests in this process, at most `concurrency` at a time. Called once. */
  serve(concurrency: number, handler: (request: R) => Promise<A>): void;
  /** Accepts no new request, waits for the running handlers, and releases every connection and timer. */
  close(): Promise<void>;
}

/** The options of both implementations. */
export interface RequestsOptions<A> {
  readonly log: Logger;
  /** How long an answer is valid for later equal requests, in milliseconds; 0 if only for the clients that wait already. */
  readonly keepMs: (answer: A) => number;
}

/**
 * A request could not be answered because the queue, the handler or the service failed. The details are in `cause`, or in
 * the log.
 */
export class RequestFailed extends Error {
  override readonly name = 'RequestFailed';
}

/** The maximum number of requests that wait for a handler. Clients can send any number, and perhaps no handler runs. */
export const MAX_WAITING_REQUESTS = 10_000;

/**
 * Returns the id of a request, which is the same for equal requests: the order of fields does not count, nor does a field
 * that is undefined.
 */
export function requestId(request: object): string {
  const fields = Object.entries(request).filter(([, value]) => value !== undefined);
  return JSON.stringify(fields.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
