import { setMaxListeners } from 'node:events';
import { LRUCache } from 'lru-cache';
import {
  MAX_WAITING_REQUESTS,
  REMEMBER_CHANGES_MS,
  RequestFailed,
  requestId,
  type Client,
  type RequestHandler,
  type Requests,
  type RequestsOptions,
} from './requests.ts';
import { WaitingLine, type Place } from './waiting-line.ts';

/** A request that waits or runs. */
interface OpenRequest<R, A> {
  readonly key: string;
  readonly request: R;
  readonly answer: Promise<A>;
  readonly resolve: (answer: A) => void;
  readonly reject: (error: RequestFailed) => void;
  /** The places in which its clients wait for a handler. */
  readonly places: Set<Place<OpenRequest<R, A>>>;
  isRunning: boolean;
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
  /** The requests that wait or run, by request id and the number of the last change. */
  readonly #open = new Map<string, OpenRequest<R, A>>();
  /** The requests that wait for a handler. */
  readonly #line = new WaitingLine<OpenRequest<R, A>>();
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #concurrency = 0;
  #handler: RequestHandler<R, A> | undefined;

  constructor(options: RequestsOptions<R, A>) {
    this.#options = options;
    // Each waiting client adds a listener, and Node would warn from the eleventh listener on.
    setMaxListeners(0, this.#closing.signal);
  }

  async request(request: R, timeoutMs: number, client: Client = {}): Promise<A | undefined> {
    if (this.#closing.signal.aborted) throw new RequestFailed('this process accepts no more requests');
    if (client.signal?.aborted) return undefined;
    const id = requestId(request);
    const changedAt = this.#changedAt(request);
    const cached = this.#answers.get(id);
    if (cached?.changedAt === changedAt) return cached.answer;
    const key = `${id} ${changedAt}`;
    return await this.#wait(this.#open.get(key) ?? this.#openRequest(key, request), timeoutMs, client);
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
    await Promise.all(this.#running);
  }

  #openRequest(key: string, request: R): OpenRequest<R, A> {
    if (this.#open.size - this.#running.size >= MAX_WAITING_REQUESTS)
      throw new RequestFailed('too many requests are waiting');
    let settle: Pick<OpenRequest<R, A>, 'resolve' | 'reject'> | undefined;
    const answer = new Promise<A>((resolve, reject) => (settle = { resolve, reject }));
    // If all clients are gone, nobody handles the error.
    answer.catch(() => undefined);
    if (settle === undefined) throw new Error('a promise calls its executor at once');
    const open: OpenRequest<R, A> = { key, request, answer, ...settle, places: new Set(), isRunning: false };
    this.#open.set(key, open);
    return open;
  }

  /** Adds a place for a client of a request. The request runs when the first of its places is taken. */
  #join(open: OpenRequest<R, A>, { address = '' }: Client): Place<OpenRequest<R, A>> {
    const place = this.#line.join(open, address, this.#options.groupOf(open.request));
    open.places.add(place);
    this.#start();
    return place;
  }

  /** Ends the place of a client. Without another client, drops the request unless it runs. */
  #leave(place: Place<OpenRequest<R, A>>): void {
    const open = place.item;
    if (open.isRunning) return;
    open.places.delete(place);
    this.#line.leave(place);
    if (open.places.size > 0) return;
    this.#open.delete(open.key);
    open.reject(new RequestFailed('all clients of the request are gone'));
  }

  #start(): void {
    const handler = this.#handler;
    if (handler === undefined) return;
    while (this.#running.size < this.#concurrency && !this.#closing.signal.aborted) {
      const place = this.#line.take();
      if (!place) return;
      const open = place.item;
      open.isRunning = true;
      for (const other of open.places) if (other !== place) this.#line.leave(other);
      const run = this.#run(open, handler).finally(() => {
        this.#open.delete(open.key);
        this.#line.leave(place);
        this.#running.delete(run);
        this.#start();
      });
      this.#running.add(run);
    }
  }

  async #run({ request, resolve, reject }: OpenRequest<R, A>, handler: RequestHandler<R, A>): Promise<void> {
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

  /**
   * Waits in the line for a client. Resolves to the answer, or to undefined after `timeoutMs` milliseconds, when the
   * client is gone, or when the service stops. The last client that stops waiting drops the request.
   */
  #wait(open: OpenRequest<R, A>, timeoutMs: number, client: Client): Promise<A | undefined> {
    const place = open.isRunning ? undefined : this.#join(open, client);
    return new Promise<A | undefined>((resolve, reject) => {
      const signals = [this.#closing.signal, ...(client.signal ? [client.signal] : [])];
      const giveUp = (): void => {
        resolve(undefined);
        if (place) this.#leave(place);
        end();
      };
      const timer = setTimeout(giveUp, timeoutMs);
      const end = (): void => {
        clearTimeout(timer);
        for (const signal of signals) signal.removeEventListener('abort', giveUp);
      };
      for (const signal of signals) signal.addEventListener('abort', giveUp, { once: true });
      void open.answer.then(resolve, reject).finally(end);
    });
  }
}
