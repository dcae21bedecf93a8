import { setTimeout as sleep } from 'node:timers/promises';
import type Bull from 'bull';
import type { Redis, RedisOptions } from 'ioredis';
import { openBull, windDown, type BullOptions, type ConnectionType } from './bull.ts';
import { connectRedis, endRedis, watchHeartbeat } from './connection.ts';
import { withTimeout } from '../async/with-timeout.ts';

/** How long `close` waits for Redis to take note of the last jobs, in milliseconds. */
const CLOSE_TIMEOUT_MS = 5_000;
/** A worker has nobody waiting for it: its commands sit an outage out. */
const patient: RedisOptions = { maxRetriesPerRequest: null, commandTimeout: 15_000 };
/** Commands that wait by design must not be timed; Bull insists on the ready check being off for them. */
const blocking: RedisOptions = { ...patient, commandTimeout: undefined, enableReadyCheck: false };

type Connections = Record<ConnectionType, Redis>;

/**
 * Takes jobs out of one of Bull's queues, for as long as Redis is there, and again when it is back. It has connections of
 * its own, since it waits where others must not.
 */
export class BullConsumer<T> {
  readonly #name: 'publish' | 'questions';
  readonly #options: BullOptions;
  readonly #run: (job: Bull.Job<T>, redis: Redis) => Promise<void>;
  readonly #closing = new AbortController();
  #connections: Connections | undefined;
  #bull: Bull.Queue<T> | undefined;

  /** `run` does a job; what it throws is for Bull. It is given a connection that may be used besides. */
  constructor(
    name: 'publish' | 'questions',
    options: BullOptions,
    run: (job: Bull.Job<T>, redis: Redis) => Promise<void>,
  ) {
    this.#name = name;
    this.#options = options;
    this.#run = run;
  }

  /** Aborted once `close` was called. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Runs jobs until `close`, as soon as Redis is there, at most `concurrency` at a time. */
  async start(concurrency: number): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const connections = this.#connect();
      try {
        // Bull never starts if Redis fails it at the start (loading, say), so it is begun only when all is well.
        await Promise.all(Object.values(connections).map((connection) => connection.ping()));
        if (signal.aborted) return;
        this.#bull = openBull(this.#name, this.#options, (type) => connections[type]);
        await this.#bull.process(concurrency, (job) => this.#run(job, connections.client));
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#options.log.warn({ err: error }, 'the worker cannot start yet; trying again');
        this.#disconnect();
        await sleep(1_000);
      }
    }
  }

  /** Takes no more jobs, waits for `running` and for Redis to take note, and ends the connections. */
  async close(running: Iterable<Promise<unknown>>): Promise<void> {
    this.#closing.abort();
    const recorded = this.#bull && windDown(this.#bull);
    await Promise.allSettled(running);
    try {
      // Without Redis the last jobs cannot be recorded, and nobody knows for how long.
      if (recorded) await withTimeout(CLOSE_TIMEOUT_MS, recorded);
    } catch (error) {
      this.#options.log.warn({ err: error }, 'the last jobs could not be recorded as done and may run once more');
    }
    this.#disconnect();
  }

  #connect(): Connections {
    const { redisUrl, log } = this.#options;
    const connections = {
      client: connectRedis(redisUrl, log, patient),
      subscriber: connectRedis(redisUrl, log, blocking),
      bclient: connectRedis(redisUrl, log, blocking),
    };
    watchHeartbeat(connections.client);
    // The other two cannot be asked whether they live. They lead to the same place, so they share its fate.
    connections.client.on('reconnecting', () => {
      for (const other of [connections.subscriber, connections.bclient]) {
        if (other.status === 'ready') other.disconnect(true);
      }
    });
    this.#connections = connections;
    return connections;
  }

  #disconnect(): void {
    for (const connection of Object.values(this.#connections ?? {})) endRedis(connection);
  }
}
