import type { Logger } from 'pino';

/** Whoever has a question. */
export interface RequestClient<Q, A> {
  /**
   * The answer, or undefined if there was none within `patienceMs`; the work goes on then, and its answer is kept for whoever
   * asks again. Rejects with RequestFailed if the handler failed unexpectedly, or if the queue cannot be used.
   */
  ask(question: Q, patienceMs: number): Promise<A | undefined>;
}

/**
 * Questions to a worker, in this process or another. Promises, for both implementations:
 * - equal questions, asked at the same time in all processes together, are handled once, and everybody gets the answer;
 * - an answer is kept for `keepMs(answer)`, and given to whoever asks the same within that time;
 * - a handler that rejects fails the question for all who wait; nothing is kept, and the next one who asks has it run again;
 * - if the process that works on a question dies, another one takes it up within 20 seconds, once somebody asks;
 * - if 10,000 questions wait already, a new one is rejected with RequestFailed.
 */
export interface Requests<Q, A> extends RequestClient<Q, A> {
  /** Starts answering in this process, at most `concurrency` at a time. To be called once. */
  answer(concurrency: number, handler: (question: Q) => Promise<A>): void;
  /** Takes no new question, waits for those being answered, and releases every connection and timer. */
  close(): Promise<void>;
}

/** What both implementations are made with. */
export interface RequestsOptions<A> {
  readonly log: Logger;
  /** For how long an answer goes for everybody who asks the same, in milliseconds; 0 for those alone who wait already. */
  readonly keepMs: (answer: A) => number;
}

/** The question could not be answered, for a reason that has nothing to do with it. The details are in `cause`, or in the log. */
export class RequestFailed extends Error {
  override readonly name = 'RequestFailed';
}

/** How many questions may wait for somebody to answer them: clients make them up, and perhaps nobody answers. */
export const MAX_WAITING = 10_000;

/** What makes two questions the same: their fields, in whatever order. A field that is undefined is none, as in JSON. */
export function requestId(question: object): string {
  const fields = Object.entries(question).filter(([, value]) => value !== undefined);
  return JSON.stringify(fields.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
