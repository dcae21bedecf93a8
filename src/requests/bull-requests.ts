import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type Bull from 'bull';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { withTimeout } from '../async/with-timeout.ts';
import { discard, jobOptions, lockMsOf, openBull, type BullOptions } from '../redis/bull.ts';
import { BullConsumer } from '../redis/bull-consumer.ts';
import { checkRedis } from '../redis/check.ts';
import { joinLines, leaveLines } from '../redis/line.ts';
import { RedisConnection } from '../redis/connection.ts';
import { WrongRedisSettings } from '../redis/wrong-settings.ts';
import {
  CHANGED_SCRIPT,
  FINISH_SCRIPT,
  HOLD_SCRIPT,
  INVALIDATE_SCRIPT,
  LOOK_SCRIPT,
  lookReplySchema,
} from './request-scripts.ts';
import {
  MAX_WAITING_REQUESTS,
  REMEMBER_CHANGES_MS,
  RequestFailed,
  requestId,
  type RequestHandler,
  type Requests,
  type Client,
  type RequestsOptions,
} from './requests.ts';
import { storedAnswerSchema, type StoredAnswer } from './stored-answer.ts';

/**
 * The options of BullRequests. A request is put into the queue again if its worker does not renew the lease for
 * `lockMs`.
 */
export interface BullRequestsOptions<R, A> extends BullOptions, RequestsOptions<R, A> {
  readonly requestSchema: z.ZodType<R>;
  readonly answerSchema: z.ZodType<A>;
}

/** The minimum time that an answer stays in Redis, in milliseconds, so that waiting clients find it. */
const MIN_STAY_MS = 3_000;
/**
 * The first interval at which a client looks for the answer, in milliseconds. It doubles up to MAX_POLL_MS, because
 * most answers need only a few calls to GitLab.
 */
const FIRST_POLL_MS = 20;
const MAX_POLL_MS = 200;
/** How long a client waits for a reply of Redis before the request fails, in milliseconds. */
const REDIS_TIMEOUT_MS = 4_000;

/** Parses a request in the queue. Equal requests have the same `id`, while `job` is unique. */
const requestJobSchema = z.object({
  id: z.string(),
  job: z.string(),
  request: z.unknown(),
  /** The lines in which the request waits. */
  lines: z.array(z.string()).default([]),
});
type RequestJob = z.infer<typeof requestJobSchema>;

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
  #consumer: BullConsumer<RequestJob> | undefined;

  constructor(options: BullRequestsOptions<R, A>) {
    this.#options = options;
    this.#storedAnswerSchema = storedAnswerSchema(options.answerSchema);
    this.#redis = new RedisConnection(options.redisLocation, options.log);
    this.#bull = openBull('requests', options, () => this.#redis);
    // Each waiting client adds a listener, and Node would warn from the eleventh listener on.
    setMaxListeners(0, this.#closing.signal);
  }

  async request(request: R, timeoutMs: number, client: Client = {}): Promise<A | undefined> {
    const { signal } = this.#closing;
    if (signal.aborted) throw new RequestFailed('this process accepts no more requests');
    const deadline = performance.now() + timeoutMs;
    const id = requestId(request);
    let staleText = '';
    let requiredChange: number | undefined;
    for (let polls = 0; ; polls++) {
      const { found, changedAt } = await this.#look(id, request, staleText, client);
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
      if (leftMs <= 0 || client.signal?.aborted) return undefined;
      try {
        await sleep(Math.min(FIRST_POLL_MS * 2 ** polls, MAX_POLL_MS, leftMs), undefined, { signal });
      } catch (cause) {
        throw new RequestFailed('the service is stopping', { cause });
      }
    }
  }

  serve(concurrency: number, handler: RequestHandler<R, A>): void {
    if (this.#consumer !== undefined) throw new Error('serve() may be called only once');
    const consumer = new BullConsumer<RequestJob>('requests', this.#options, async (job, redis) => {
      const parsed = requestJobSchema.safeParse(job.data);
      if (parsed.success)
        await consumer.track(
          this.#work(parsed.data, redis, handler).then(() => leaveLines(redis, parsed.data.lines, parsed.data.job)),
        );
      else await discard(job, redis, this.#options.log, 1_000);
    });
    this.#consumer = consumer;
    void consumer.start(concurrency);
  }

  async check(): Promise<void> {
    try {
      await withTimeout(REDIS_TIMEOUT_MS, checkRedis(this.#redis, this.#bull));
      this.#consumer?.assertStarted();
    } catch (error) {
      const reason = this.#redis.reasonFor(error);
      if (reason instanceof WrongRedisSettings) throw reason;
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#consumer?.close();
    this.#redis.close();
  }

  async invalidate(subject: string): Promise<void> {
    const key = this.#changeKey(subject);
    await withTimeout(REDIS_TIMEOUT_MS, this.#redis.eval(INVALIDATE_SCRIPT, 1, key, REMEMBER_CHANGES_MS));
  }

  /**
   * Looks for the stored answer, unless its text is `staleText`. Without such an answer, puts the request into the
   * queue unless it is already there or a worker handles it. Also returns the time of the last change of the subjects.
   */
  async #look(
    id: string,
    request: R,
    staleText: string,
    client: Client,
  ): Promise<{ readonly found: FoundAnswer<A> | undefined; readonly changedAt: number }> {
    const { log } = this.#options;
    let reply: z.infer<typeof lookReplySchema>;
    try {
      reply = await withTimeout(REDIS_TIMEOUT_MS, this.#lookOrPut(id, request, staleText, client));
    } catch (error) {
      throw new RequestFailed('the queue in Redis cannot be used', { cause: this.#redis.reasonFor(error) });
    }
    const [state, text, leftMs, changedAt] = reply;
    if (state === 'full') throw new RequestFailed('too many requests are waiting');
    if (state !== 'answer') return { found: undefined, changedAt };
    const stored = this.#storedAnswerSchema.safeParse(text);
    // Only modpress writes this key, but the answer may come from another version of modpress.
    if (!stored.success)
      log.warn(
        { event: 'on-demand.answer-invalid', request, err: stored.error },
        'an answer in Redis is invalid and is ignored',
      );
    const { keepMs = 0, stayMs = 0, answer } = stored.data ?? {};
    const isFresh = keepMs - (stayMs - leftMs) > 0 && stored.success;
    return { found: { text, answer, isFresh, changedAt: stored.data?.changedAt ?? 0 }, changedAt };
  }

  async #lookOrPut(
    id: string,
    request: R,
    staleText: string,
    client: Client,
  ): Promise<z.infer<typeof lookReplySchema>> {
    const job = randomUUID();
    const keys = [
      this.#answerKey(id),
      this.#leaseKey(id),
      this.#bull.toKey('wait'),
      ...this.#options.subjectsOf(request).map((subject) => this.#changeKey(subject)),
    ];
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
    if (reply[0] === 'put') {
      const lines = [
        `group:${this.#options.groupOf(request)}`,
        ...(client.address === undefined ? [] : [`client:${client.address}`]),
      ];
      const place = await joinLines(this.#redis, lines, job, this.#bull.toKey(''));
      await this.#bull.add({ id, job, request, lines }, { ...jobOptions(job, place), attempts: 1 });
    }
    return reply;
  }

  /**
   * Handles a request. Never rejects, because a retry by Bull would be useless: a client that still waits puts the
   * request into the queue again.
   */
  async #work({ id, job, request }: RequestJob, redis: Redis, handler: RequestHandler<R, A>): Promise<void> {
    const { log } = this.#options;
    // The holder is unique for each attempt. If a worker seems dead, Bull passes its job to another worker, although
    // the first worker may still be running.
    const holder = randomUUID();
    try {
      // After an outage, the queue may contain requests that were put into it twice, or for which no client waits any
      // more.
      if (!(await this.#hold(redis, id, `waiting:${job}`, holder, ''))) return;
      // Read before the handler starts: a change while it runs may be missing in its answer.
      const changedAt = await this.#changedAt(redis, request);
      const renewing = setInterval(() => void this.#renew(redis, id, holder), lockMsOf(this.#options) / 3);
      const result = await this.#handle(request, changedAt, handler).finally(() => clearInterval(renewing));
      const stayMs = Math.max(MIN_STAY_MS, result.keepMs);
      const stored: StoredAnswer<A> = { job, ...result, stayMs, changedAt };
      const isStored = await redis.eval(
        FINISH_SCRIPT,
        2,
        this.#answerKey(id),
        this.#leaseKey(id),
        holder,
        JSON.stringify(stored),
        stayMs,
      );
      if (isStored === 0)
        log.warn(
          { event: 'on-demand.late', request },
          'an answer came too late; another worker now handles the request',
        );
    } catch (error) {
      log.warn({ event: 'on-demand.redis-failed', request, err: error }, 'Redis failed while a request was handled');
    }
  }

  /**
   * Calls the handler. Resolves to its answer and how long the answer is valid for later requests, in milliseconds.
   * Resolves without an answer if the handler failed.
   */
  async #handle(
    request: unknown,
    changedAt: number,
    handler: RequestHandler<R, A>,
  ): Promise<{ readonly keepMs: number; readonly answer?: A }> {
    try {
      const answer = await handler(this.#options.requestSchema.parse(request), changedAt);
      return { answer, keepMs: Math.ceil(this.#options.keepMs(answer)) };
    } catch (error) {
      this.#options.log.error(
        { event: 'on-demand.failed', request, err: error },
        'the handler of a request failed unexpectedly',
      );
      return { keepMs: 0 };
    }
  }

  async #changedAt(redis: Redis, request: unknown): Promise<number> {
    const parsed = this.#options.requestSchema.safeParse(request);
    if (!parsed.success) return 0;
    const keys = this.#options.subjectsOf(parsed.data).map((subject) => this.#changeKey(subject));
    return z.coerce.number().parse(await redis.eval(CHANGED_SCRIPT, keys.length, ...keys));
  }

  async #renew(redis: Redis, id: string, holder: string): Promise<void> {
    try {
      // If Redis has lost the lease, this takes it again, so that no other worker starts.
      await this.#hold(redis, id, holder, holder, holder);
    } catch (error) {
      this.#options.log.warn(
        { event: 'lease.renew-failed', err: error },
        'the lease of a request could not be renewed; trying again',
      );
    }
  }

  async #hold(redis: Redis, id: string, from: string, to: string, assumed: string): Promise<boolean> {
    return (await redis.eval(HOLD_SCRIPT, 1, this.#leaseKey(id), from, to, lockMsOf(this.#options), assumed)) === 1;
  }

  #changeKey(subject: string): string {
    return this.#redis.key(`changed:${subject}`);
  }

  #answerKey(id: string): string {
    return this.#redis.key(`answer:${id}`);
  }

  #leaseKey(id: string): string {
    return this.#redis.key(`request-lease:${id}`);
  }
}
