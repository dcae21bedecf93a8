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

interface WaitingRequest<R, A> {
  readonly key: string;
  readonly request: R;
  readonly resolve: (answer: A) => void;
  readonly reject: (error: RequestFailed) => void;
}

/** A request that waits or runs. */
interface OpenRequest<A> {
  readonly answer: Promise<A>;
  /** The number of clients that wait for the answer. */
  clients: number;
  /** Drops the request unless it runs. */
  readonly drop: () => void;
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
  readonly #open = new Map<string, OpenRequest<A>>();
  /** The requests that wait for a handler. */
  readonly #waiting = new WaitingLine<WaitingRequest<R, A>>();
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
    const id = requestId(request);
    const changedAt = this.#changedAt(request);
    const cached = this.#answers.get(id);
    if (cached?.changedAt === changedAt) return cached.answer;
    const key = `${id} ${changedAt}`;
    const open = this.#open.get(key) ?? this.#enqueue(key, request, client);
    return await this.#wait(open, timeoutMs, client.signal);
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
    for (let next = this.#waiting.take(); next; next = this.#waiting.take())
      next.item.reject(new RequestFailed('the service is stopping'));
    await Promise.all(this.#running);
  }

  #enqueue(key: string, request: R, { address }: Client): OpenRequest<A> {
    if (this.#waiting.size >= MAX_WAITING_REQUESTS) throw new RequestFailed('too many requests are waiting');
    let settle: Pick<WaitingRequest<R, A>, 'resolve' | 'reject'> | undefined;
    const answer = new Promise<A>((resolve, reject) => (settle = { resolve, reject }));
    // If all clients are gone, nobody handles the error.
    answer.catch(() => undefined);
    if (settle === undefined) throw new Error('a promise calls its executor at once');
    const place = this.#waiting.join({ key, request, ...settle }, [
      `group ${this.#options.groupOf(request)}`,
      ...(address === undefined ? [] : [`client ${address}`]),
    ]);
    const open: OpenRequest<A> = { answer, clients: 0, drop: () => this.#drop(place) };
    this.#open.set(key, open);
    this.#start();
    return open;
  }

  /** Drops a request that still waits for a handler. */
  #drop(place: Place<WaitingRequest<R, A>>): void {
    if (!this.#waiting.isWaiting(place)) return;
    this.#open.delete(place.item.key);
    this.#waiting.leave(place);
    place.item.reject(new RequestFailed('all clients of the request are gone'));
  }

  #start(): void {
    const handler = this.#handler;
    if (handler === undefined) return;
    while (this.#running.size < this.#concurrency && !this.#closing.signal.aborted) {
      const next = this.#waiting.take();
      if (!next) return;
      const run = this.#run(next.item, handler).finally(() => {
        this.#open.delete(next.item.key);
        this.#waiting.leave(next);
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

  /**
   * Resolves to the answer, or to undefined after `timeoutMs` milliseconds, when the client is gone, or when the
   * service stops. The last client that stops waiting drops the request.
   */
  #wait(open: OpenRequest<A>, timeoutMs: number, gone: AbortSignal | undefined): Promise<A | undefined> {
    open.clients++;
    return new Promise<A | undefined>((resolve, reject) => {
      const signals = [this.#closing.signal, ...(gone ? [gone] : [])];
      const giveUp = (): void => {
        resolve(undefined);
        open.clients--;
        if (open.clients === 0) open.drop();
        end();
      };
      const timer = setTimeout(giveUp, timeoutMs);
      const end = (): void => {
        clearTimeout(timer);
        for (const signal of signals) signal.removeEventListener('abort', giveUp);
      };
      for (const signal of signals) signal.addEventListener('abort', giveUp, { once: true });
      void open.answer.then(resolve, reject).finally(end);
      if (gone?.aborted) giveUp();
    });
  }
}
