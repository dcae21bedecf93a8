import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseModulePath, type ModulePath } from '../module/path.ts';
import { compareVersions, parseVersion } from '../module/version.ts';
import type { OnDemandAnswer, OnDemandRequest } from '../requests/on-demand-request.ts';
import { RequestFailed, type RequestClient } from '../requests/requests.ts';
import { StoreUnavailable } from '../store/store.ts';
import { Gone, NotFound, NotYet, describe, type Answer, type FileAccess, type ModuleSource } from './module-source.ts';
import type { FileRequest, ModuleRequest } from './protocol-request.ts';

/** What OnDemandModules needs. */
export interface OnDemandParts {
  /** The published modules. */
  readonly published: ModuleSource;
  readonly requests: RequestClient<OnDemandRequest, OnDemandAnswer>;
  /** Resolves to the withdrawn versions of a module. Rejects with errors of the store. */
  readonly withdrawnOf: (module: ModulePath) => Promise<ReadonlySet<string>>;
  /** 30 s, 75 s and 3 s by default. */
  readonly timeouts?: OnDemandTimeouts;
}

/** How long a client waits for a worker, in milliseconds. */
export interface OnDemandTimeouts {
  /** For the meaning of a query, a list, or a go.mod. */
  readonly answerMs: number;
  /** For a version to be built and published. */
  readonly publishMs: number;
  /** For the tags that are missing from the list of a published module. */
  readonly listMs: number;
}

/** To publish a version can take more than a minute, because GitLab limits archives per minute. */
const TIMEOUTS: OnDemandTimeouts = { answerMs: 30_000, publishMs: 75_000, listMs: 3_000 };

/** While a client waits for a version, how often to check whether it has been published, in milliseconds. */
const CHECK_MS = 1_000;

/** When a client should try again if there is no better estimate, in seconds. */
const RETRY_AFTER_SECONDS = 10;

/**
 * The published private modules, and in addition everything that GitLab has: branches, commits, and tags for which no
 * webhook has arrived. The store comes first. Only if something is missing there, a worker gets a request, and the client
 * waits for its answer.
 */
export class OnDemandModules implements ModuleSource {
  readonly #modules: ModuleSource;
  readonly #requests: OnDemandParts['requests'];
  readonly #withdrawnOf: OnDemandParts['withdrawnOf'];
  readonly #timeouts: OnDemandTimeouts;
  readonly #closing = new AbortController();

  constructor(parts: OnDemandParts) {
    this.#modules = parts.published;
    this.#requests = parts.requests;
    this.#withdrawnOf = parts.withdrawnOf;
    this.#timeouts = parts.timeouts ?? TIMEOUTS;
    // One listener for each waiting client.
    setMaxListeners(0, this.#closing.signal);
  }

  async answer(request: ModuleRequest, access: FileAccess = 'stat'): Promise<Answer> {
    const published = await this.#find(request, access);
    if (request.kind === 'list' && published) return await this.#completed(request.module, published);
    if (published) return published;
    try {
      return await this.#fromWorker(request, access);
    } catch (error) {
      if (error instanceof NotYet && (await this.#isPartOfPublished(request.module))) {
        throw new NotFound(`${describe(request)} is not published here, and GitLab cannot be queried right now`);
      }
      throw error;
    }
  }

  /** Ends all waiting. Waiting requests are rejected with NotYet, which tells the client to try again. */
  close(): void {
    this.#closing.abort();
  }

  /** The answer from the published modules; undefined if they do not have it. */
  async #find(request: ModuleRequest, access: FileAccess): Promise<Answer | undefined> {
    try {
      return await this.#modules.answer(request, access);
    } catch (error) {
      // A withdrawn version must not be published again.
      if (!(error instanceof NotFound) || error instanceof Gone) throw error;
      return undefined;
    }
  }

  /**
   * The list of published versions, completed with the versions that are tagged but not published yet. Otherwise the newest
   * version would be missing while the tags of a project are published one after the other. If GitLab takes too long, the
   * list has the published versions only.
   */
  async #completed(module: ModulePath, published: Answer): Promise<Answer> {
    if (published.kind !== 'bytes') return published;
    let tagged: OnDemandAnswer | undefined;
    try {
      tagged = await this.#unlessClosed(this.#requests.request({ kind: 'list', module }, this.#timeouts.listMs));
    } catch (error) {
      if (!(error instanceof RequestFailed || error instanceof NotYet)) throw error;
    }
    if (tagged?.kind !== 'list') return published;
    const publishedVersions = published.body
      .toString()
      .split('\n')
      .filter((version) => version !== '');
    const taggedVersions = new Set<string>(tagged.versions);
    // Whether a list has +incompatible versions depends on all tags. So the worker decides it, not the store.
    const untagged = publishedVersions.filter(
      (version) => !taggedVersions.has(version) && !version.endsWith('+incompatible'),
    );
    try {
      const inService = await this.#inService(module, tagged.versions, publishedVersions);
      return lines([...inService, ...untagged].toSorted(compareVersions));
    } catch (error) {
      if (error instanceof StoreUnavailable) return published;
      throw error;
    }
  }

  /**
   * The tagged versions without the withdrawn ones. The worker's answer may be minutes old, so a version may have been
   * withdrawn since. A version that is published now is not withdrawn, so this reads the withdrawals only if a tagged
   * version is not published.
   */
  async #inService(
    module: ModulePath,
    tagged: readonly string[],
    published: readonly string[],
  ): Promise<readonly string[]> {
    const publishedVersions = new Set(published);
    if (tagged.every((version) => publishedVersions.has(version))) return tagged;
    const withdrawn = await this.#withdrawnOf(module);
    return tagged.filter((version) => !withdrawn.has(version));
  }

  async #fromWorker(request: ModuleRequest, access: FileAccess): Promise<Answer> {
    const { module } = request;
    if (request.kind === 'list') {
      const answer = await this.#answerTo({ kind: 'list', module }, request);
      return lines(answer.kind === 'list' ? await this.#inService(module, answer.versions, []) : []);
    }
    if (request.kind === 'latest')
      return info(await this.#answerTo({ kind: 'info', module, query: 'latest' }, request));
    if (request.file === 'info')
      return info(await this.#answerTo({ kind: 'info', module, query: request.version }, request));
    return await this.#file(request, access);
  }

  async #file(request: FileRequest, access: FileAccess): Promise<Answer> {
    const version = parseVersion(request.version);
    if (version === undefined) throw new NotFound(`${describe(request)}: ${request.version} is not a version`);
    if (request.file === 'mod') {
      const answer = await this.#answerTo({ kind: 'mod', module: request.module, version }, request);
      return {
        kind: 'bytes',
        body: Buffer.from(answer.kind === 'mod' ? answer.base64 : '', 'base64'),
        immutable: false,
      };
    }
    await this.#answerTo({ kind: 'publish', module: request.module, version }, request);
    return await this.#modules.answer(request, access);
  }

  async #answerTo(onDemandRequest: OnDemandRequest, request: ModuleRequest): Promise<OnDemandAnswer> {
    const isBuilt = onDemandRequest.kind === 'publish';
    const deadline = performance.now() + (isBuilt ? this.#timeouts.publishMs : this.#timeouts.answerMs);
    for (;;) {
      const answer = await this.#once(onDemandRequest, deadline - performance.now(), request);
      if (answer.kind === 'absent') throw new NotFound(`${describe(request)}: ${answer.reason}`);
      if (answer.kind !== 'later') return answer;
      if (!isBuilt || performance.now() + answer.afterMs > deadline) {
        const retryAfter = Math.ceil(answer.afterMs / 1000);
        throw new NotYet(
          `${answer.reason}\n${describe(request)} has not been published yet. Try again in ${retryAfter} s.`,
          { timedOut: isBuilt, retryAfter },
        );
      }
      if (await this.#appears(request, answer.afterMs)) return { kind: 'published' };
    }
  }

  /** Waits. Resolves to true as soon as the version is published in another way, such as by the job of its tag. */
  async #appears(request: ModuleRequest, waitMs: number): Promise<boolean> {
    for (const end = performance.now() + waitMs; performance.now() < end;) {
      await this.#unlessClosed(sleep(Math.min(CHECK_MS, Math.max(0, end - performance.now()))));
      if (await this.#find(request, 'stat')) return true;
    }
    return false;
  }

  async #once(onDemandRequest: OnDemandRequest, timeoutMs: number, request: ModuleRequest): Promise<OnDemandAnswer> {
    let answer: OnDemandAnswer | undefined;
    try {
      answer = await this.#unlessClosed(this.#requests.request(onDemandRequest, timeoutMs));
    } catch (cause) {
      if (cause instanceof NotYet) throw cause;
      throw new NotYet(
        `${describe(request)} has not been published yet, and GitLab cannot be queried for it right now\nTry again in a moment.`,
        { timedOut: false, retryAfter: RETRY_AFTER_SECONDS, cause },
      );
    }
    if (answer !== undefined) return answer;
    const doing = onDemandRequest.kind === 'publish' ? 'is being built from GitLab' : 'is being looked up in GitLab';
    throw new NotYet(`${describe(request)} ${doing}, and this has not finished yet\nTry again in a moment.`, {
      timedOut: true,
      retryAfter: RETRY_AFTER_SECONDS,
    });
  }

  #unlessClosed<T>(work: Promise<T>): Promise<T> {
    const { signal } = this.#closing;
    return new Promise((resolve, reject) => {
      const stop = (): void =>
        reject(
          new NotYet('the service is restarting\nTry again in a moment.', {
            timedOut: false,
            retryAfter: RETRY_AFTER_SECONDS,
          }),
        );
      if (signal.aborted) stop();
      signal.addEventListener('abort', stop, { once: true });
      void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
    });
  }

  /**
   * Whether the path lies below a published module, and is not published itself. Then it is most likely a package of that
   * module. The go command requests every prefix of a package path, and must not fail at this one while GitLab is down. It
   * continues with the published module, and checks that the package exists there.
   */
  async #isPartOfPublished(module: ModulePath): Promise<boolean> {
    for (let slash = module.lastIndexOf('/'); slash > 0; slash = module.lastIndexOf('/', slash - 1)) {
      const parent = parseModulePath(module.slice(0, slash));
      if (typeof parent === 'string' && (await this.#isPublished(parent))) return !(await this.#isPublished(module));
    }
    return false;
  }

  async #isPublished(module: ModulePath): Promise<boolean> {
    try {
      await this.#modules.answer({ kind: 'list', module });
      return true;
    } catch (error) {
      if (error instanceof NotFound) return false;
      throw error;
    }
  }
}

function lines(versions: readonly string[]): Answer {
  return { kind: 'bytes', body: Buffer.from(versions.map((version) => `${version}\n`).join('')), immutable: false };
}

function info(answer: OnDemandAnswer): Answer {
  if (answer.kind !== 'info') throw new Error(`the answer to a query is ${answer.kind}`);
  return { kind: 'bytes', body: Buffer.from(answer.text), immutable: false };
}
