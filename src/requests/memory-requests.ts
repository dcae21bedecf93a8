import { setMaxListeners } from 'node:events';
import { LRUCache } from 'lru-cache';
import { SingleFlight } from '../async/single-flight.ts';
import {
  MAX_WAITING_REQUESTS,
  REMEMBER_CHANGES_MS,
  RequestFailed,
  requestId,
  type RequestHandler,
  type Requests,
  type RequestsOptions,
} from './requests.ts';

interface WaitingRequest<R, A> {
  readonly request: R;
  readonly resolve: (answer: A) => void;
  readonly reject: (error: RequestFailed) => void;
}

/** The maximum number of changes that are remembered. */
const MAX_CHANGES = 100_000;
/** The maximum number of answers in the cache. */
const MAX_ANSWERS = 10_000;

/** Requests within one process. */
export class MemoryRequests<R extends object, A extends object> implements Requests<R, A> {
  readonly #options: RequestsOptions<R, A>;
  /**
   * The answers, by request id. `LRUCache.fetch` is not used: it would keep an answer that is valid for 0 ms. After an
   * eviction, an equal request would run twice.
   */
  readonly #answers = new LRUCache<string, { readonly answer: A; readonly changedAt: number }>({ max: MAX_ANSWERS });
  /** The number of the last change of each subject. */
  readonly #changes = new LRUCache<string, number>({ max: MAX_CHANGES, ttl: REMEMBER_CHANGES_MS });
  #changeCount = 0;
  /** The requests that wait or run, by request id. */
  readonly #open = new SingleFlight<A>();
  /** The requests that wait for a handler, oldest first. */
  readonly #waiting: WaitingRequest<R, A>[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #concurrency = 0;
  #handler: RequestHandler<R, A> | undefined;

  constructor(options: RequestsOptions<R, A>) {
    this.#options = options;
    // Each waiting client adds a listener, and Node would warn from the eleventh listener on.
    setMaxListeners(0, this.#closing.signal);
  }

  async request(request: R, timeoutMs: number): Promise<A | undefined> {
    if (this.#closing.signal.aborted) throw new RequestFailed('this process accepts no more requests');
    const id = requestId(request);
    const changedAt = this.#changedAt(request);
    const cached = this.#answers.get(id);
    if (cached?.changedAt === changedAt) return cached.answer;
    return await this.#wait(
      this.#open.run(`${id} ${changedAt}`, () => this.#enqueue(request)),
      timeoutMs,
    );
  }

  async invalidate(subject: string): Promise<void> {
    this.#changes.set(subject, ++this.#changeCount);
  }

  serve(concurrency: number, handler: RequestHandler<R, A>): void {
    this.#concurrency = concurrency;
    this.#handler = handler;
    this.#start();
  }

  async check(): Promise<void> {
    // Requests within a process need no setting.
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const { reject } of this.#waiting.splice(0)) reject(new RequestFailed('the service is stopping'));
    await Promise.all(this.#running);
  }

  async #enqueue(request: R): Promise<A> {
    if (this.#waiting.length >= MAX_WAITING_REQUESTS) throw new RequestFailed('too many requests are waiting');
    return await new Promise<A>((resolve, reject) => {
      this.#waiting.push({ request, resolve, reject });
      this.#start();
    });
  }

  #start(): void {
    const handler = this.#handler;
    if (handler === undefined) return;
    while (this.#running.size < this.#concurrency && !this.#closing.signal.aborted) {
      const next = this.#waiting.shift();
      if (!next) return;
      const run = this.#run(next, handler).finally(() => {
        this.#running.delete(run);
        this.#start();
      });
      this.#running.add(run);
    }
  }

  async #run({ request, resolve, reject }: WaitingRequest<R, A>, handler: RequestHandler<R, A>): Promise<void> {
    // A change while the handler runs may be missing in its answer.
    const changedAt = this.#changedAt(request);
    try {
      const answer = await handler(request, changedAt);
      const keepMs = this.#options.keepMs(answer);
      if (keepMs > 0 && changedAt === this.#changedAt(request))
        this.#answers.set(requestId(request), { answer, changedAt }, { ttl: Math.ceil(keepMs) });
      resolve(answer);
    } catch (error) {
      this.#options.log.error(
        { event: 'on-demand.failed', request, err: error },
        'the handler of a request failed unexpectedly',
      );
      reject(new RequestFailed('the request could not be answered', { cause: error }));
    }
  }

  /** Returns the number of the last change of a subject of the request. */
  #changedAt(request: R): number {
    return Math.max(0, ...this.#options.subjectsOf(request).map((subject) => this.#changes.get(subject) ?? 0));
  }

  /** Resolves to the answer, or to undefined after `timeoutMs` milliseconds or when the service stops. */
  #wait(answer: Promise<A>, timeoutMs: number): Promise<A | undefined> {
    return new Promise((resolve, reject) => {
      const { signal } = this.#closing;
      const giveUp = (): void => resolve(undefined);
      const timer = setTimeout(giveUp, timeoutMs);
      signal.addEventListener('abort', giveUp, { once: true });
      void answer.then(resolve, reject).finally(() => {
        clearTimeout(timer);
        signal.removeEventListener('abort', giveUp);
      });
    });
  }
}
