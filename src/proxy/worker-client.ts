import { setMaxListeners } from 'node:events';
import { sleep } from '../async/sleep.ts';
import type { OnDemandAnswer, OnDemandRequest } from '../requests/on-demand-request.ts';
import { RequestFailed, type Client, type RequestClient } from '../requests/requests.ts';
import { ClientLimits } from './client-limits.ts';
import { NotFound, TryAgainLater } from './module-source.ts';

/** How long a client waits for the result of a query, a list or a go.mod, in milliseconds. */
const ANSWER_TIMEOUT_MS = 30_000;
/**
 * How long a client waits until a version is published, in milliseconds. Publishing can take more than a minute,
 * because GitLab limits archives per minute.
 */
const PUBLISH_TIMEOUT_MS = 75_000;
/** How long a client waits for the tags that are missing from the list of a published module, in milliseconds. */
const LIST_TIMEOUT_MS = 3_000;

/** How often modpress checks whether the version that a client waits for has been published, in milliseconds. */
const CHECK_MS = 1_000;

/** The Retry-After for clients if there is no better estimate, in seconds. */
const RETRY_AFTER_SECONDS = 10;

/** Sends on-demand requests to workers. Waits for an answer only as long as a client of the proxy can wait. */
export class WorkerClient {
  readonly #requests: RequestClient<OnDemandRequest, OnDemandAnswer>;
  readonly #limits = new ClientLimits();
  readonly #closing = new AbortController();

  constructor(requests: RequestClient<OnDemandRequest, OnDemandAnswer>) {
    this.#requests = requests;
    // Each waiting client adds a listener, and Node would warn from the eleventh listener on.
    setMaxListeners(0, this.#closing.signal);
  }

  /**
   * Resolves to a worker's answer, which is never `absent` or `later`. If the answer to a publish request is `later`,
   * waits and sends the request again, until the timeout. During the wait, calls `isPublished` regularly, because the
   * job of the tag may publish the version too. `subject` is the module or version for messages.
   *
   * Rejects with NotFound if GitLab has no such module or version, and with TryAgainLater if no answer arrives in time.
   * Rejects with the reason of the client's signal once it aborts.
   */
  async answerTo(
    request: OnDemandRequest,
    subject: string,
    isPublished: () => Promise<boolean>,
    client: Client,
  ): Promise<OnDemandAnswer> {
    const isPublish = request.kind === 'publish';
    const deadline = performance.now() + (isPublish ? PUBLISH_TIMEOUT_MS : ANSWER_TIMEOUT_MS);
    for (;;) {
      const answer = await this.#requestOnce(request, deadline - performance.now(), subject, client);
      if (answer.kind === 'absent') throw new NotFound(`${subject}: ${answer.reason}`);
      if (answer.kind !== 'later') return answer;
      if (!isPublish || performance.now() + answer.afterMs > deadline) {
        const retryAfter = Math.ceil(answer.afterMs / 1000);
        throw new TryAgainLater(
          `${answer.reason}\n${subject} has not been published yet. Try again in ${retryAfter} s.`,
          {
            timedOut: isPublish,
            retryAfter,
          },
        );
      }
      if (await this.#waitUntil(isPublished, answer.afterMs, client)) return { kind: 'published' };
    }
  }

  /**
   * Resolves to a worker's answer. Resolves to undefined if no answer arrives within the timeout for lists, if the
   * request fails, or after `close`. Rejects with the reason of the client's signal once it aborts.
   */
  async answerIfQuick(request: OnDemandRequest, client: Client): Promise<OnDemandAnswer | undefined> {
    try {
      return await this.#send(request, LIST_TIMEOUT_MS, client);
    } catch (error) {
      if (error instanceof RequestFailed || error instanceof TryAgainLater) return undefined;
      throw error;
    }
  }

  /** Rejects all waiting requests with TryAgainLater, so that their clients try again. */
  close(): void {
    this.#closing.abort();
  }

  /** Resolves to true once `isPublished` resolves to true, or to false after `waitMs` milliseconds. */
  async #waitUntil(isPublished: () => Promise<boolean>, waitMs: number, client: Client): Promise<boolean> {
    for (const end = performance.now() + waitMs; performance.now() < end;) {
      await this.#unlessClosed(sleep(Math.min(CHECK_MS, Math.max(0, end - performance.now())), this.#closing.signal));
      client.signal?.throwIfAborted();
      if (await isPublished()) return true;
    }
    return false;
  }

  async #requestOnce(
    request: OnDemandRequest,
    timeoutMs: number,
    subject: string,
    client: Client,
  ): Promise<OnDemandAnswer> {
    let answer: OnDemandAnswer | undefined;
    try {
      answer = await this.#send(request, timeoutMs, client);
    } catch (cause) {
      client.signal?.throwIfAborted();
      if (cause instanceof TryAgainLater) throw cause;
      throw new TryAgainLater(
        `${subject} has not been published yet, and modpress cannot query GitLab right now\nTry again in a moment.`,
        { timedOut: false, retryAfter: RETRY_AFTER_SECONDS, cause },
      );
    }
    if (answer !== undefined) return answer;
    const activity =
      request.kind === 'publish' ? 'is still being built from GitLab' : 'is still being looked up in GitLab';
    throw new TryAgainLater(`${subject} ${activity}\nTry again in a moment.`, {
      timedOut: true,
      retryAfter: RETRY_AFTER_SECONDS,
    });
  }

  async #send(request: OnDemandRequest, timeoutMs: number, client: Client): Promise<OnDemandAnswer | undefined> {
    const leave = this.#limits.enter(client.address ?? '', request);
    if (!leave)
      throw new TryAgainLater('too many requests of your address are waiting for GitLab\nTry again in a moment.', {
        timedOut: false,
        retryAfter: RETRY_AFTER_SECONDS,
      });
    try {
      const answer = await this.#unlessClosed(this.#requests.request(request, timeoutMs, client));
      client.signal?.throwIfAborted();
      return answer;
    } finally {
      leave();
    }
  }

  /** Settles as `work` does. Rejects with TryAgainLater once `close` is called. */
  #unlessClosed<T>(work: Promise<T>): Promise<T> {
    const { signal } = this.#closing;
    return new Promise((resolve, reject) => {
      const stop = (): void =>
        reject(
          new TryAgainLater('the service is restarting\nTry again in a moment.', {
            timedOut: false,
            retryAfter: RETRY_AFTER_SECONDS,
          }),
        );
      if (signal.aborted) stop();
      signal.addEventListener('abort', stop, { once: true });
      void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
    });
  }
}
