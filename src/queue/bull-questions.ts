import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type Bull from 'bull';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { jobOptions, openBull, prefixOf, type BullOptions } from './bull.ts';
import { BullConsumer } from './bull-consumer.ts';
import { QuestionFailed, questionId, type Questions, type QuestionsOptions } from './questions.ts';
import { connectRedis, endRedis, watchHeartbeat } from './redis.ts';
import { within } from './within.ts';

/** How questions on Bull are made. */
export interface BullQuestionsOptions<Q, A> extends BullOptions, QuestionsOptions<A> {
  readonly question: z.ZodType<Q>;
  readonly answer: z.ZodType<A>;
}

/**
 * What lies in Redis where an answer is: which piece of work gave it, for how long it goes for new questions and how long it
 * stays, in milliseconds, and the answer, unless the work failed. How old it is, Redis knows: clocks differ.
 */
const storedAnswer = z.object({ job: z.string(), keepMs: z.number(), stayMs: z.number(), answer: z.unknown().optional() });
type StoredAnswer = z.infer<typeof storedAnswer>;

/** A question whose process is silent for so long is put again. In milliseconds. */
const leaseMs = 10_000;
/** Whoever waits already finds the answer at least for so long, in milliseconds. */
const seenMs = 3_000;
/** How often one looks for the answer, in milliseconds: soon at first, since most answers take a few calls to GitLab. */
const lookMs = { first: 20, most: 200 };
/** How long a command to Redis may take before the question is given up, in milliseconds. */
const patienceOfRedisMs = 4_000;

/** Answers what is there and how long it stays, unless it is what was there before; else takes the lease, and says so with `put`. */
const lookScript = `
local text = redis.call('GET', KEYS[1])
if text and text ~= ARGV[1] then return {text, redis.call('PTTL', KEYS[1])} end
if redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3], 'NX') then return {'put', 0} end
return {'wait', 0}`;

interface QuestionJob {
  readonly id: string;
  /** Tells this piece of work from others on the same question. */
  readonly job: string;
  readonly question: unknown;
}

/** An answer, and for how many more milliseconds it goes for new questions; not positive for one that no longer does. */
interface Seen {
  readonly stored: StoredAnswer;
  /** As it lies in Redis. */
  readonly text: string;
  readonly freshMs: number;
}

/**
 * Questions on Redis, for all processes that give the same prefix. Bull carries them to a worker; the answer is put where
 * all who ask look for it. A lease on each question keeps it from being worked on twice, and runs out with its worker.
 */
export class BullQuestions<Q extends object, A extends object> implements Questions<Q, A> {
  readonly #options: BullQuestionsOptions<Q, A>;
  readonly #redis: Redis;
  readonly #bull: Bull.Queue<QuestionJob>;
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #consumer: BullConsumer<QuestionJob> | undefined;

  constructor(options: BullQuestionsOptions<Q, A>) {
    this.#options = options;
    this.#redis = connectRedis(options.redisUrl, options.log);
    watchHeartbeat(this.#redis);
    this.#bull = openBull('questions', options, () => this.#redis);
  }

  async ask(question: Q, patienceMs: number): Promise<A | undefined> {
    const deadline = performance.now() + patienceMs;
    const id = questionId(question);
    let before = '';
    for (let waitMs = lookMs.first; !this.#closing.signal.aborted; waitMs = Math.min(waitMs * 2, lookMs.most)) {
      const seen = await this.#look(id, question, before);
      // What is not kept for others is still the answer for those who asked before it was there.
      if (seen && (seen.freshMs > 0 || waitMs > lookMs.first)) return this.#open(seen.stored);
      if (performance.now() >= deadline) return undefined;
      if (seen) before = seen.text;
      else await sleep(Math.max(0, Math.min(waitMs, deadline - performance.now())));
    }
    return undefined;
  }

  answer(concurrency: number, handler: (question: Q) => Promise<A>): void {
    if (this.#consumer !== undefined) throw new Error('answer() is called once');
    this.#consumer = new BullConsumer('questions', this.#options, async ({ data }, redis) => {
      const run = this.#work(data, redis, handler);
      this.#running.add(run);
      await run.finally(() => this.#running.delete(run));
    });
    void this.#consumer.start(concurrency);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#consumer?.close(this.#running);
    endRedis(this.#redis);
  }

  /** The answer, if there is another than `before`. If there is none, the question is handed to a worker, unless one has it. */
  async #look(id: string, question: Q, before: string): Promise<Seen | undefined> {
    const job = randomUUID();
    const reply = await this.#ask(() => this.#redis.eval(lookScript, 2, this.#answerKey(id), this.#leaseKey(id), before, job, leaseMs));
    const [text, leftMs] = z.tuple([z.string(), z.number()]).parse(reply);
    if (text === 'put') await this.#ask(() => this.#bull.add({ id, job, question }, { ...jobOptions(job), attempts: 1 }));
    const stored = text.startsWith('{') ? parse(storedAnswer, JSON.parse(text)) : undefined;
    return stored && { stored, text, freshMs: stored.keepMs - (stored.stayMs - leftMs) };
  }

  #open({ answer }: StoredAnswer): A {
    const opened = parse(this.#options.answer, answer);
    if (opened === undefined) throw new QuestionFailed('the question could not be answered');
    return opened;
  }

  /** Works on a question. Never rejects for the question's sake: what Bull would make of that helps nobody. */
  async #work({ id, job, question }: QuestionJob, redis: Redis, handler: (question: Q) => Promise<A>): Promise<void> {
    const { log, keepMs } = this.#options;
    // After an outage there may be questions in the queue that were put again meanwhile, or for which nobody waits.
    if ((await redis.get(this.#leaseKey(id))) !== job) return;
    const renewing = setInterval(() => void this.#renew(id, job, redis), leaseMs / 3);
    let answer: A | undefined;
    try {
      answer = await handler(this.#options.question.parse(question));
    } catch (error) {
      log.error({ question, err: error }, 'a question could not be answered');
    } finally {
      clearInterval(renewing);
    }
    const keptMs = answer === undefined ? 0 : keepMs(answer);
    const stayMs = Math.max(seenMs, keptMs);
    const stored: StoredAnswer = { job, keepMs: keptMs, stayMs, answer };
    await redis.multi().set(this.#answerKey(id), JSON.stringify(stored), 'PX', stayMs).del(this.#leaseKey(id)).exec();
  }

  async #renew(id: string, job: string, redis: Redis): Promise<void> {
    try {
      await redis.set(this.#leaseKey(id), job, 'PX', leaseMs);
    } catch (error) {
      this.#options.log.warn({ err: error }, 'the lease of a question could not be renewed; trying again');
    }
  }

  async #ask<T>(command: () => Promise<T>): Promise<T> {
    try {
      return await within(patienceOfRedisMs, command());
    } catch (error) {
      throw new QuestionFailed('the queue in Redis cannot be used', { cause: error });
    }
  }

  #answerKey(id: string): string {
    return `${prefixOf(this.#options)}:answer:${id}`;
  }

  #leaseKey(id: string): string {
    return `${prefixOf(this.#options)}:asked:${id}`;
  }
}

/** What is stored is ours, but perhaps by another version: what does not fit counts as not there. */
function parse<T>(schema: z.ZodType<T>, value: unknown): T | undefined {
  return schema.safeParse(value).data;
}
