import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type Bull from 'bull';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { discard, jobOptions, lockMsOf, openBull, prefixOf, type BullOptions } from '../redis/bull.ts';
import { BullConsumer } from '../redis/bull-consumer.ts';
import { MAX_WAITING, RequestFailed, requestId, type Requests, type RequestsOptions } from './requests.ts';
import { connectRedis, endRedis, watchHeartbeat } from '../redis/connection.ts';
import { withTimeout } from '../async/with-timeout.ts';

/** How questions on Bull are made. After `lockMs`, a question whose process is silent is put again. */
export interface BullRequestsOptions<Q, A> extends BullOptions, RequestsOptions<A> {
  readonly question: z.ZodType<Q>;
  readonly answer: z.ZodType<A>;
}

/** Whoever waits already finds the answer at least for so long, in milliseconds. */
const seenMs = 3_000;
/** How often one looks for the answer, in milliseconds: soon at first, since most answers take a few calls to GitLab. */
const lookMs = { first: 20, most: 200 };
/** How long one asks Redis before giving up, in milliseconds. */
const patienceOfRedisMs = 4_000;

/**
 * Answers what is there and how long it stays, unless it is what was there before; else takes the lease, and says so with
 * `put`, unless somebody has it or too many questions wait.
 */
const lookScript = `
local text = redis.call('GET', KEYS[1])
if text and text ~= ARGV[1] then return {'answer', text, redis.call('PTTL', KEYS[1])} end
if redis.call('EXISTS', KEYS[2]) == 1 then return {'wait', '', 0} end
if redis.call('LLEN', KEYS[3]) >= tonumber(ARGV[4]) then return {'full', '', 0} end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return {'put', '', 0}`;
const lookReply = z.tuple([z.enum(['answer', 'wait', 'full', 'put']), z.string(), z.number()]);

/** Hands the lease from one holder to another, or to the same for longer. Answers 0 if another has it; none counts as the last argument. */
const holdScript = `
if (redis.call('GET', KEYS[1]) or ARGV[4]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`;

/** Stores the answer and gives the lease back. Answers 0, and does nothing, if another has the lease. */
const finishScript = `
if (redis.call('GET', KEYS[2]) or ARGV[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return 1`;

/** A question on its way. `job` tells this piece of work from others on the same question. */
const questionJob = z.object({ id: z.string(), job: z.string(), question: z.unknown() });
type QuestionJob = z.infer<typeof questionJob>;

/**
 * What lies in Redis where an answer is: which piece of work gave it, for how long it goes for new questions and how long it
 * stays, in milliseconds, and the answer, unless the work failed. How old it is, Redis knows: clocks differ.
 */
interface StoredAnswer<A> {
  readonly job: string;
  readonly keepMs: number;
  readonly stayMs: number;
  readonly answer?: A | undefined;
}

/** What was found where an answer is. */
interface Seen<A> {
  /** As it lies in Redis. */
  readonly text: string;
  /** Whether it goes for new questions. */
  readonly isFresh: boolean;
  /** None if the work failed, or if it cannot be read. */
  readonly answer: A | undefined;
}

/**
 * Questions on Redis, for all processes that give the same prefix. Bull carries them to a worker; the answer is put where
 * all who ask look for it. A lease on each question keeps it from being worked on twice, and runs out with its worker.
 */
export class BullRequests<Q extends object, A extends object> implements Requests<Q, A> {
  readonly #options: BullRequestsOptions<Q, A>;
  readonly #stored: z.ZodType<StoredAnswer<A>>;
  readonly #redis: Redis;
  readonly #bull: Bull.Queue<QuestionJob>;
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #consumer: BullConsumer<QuestionJob> | undefined;

  constructor(options: BullRequestsOptions<Q, A>) {
    this.#options = options;
    this.#stored = storedAnswer(options.answer);
    this.#redis = connectRedis(options.redisUrl, options.log);
    watchHeartbeat(this.#redis);
    this.#bull = openBull('questions', options, () => this.#redis);
    // One for each who waits.
    setMaxListeners(0, this.#closing.signal);
  }

  async ask(question: Q, patienceMs: number): Promise<A | undefined> {
    const { signal } = this.#closing;
    if (signal.aborted) throw new RequestFailed('no more questions are answered here');
    const deadline = performance.now() + patienceMs;
    const id = requestId(question);
    let before = '';
    for (let looks = 0; ; looks++) {
      const seen = await this.#look(id, question, before);
      if (seen && looks === 0 && !seen.isFresh) {
        before = seen.text;
        continue;
      }
      // What is not kept for others is still the answer for those who asked before it was there.
      if (seen?.answer) return seen.answer;
      if (seen) throw new RequestFailed('the question could not be answered');
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) return undefined;
      try {
        await sleep(Math.min(lookMs.first * 2 ** looks, lookMs.most, leftMs), undefined, { signal });
      } catch (cause) {
        throw new RequestFailed('the service is stopping', { cause });
      }
    }
  }

  answer(concurrency: number, handler: (question: Q) => Promise<A>): void {
    if (this.#consumer !== undefined) throw new Error('answer() is called once');
    this.#consumer = new BullConsumer('questions', this.#options, async (job, redis) => {
      const asked = questionJob.safeParse(job.data);
      if (asked.success) await this.#track(this.#work(asked.data, redis, handler));
      else await discard(job, redis, this.#options.log, 1_000);
    });
    void this.#consumer.start(concurrency);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#consumer?.close(this.#running);
    endRedis(this.#redis);
  }

  /** What is there, if it is something else than `before`. If not, the question is handed to a worker, unless one has it. */
  async #look(id: string, question: Q, before: string): Promise<Seen<A> | undefined> {
    const { log } = this.#options;
    let reply: z.infer<typeof lookReply>;
    try {
      reply = await withTimeout(patienceOfRedisMs, this.#lookOrPut(id, question, before));
    } catch (error) {
      throw new RequestFailed('the queue in Redis cannot be used', { cause: error });
    }
    const [state, text, leftMs] = reply;
    if (state === 'full') throw new RequestFailed('too many questions wait');
    if (state !== 'answer') return undefined;
    const stored = this.#stored.safeParse(text);
    // It is ours, but perhaps by another version.
    if (!stored.success)
      log.warn({ question, err: stored.error }, 'an answer in Redis cannot be read and counts as not there');
    const { keepMs = 0, stayMs = 0, answer } = stored.data ?? {};
    return { text, answer, isFresh: keepMs - (stayMs - leftMs) > 0 && stored.success };
  }

  async #lookOrPut(id: string, question: Q, before: string): Promise<z.infer<typeof lookReply>> {
    const job = randomUUID();
    const keys = [this.#answerKey(id), this.#leaseKey(id), this.#bull.toKey('wait')];
    const reply = lookReply.parse(
      await this.#redis.eval(lookScript, 3, ...keys, before, job, lockMsOf(this.#options), MAX_WAITING),
    );
    if (reply[0] === 'put') await this.#bull.add({ id, job, question }, { ...jobOptions(job), attempts: 1 });
    return reply;
  }

  /** Works on a question. Never rejects: what Bull would make of that helps nobody, and whoever waits puts the question again. */
  async #work({ id, job, question }: QuestionJob, redis: Redis, handler: (question: Q) => Promise<A>): Promise<void> {
    const { log } = this.#options;
    // One for each attempt: Bull hands the same job to another worker once it takes the first for dead, which it may not be.
    const holder = randomUUID();
    try {
      // After an outage there may be questions in the queue that were put again meanwhile, or for which nobody waits.
      if (!(await this.#hold(redis, id, job, holder, ''))) return;
      const renewing = setInterval(() => void this.#renew(redis, id, holder), lockMsOf(this.#options) / 3);
      const answered = await this.#handle(question, handler).finally(() => clearInterval(renewing));
      const stayMs = Math.max(seenMs, answered.keepMs);
      const stored: StoredAnswer<A> = { job, ...answered, stayMs };
      const isStored = await redis.eval(
        finishScript,
        2,
        this.#answerKey(id),
        this.#leaseKey(id),
        holder,
        JSON.stringify(stored),
        stayMs,
      );
      if (isStored === 0) log.warn({ question }, 'an answer came too late: the question was put again');
    } catch (error) {
      log.warn({ question, err: error }, 'Redis failed in the middle of a question');
    }
  }

  /** The answer and for how many milliseconds it goes for others; none if the handler failed. */
  async #handle(
    question: unknown,
    handler: (question: Q) => Promise<A>,
  ): Promise<{ readonly keepMs: number; readonly answer?: A }> {
    try {
      const answer = await handler(this.#options.question.parse(question));
      return { answer, keepMs: Math.ceil(this.#options.keepMs(answer)) };
    } catch (error) {
      this.#options.log.error({ question, err: error }, 'a question could not be answered');
      return { keepMs: 0 };
    }
  }

  async #renew(redis: Redis, id: string, holder: string): Promise<void> {
    try {
      // Taken back if Redis lost it, so that nobody begins anew.
      await this.#hold(redis, id, holder, holder, holder);
    } catch (error) {
      this.#options.log.warn({ err: error }, 'the lease of a question could not be renewed; trying again');
    }
  }

  async #hold(redis: Redis, id: string, from: string, to: string, ifNone: string): Promise<boolean> {
    return (await redis.eval(holdScript, 1, this.#leaseKey(id), from, to, lockMsOf(this.#options), ifNone)) === 1;
  }

  #track(run: Promise<void>): Promise<void> {
    this.#running.add(run);
    return run.finally(() => this.#running.delete(run));
  }

  #answerKey(id: string): string {
    return `${prefixOf(this.#options)}:answer:${id}`;
  }

  #leaseKey(id: string): string {
    return `${prefixOf(this.#options)}:asked:${id}`;
  }
}

function storedAnswer<A>(answer: z.ZodType<A>): z.ZodType<StoredAnswer<A>> {
  const json = z.string().transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch (error) {
      context.addIssue(String(error));
      return z.NEVER;
    }
  });
  return json.pipe(z.object({ job: z.string(), keepMs: z.number(), stayMs: z.number(), answer: answer.optional() }));
}
