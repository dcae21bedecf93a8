import { setMaxListeners } from 'node:events';
import { LRUCache } from 'lru-cache';
import { MAX_WAITING, RequestFailed, requestId, type Requests, type RequestsOptions } from './requests.ts';

interface Waiting<Q, A> {
  readonly question: Q;
  readonly resolve: (answer: A) => void;
  readonly reject: (error: RequestFailed) => void;
}

/** How many answers are kept at most. */
const MAX_KEPT = 10_000;

/** Questions within one process. */
export class MemoryRequests<Q extends object, A extends object> implements Requests<Q, A> {
  readonly #options: RequestsOptions<A>;
  readonly #kept = new LRUCache<string, A>({ max: MAX_KEPT });
  /** What is being waited for, by the question's id. */
  readonly #open = new Map<string, Promise<A>>();
  /** In the order in which they are to be answered. */
  readonly #waiting: Waiting<Q, A>[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #concurrency = 0;
  #handler: ((question: Q) => Promise<A>) | undefined;

  constructor(options: RequestsOptions<A>) {
    this.#options = options;
    // One for each who waits.
    setMaxListeners(0, this.#closing.signal);
  }

  async ask(question: Q, patienceMs: number): Promise<A | undefined> {
    if (this.#closing.signal.aborted) throw new RequestFailed('no more questions are answered here');
    const id = requestId(question);
    const kept = this.#kept.get(id);
    if (kept) return kept;
    let open = this.#open.get(id);
    if (!open) {
      if (this.#waiting.length >= MAX_WAITING) throw new RequestFailed('too many questions wait');
      open = new Promise<A>((resolve, reject) => this.#waiting.push({ question, resolve, reject })).finally(() =>
        this.#open.delete(id),
      );
      this.#open.set(id, open);
      this.#start();
    }
    return await this.#wait(open, patienceMs);
  }

  answer(concurrency: number, handler: (question: Q) => Promise<A>): void {
    this.#concurrency = concurrency;
    this.#handler = handler;
    this.#start();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const { reject } of this.#waiting.splice(0)) reject(new RequestFailed('the service is stopping'));
    await Promise.all(this.#running);
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

  async #run({ question, resolve, reject }: Waiting<Q, A>, handler: (question: Q) => Promise<A>): Promise<void> {
    try {
      const answer = await handler(question);
      const keepMs = this.#options.keepMs(answer);
      if (keepMs > 0) this.#kept.set(requestId(question), answer, { ttl: Math.ceil(keepMs) });
      resolve(answer);
    } catch (error) {
      this.#options.log.error({ question, err: error }, 'a question could not be answered');
      reject(new RequestFailed('the question could not be answered', { cause: error }));
    }
  }

  /** What comes of it, unless patience or the service ends first. */
  #wait(open: Promise<A>, patienceMs: number): Promise<A | undefined> {
    return new Promise((resolve, reject) => {
      const { signal } = this.#closing;
      const giveUp = (): void => resolve(undefined);
      const timer = setTimeout(giveUp, patienceMs);
      signal.addEventListener('abort', giveUp, { once: true });
      void open.then(resolve, reject).finally(() => {
        clearTimeout(timer);
        signal.removeEventListener('abort', giveUp);
      });
    });
  }
}
