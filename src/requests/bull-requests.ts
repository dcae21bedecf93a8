import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type Bull from 'bull';
import type { z } from 'zod';
import { sleep } from '../async/sleep.ts';
import { withTimeout } from '../async/with-timeout.ts';
import { jobOptions, lockMsOf, openBull } from '../redis/bull.ts';
import { checkRedis } from '../redis/check.ts';
import { RedisConnection } from '../redis/connection.ts';
import { WrongRedisSettings } from '../redis/wrong-settings.ts';
import { answerKey, changeKey, leaseKey, type BullRequestsOptions, type RequestJob } from './bull-request-job.ts';
import { BullRequestWorker } from './bull-request-worker.ts';
import { joinRequestLine } from './request-line.ts';
import { ABANDON_SCRIPT, INVALIDATE_SCRIPT, LOOK_SCRIPT, lookReplySchema } from './request-scripts.ts';
import {
  MAX_WAITING_REQUESTS,
  REMEMBER_CHANGES_MS,
  RequestFailed,
  requestId,
  type Client,
  type RequestHandler,
  type Requests,
} from './requests.ts';
import { storedAnswerSchema, type StoredAnswer } from './stored-answer.ts';

/**
 * The first interval at which a client looks for the answer, in milliseconds. It doubles up to a maximum, because most
 * answers need only a few calls to GitLab. The maximum grows by POLL_MS_PER_CLIENT for each client that waits in the
 * process. The clients together then look at most 1,000 times a second.
 */
const FIRST_POLL_MS = 20;
const MIN_MAX_POLL_MS = 200;
const MAX_POLL_MS = 2_000;
const POLL_MS_PER_CLIENT = 1;
/**
 * How long a waiting request stays in the queue after its last client in this process has left, in milliseconds. A
 * client in another process looks for the answer in this time.
 */
const ABANDONED_MS = MAX_POLL_MS + 1_000;
/** How long a client waits for a reply of Redis before the request fails, in milliseconds. */
const REDIS_TIMEOUT_MS = 4_000;

/** A client that waits for the answer to a request. */
interface Waiter<R> {
  readonly id: string;
  readonly request: R;
  readonly client: string;
  readonly group: string;
  /** The keys of the times of the last changes of the subjects. */
  readonly changeKeys: readonly string[];
  /** Whether the request is in the queue for this client. */
  hasPlace: boolean;
}

/** An answer that a client has found in Redis. */
interface FoundAnswer<A> {
  /** The JSON text of the answer in Redis. */
  readonly text: string;
  /** Whether the answer is valid for new requests. */
  readonly isFresh: boolean;
  /** See StoredAnswer. */
  readonly changedAt: number;
  /** Absent if the handler failed or `text` cannot be read. */
  readonly answer: A | undefined;
}

/**
 * Requests through Redis, for all processes with the same location. Bull delivers a request to a worker. The worker
 * stores the answer under a key that all clients of the request read. A lease on each request prevents other workers
 * from handling the same request. The lease expires if its worker dies.
 */
export class BullRequests<R extends object, A extends object> implements Requests<R, A> {
  readonly #options: BullRequestsOptions<R, A>;
  readonly #storedAnswerSchema: z.ZodType<StoredAnswer<A>>;
  readonly #redis: RedisConnection;
  readonly #bull: Bull.Queue<RequestJob>;
  readonly #closing = new AbortController();
  /** The number of clients in this process that wait for the answer to the request with an id. */
  readonly #clients = new Map<string, number>();
  /** The number of clients in this process that wait for any answer. */
  #clientCount = 0;
  #worker: BullRequestWorker<R, A> | undefined;

  constructor(options: BullRequestsOptions<R, A>) {
    this.#options = options;
    this.#storedAnswerSchema = storedAnswerSchema(options.answerSchema);
    this.#redis = new RedisConnection(options.redisLocation, options.log);
    this.#bull = openBull('requests', options, () => this.#redis);
    // Each waiting client adds a listener, and Node would warn from the eleventh listener on.
    setMaxListeners(0, this.#closing.signal);
  }

  async request(request: R, timeoutMs: number, client: Client = {}): Promise<A | undefined> {
    if (this.#closing.signal.aborted) throw new RequestFailed('this process accepts no more requests');
    if (client.signal?.aborted) return undefined;
    const id = requestId(request);
    const waiter: Waiter<R> = {
      id,
      request,
      client: client.address ?? '',
      group: this.#options.groupOf(request),
      changeKeys: this.#options.subjectsOf(request).map((subject) => changeKey(this.#redis, subject)),
      hasPlace: false,
    };
    this.#clientCount++;
    this.#clients.set(id, (this.#clients.get(id) ?? 0) + 1);
    let isAbandoned = false;
    try {
      const answer = await this.#answerTo(waiter, performance.now() + timeoutMs, client.signal);
      isAbandoned = answer === undefined;
      return answer;
    } finally {
      this.#clientCount--;
      const left = (this.#clients.get(id) ?? 0) - 1;
      if (left > 0) this.#clients.set(id, left);
      else this.#clients.delete(id);
      if (left === 0 && isAbandoned) this.#abandon(id);
    }
  }

  serve(concurrency: number, handler: RequestHandler<R, A>): void {
    if (this.#worker !== undefined) throw new Error('serve() may be called only once');
    this.#worker = new BullRequestWorker(this.#options, handler);
    void this.#worker.start(concurrency);
  }

  async check(): Promise<void> {
    try {
      await withTimeout(REDIS_TIMEOUT_MS, checkRedis(this.#redis, this.#bull));
      this.#worker?.assertStarted();
    } catch (error) {
      const reason = this.#redis.reasonFor(error);
      if (reason instanceof WrongRedisSettings) throw reason;
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#worker?.close();
    this.#redis.close();
  }

  async invalidate(subject: string): Promise<void> {
    const key = changeKey(this.#redis, subject);
    await withTimeout(REDIS_TIMEOUT_MS, this.#redis.eval(INVALIDATE_SCRIPT, 1, key, REMEMBER_CHANGES_MS));
  }

  async #answerTo(waiter: Waiter<R>, deadline: number, gone: AbortSignal | undefined): Promise<A | undefined> {
    const signals = [this.#closing.signal, ...(gone ? [gone] : [])];
    let staleText = '';
    let requiredChange: number | undefined;
    for (let polls = 0; ; polls++) {
      const { found, changedAt } = await this.#look(waiter, staleText);
      // The answer has to contain all changes before this request.
      requiredChange ??= changedAt;
      if (found && ((polls === 0 && !found.isFresh) || found.changedAt < requiredChange)) {
        staleText = found.text;
        continue;
      }
      // An answer that is no longer valid for new requests is still valid for the clients that waited for it.
      if (found?.answer) return found.answer;
      if (found) throw new RequestFailed('the request could not be answered');
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) return undefined;
      await sleep(Math.min(FIRST_POLL_MS * 2 ** polls, this.#maxPollMs(), leftMs), ...signals);
      if (this.#closing.signal.aborted) throw new RequestFailed('the service is stopping');
      if (gone?.aborted) return undefined;
    }
  }

  #maxPollMs(): number {
    const wantedMs = Math.max(MIN_MAX_POLL_MS, this.#clientCount * POLL_MS_PER_CLIENT);
    // The lease of a waiting request must not expire between two looks.
    return Math.min(wantedMs, MAX_POLL_MS, lockMsOf(this.#options) / 3);
  }

  /**
   * Lets a request leave the queue soon, unless a client in another process waits for it. Ignores an outage of Redis:
   * the lease of the request expires later.
   */
  #abandon(id: string): void {
    void this.#redis.eval(ABANDON_SCRIPT, 1, leaseKey(this.#redis, id), ABANDONED_MS).catch(() => undefined);
  }

  /**
   * Looks for the stored answer, unless its text is `staleText`. Without such an answer, puts the request into the
   * queue unless it is already there for this client or a worker handles it. Also returns the time of the last change of
   * the subjects.
   */
  async #look(
    waiter: Waiter<R>,
    staleText: string,
  ): Promise<{ readonly found: FoundAnswer<A> | undefined; readonly changedAt: number }> {
    let reply: z.infer<typeof lookReplySchema>;
    try {
      reply = await withTimeout(REDIS_TIMEOUT_MS, this.#lookOrPut(waiter, staleText));
    } catch (error) {
      throw new RequestFailed('the queue in Redis cannot be used', { cause: this.#redis.reasonFor(error) });
    }
    const [state, text, leftMs, changedAt] = reply;
    if (state === 'full') throw new RequestFailed('too many requests are waiting');
    if (state !== 'answer') return { found: undefined, changedAt };
    const stored = this.#storedAnswerSchema.safeParse(text);
    // Only modpress writes this key, but the answer may come from another version of modpress.
    if (!stored.success)
      this.#options.log.warn(
        { event: 'on-demand.answer-invalid', request: waiter.request, err: stored.error },
        'an answer in Redis is invalid and is ignored',
      );
    const { keepMs = 0, stayMs = 0, answer } = stored.data ?? {};
    const isFresh = keepMs - (stayMs - leftMs) > 0 && stored.success;
    return { found: { text, answer, isFresh, changedAt: stored.data?.changedAt ?? 0 }, changedAt };
  }

  async #lookOrPut(waiter: Waiter<R>, staleText: string): Promise<z.infer<typeof lookReplySchema>> {
    const { id, client, changeKeys } = waiter;
    const job = `${randomUUID()},${client}`;
    const keys = [answerKey(this.#redis, id), leaseKey(this.#redis, id), this.#bull.toKey('wait'), ...changeKeys];
    const reply = lookReplySchema.parse(
      await this.#redis.eval(
        LOOK_SCRIPT,
        keys.length,
        ...keys,
        staleText,
        job,
        lockMsOf(this.#options),
        MAX_WAITING_REQUESTS,
        this.#bull.toKey(''),
      ),
    );
    const [state, text] = reply;
    if (state === 'put') await this.#put(waiter, job, job);
    // The request of another client waits in the place of that client. This client gets a place of its own.
    if (state === 'wait' && !waiter.hasPlace && text !== '')
      await this.#put(waiter, text, `${text.split(',', 1)[0]},${client}`);
    return reply;
  }

  /** Puts a request into the queue in the place of a client, unless it is already there. */
  async #put(waiter: Waiter<R>, job: string, jobId: string): Promise<void> {
    const { id, request, client, group } = waiter;
    const rank = await joinRequestLine(this.#redis, { client, group }, jobId, this.#bull.toKey(''));
    if (rank !== undefined)
      await this.#bull.add({ id, job, request, client, group }, { ...jobOptions(jobId, rank), attempts: 1 });
    waiter.hasPlace = true;
  }
}
