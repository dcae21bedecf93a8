import { setTimeout as sleep } from 'node:timers/promises';
import type Bull from 'bull';
import type { RedisOptions } from 'ioredis';
import { withTimeout } from '../async/with-timeout.ts';
import { openBull, windDown, type BullOptions, type BullQueueName, type ConnectionType } from './bull.ts';
import { RedisConnection } from './connection.ts';

/** How long `close` waits for Redis to record the last jobs, in milliseconds. */
const CLOSE_TIMEOUT_MS = 5_000;
/** The wait between a failed start and the next one, in milliseconds. */
const RESTART_MS = 1_000;
/** No client waits for the commands of a worker. During an outage, they may wait for 15 s before they fail. */
const WORKER_OPTIONS: RedisOptions = { maxRetriesPerRequest: null, commandTimeout: 15_000 };
/** Blocking commands must not time out. Bull also requires that the ready check is off for their connections. */
const BLOCKING_OPTIONS: RedisOptions = { ...WORKER_OPTIONS, commandTimeout: undefined, enableReadyCheck: false };

type Connections = Readonly<Record<ConnectionType, RedisConnection>>;

/**
 * Runs the jobs of a Bull queue while Redis is available. It has its own connections, because its commands may wait
 * during a short outage, while the commands of other callers fail at once.
 */
export class BullConsumer<T> {
  readonly #name: BullQueueName;
  readonly #options: BullOptions;
  readonly #run: (job: Bull.Job<T>, redis: RedisConnection) => Promise<void>;
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #connections: Connections | undefined;
  #bull: Bull.Queue<T> | undefined;
  /** Why the last start failed; undefined after a success. */
  #startFailure: Error | undefined;

  /** `run` executes a job and may use the connection that is passed to it. Bull handles the errors of `run`. */
  constructor(
    name: BullQueueName,
    options: BullOptions,
    run: (job: Bull.Job<T>, redis: RedisConnection) => Promise<void>,
  ) {
    this.#name = name;
    this.#options = options;
    this.#run = run;
  }

  /** Aborted once `close` has been called. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Waits until Redis replies. Then runs jobs until `close`, at most `concurrency` at a time. */
  async start(concurrency: number): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const connections = this.#connect();
      try {
        // Bull never starts if Redis fails during the start, for example while Redis loads its data. Therefore Redis
        // must reply first.
        await Promise.all(Object.values(connections).map((connection) => connection.ping()));
        if (signal.aborted) return;
        const bull = openBull<T>(this.#name, this.#options, (type) => connections[type]);
        // Bull emits this after the last step of its start that can fail.
        bull.once('registered:delayed', () => (this.#startFailure = undefined));
        this.#bull = bull;
        await bull.process(concurrency, (job) => this.#run(job, connections.client));
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#reportFailure(connections.client.reasonFor(error));
        this.#disconnect();
        await sleep(RESTART_MS);
      }
    }
  }

  /** Throws the reason if the last start failed. */
  assertStarted(): void {
    if (this.#startFailure !== undefined) throw this.#startFailure;
  }

  /** Makes `close` wait for this work. Settles as `work` does. */
  track(work: Promise<void>): Promise<void> {
    this.#running.add(work);
    return work.finally(() => this.#running.delete(work));
  }

  /**
   * Takes no more jobs. Waits for the tracked work, and until Redis has recorded its results. Then closes the
   * connections.
   */
  async close(): Promise<void> {
    this.#closing.abort();
    const recorded = this.#bull && windDown(this.#bull);
    await Promise.allSettled(this.#running);
    try {
      // The wait is limited, because Redis records nothing during an outage, and the outage may be long.
      if (recorded) await withTimeout(CLOSE_TIMEOUT_MS, recorded);
    } catch (error) {
      this.#options.log.warn(
        { event: 'worker.close-failed', queue: this.#name, err: error },
        'the last jobs could not be recorded as done and may run once more',
      );
    }
    this.#disconnect();
  }

  #connect(): Connections {
    const { redisLocation, log } = this.#options;
    const connections = {
      client: new RedisConnection(redisLocation, log, WORKER_OPTIONS),
      subscriber: new RedisConnection(redisLocation, log, BLOCKING_OPTIONS),
      bclient: new RedisConnection(redisLocation, log, BLOCKING_OPTIONS),
    };
    // The other two connections have no heartbeat. They lead to the same server, so they are replaced together with
    // `client`.
    connections.client.on('reconnecting', () => {
      for (const connection of [connections.subscriber, connections.bclient]) {
        if (connection.status === 'ready') connection.disconnect(true);
      }
    });
    this.#connections = connections;
    return connections;
  }

  #disconnect(): void {
    for (const connection of Object.values(this.#connections ?? {})) connection.close();
  }

  /** Logs a failed start, unless the previous start failed for the same reason. */
  #reportFailure(failure: Error): void {
    if (failure.message !== this.#startFailure?.message)
      this.#options.log.warn(
        { event: 'worker.start-failed', queue: this.#name, err: failure },
        'the worker cannot start yet; trying again',
      );
    this.#startFailure = failure;
  }
}
