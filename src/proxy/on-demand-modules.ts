import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseModulePath, type ModulePath } from '../module/path.ts';
import { compareVersions, parseVersion } from '../module/version.ts';
import type { OnDemandAnswer, OnDemandRequest } from '../requests/on-demand-request.ts';
import { RequestFailed, type RequestClient } from '../requests/requests.ts';
import { StoreUnavailable } from '../store/store.ts';
import { Gone, NotFound, NotYet, describe, type Answer, type ModuleSource } from './module-source.ts';
import type { FileRequest, ModuleRequest } from './request.ts';

/** What answers on demand are made with. */
export interface OnDemandParts {
  /** What is published. */
  readonly published: ModuleSource;
  readonly requests: RequestClient<OnDemandRequest, OnDemandAnswer>;
  /** The versions of a module that were withdrawn. Rejects with errors of the store. */
  readonly withdrawnOf: (module: ModulePath) => Promise<ReadonlySet<string>>;
  /** How long an answer is waited for, a version to be built, and what is missing of a list, in milliseconds; 30, 75 and 3 s by default. */
  readonly patience?: { readonly answerMs: number; readonly publishMs: number; readonly listMs: number };
}

/** Building a version may have to wait for a minute, which is how GitLab rations archives. */
const PATIENCE = { answerMs: 30_000, publishMs: 75_000, listMs: 3_000 };

/** How often one looks whether a version has appeared, in milliseconds. */
const LOOK_MS = 1_000;

/**
 * Private modules with all that GitLab has besides what is published: branches, commits, and tags that no webhook has told
 * of. The store comes first; only what it lacks is asked of a worker, and waited for.
 */
export class OnDemandModules implements ModuleSource {
  readonly #modules: ModuleSource;
  readonly #requests: OnDemandParts['requests'];
  readonly #withdrawnOf: OnDemandParts['withdrawnOf'];
  readonly #patience: NonNullable<OnDemandParts['patience']>;
  readonly #closing = new AbortController();

  constructor(parts: OnDemandParts) {
    this.#modules = parts.published;
    this.#requests = parts.requests;
    this.#withdrawnOf = parts.withdrawnOf;
    this.#patience = parts.patience ?? PATIENCE;
    // One for each who waits.
    setMaxListeners(0, this.#closing.signal);
  }

  async answer(request: ModuleRequest): Promise<Answer> {
    const published = await this.#find(request);
    if (request.kind === 'list' && published) return await this.#completed(request.module, published);
    if (published) return published;
    try {
      return await this.#ask(request);
    } catch (error) {
      if (error instanceof NotYet && (await this.#isPartOfPublished(request.module))) {
        throw new NotFound(`${describe(request)} is not published here, and it cannot be asked for right now`);
      }
      throw error;
    }
  }

  /** Ends all waiting: whoever waits is told to try again. */
  close(): void {
    this.#closing.abort();
  }

  /** What is published, if it is. */
  async #find(request: ModuleRequest): Promise<Answer | undefined> {
    try {
      return await this.#modules.answer(request);
    } catch (error) {
      // What was taken out of service is not brought back.
      if (!(error instanceof NotFound) || error instanceof Gone) throw error;
      return undefined;
    }
  }

  /**
   * A list with what is tagged and not published yet: while a project's tags are being published one after the other, the
   * newest would be hidden. If GitLab takes too long, what is published has to do.
   */
  async #completed(module: ModulePath, published: Answer): Promise<Answer> {
    if (published.kind !== 'bytes') return published;
    let tagged: OnDemandAnswer | undefined;
    try {
      tagged = await this.#unlessClosed(this.#requests.request({ kind: 'list', module }, this.#patience.listMs));
    } catch (error) {
      if (!(error instanceof RequestFailed || error instanceof NotYet)) throw error;
    }
    if (tagged?.kind !== 'list') return published;
    const here = published.body
      .toString()
      .split('\n')
      .filter((version) => version !== '');
    const known = new Set<string>(tagged.versions);
    // Whether there are +incompatible versions is for GitLab's tags to say: it depends on all of them.
    const others = here.filter((version) => !known.has(version) && !version.endsWith('+incompatible'));
    try {
      return lines([...(await this.#inService(module, tagged.versions, here)), ...others].toSorted(compareVersions));
    } catch (error) {
      if (error instanceof StoreUnavailable) return published;
      throw error;
    }
  }

  /**
   * The tagged versions without those that were withdrawn since the worker's answer, which may be minutes old. It matters
   * only where some of them are not `here`, among the published ones.
   */
  async #inService(module: ModulePath, tagged: readonly string[], here: readonly string[]): Promise<readonly string[]> {
    const published = new Set(here);
    if (tagged.every((version) => published.has(version))) return tagged;
    const withdrawn = await this.#withdrawnOf(module);
    return tagged.filter((version) => !withdrawn.has(version));
  }

  async #ask(request: ModuleRequest): Promise<Answer> {
    const { module } = request;
    if (request.kind === 'list') {
      const answer = await this.#answerTo({ kind: 'list', module }, request);
      return lines(answer.kind === 'list' ? await this.#inService(module, answer.versions, []) : []);
    }
    if (request.kind === 'latest')
      return info(await this.#answerTo({ kind: 'info', module, query: 'latest' }, request));
    if (request.file === 'info')
      return info(await this.#answerTo({ kind: 'info', module, query: request.version }, request));
    return await this.#file(request);
  }

  async #file(request: FileRequest): Promise<Answer> {
    const version = parseVersion(request.version);
    if (version === undefined) throw new NotFound(`${request.version} is not a version`);
    if (request.file === 'mod') {
      const answer = await this.#answerTo({ kind: 'mod', module: request.module, version }, request);
      return {
        kind: 'bytes',
        body: Buffer.from(answer.kind === 'mod' ? answer.base64 : '', 'base64'),
        immutable: false,
      };
    }
    await this.#answerTo({ kind: 'publish', module: request.module, version }, request);
    return await this.#modules.answer(request);
  }

  async #answerTo(question: OnDemandRequest, request: ModuleRequest): Promise<OnDemandAnswer> {
    const isBuilt = question.kind === 'publish';
    const deadline = performance.now() + (isBuilt ? this.#patience.publishMs : this.#patience.answerMs);
    for (;;) {
      const answer = await this.#once(question, deadline - performance.now(), request);
      if (answer.kind === 'absent') throw new NotFound(`${describe(request)}: ${answer.reason}`);
      if (answer.kind !== 'later') return answer;
      if (!isBuilt || performance.now() + answer.afterMs > deadline) {
        const retryAfter = Math.ceil(answer.afterMs / 1000);
        throw new NotYet(
          `${answer.reason}\n${describe(request)} was not published before. Try again in ${retryAfter} s.`,
          { timedOut: isBuilt, retryAfter },
        );
      }
      if (await this.#appears(request, answer.afterMs)) return { kind: 'published' };
    }
  }

  /** Waits, and looks whether the version has been published meanwhile in another way: by its tag, say. */
  async #appears(request: ModuleRequest, waitMs: number): Promise<boolean> {
    for (const end = performance.now() + waitMs; performance.now() < end;) {
      await this.#unlessClosed(sleep(Math.min(LOOK_MS, Math.max(0, end - performance.now()))));
      if (await this.#find(request)) return true;
    }
    return false;
  }

  async #once(question: OnDemandRequest, patienceMs: number, request: ModuleRequest): Promise<OnDemandAnswer> {
    let answer: OnDemandAnswer | undefined;
    try {
      answer = await this.#unlessClosed(this.#requests.request(question, patienceMs));
    } catch (cause) {
      if (cause instanceof NotYet) throw cause;
      throw new NotYet(`${describe(request)} was not published before, and GitLab cannot be asked for it right now`, {
        timedOut: false,
        retryAfter: 10,
        cause,
      });
    }
    if (answer !== undefined) return answer;
    const doing = question.kind === 'publish' ? 'is being built from GitLab' : 'is being looked up in GitLab';
    throw new NotYet(`${describe(request)} ${doing}, which goes on\nTry again in a moment.`, {
      timedOut: true,
      retryAfter: 10,
    });
  }

  #unlessClosed<T>(work: Promise<T>): Promise<T> {
    const { signal } = this.#closing;
    return new Promise((resolve, reject) => {
      const stop = (): void =>
        reject(
          new NotYet('the service is being restarted\nTry again in a moment.', { timedOut: false, retryAfter: 10 }),
        );
      if (signal.aborted) stop();
      signal.addEventListener('abort', stop, { once: true });
      void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
    });
  }

  /**
   * Whether the module lies within one that is published. Then it is most likely a package of it, and the go command, which
   * asks for every prefix of a package's path, must not fail at this one while GitLab is down: it takes what the published
   * module has, and checks that the package is there.
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
