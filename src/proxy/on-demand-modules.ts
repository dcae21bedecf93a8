import { parseModulePath, type ModulePath } from '../module/path.ts';
import { compareVersions, parseVersion } from '../module/version.ts';
import type { OnDemandAnswer, OnDemandRequest } from '../requests/on-demand-request.ts';
import type { RequestClient } from '../requests/requests.ts';
import { StoreUnavailable } from '../store/store.ts';
import type { Client } from './client.ts';
import {
  Gone,
  NotFound,
  TryAgainLater,
  describe,
  type Answer,
  type FileAccess,
  type ModuleSource,
} from './module-source.ts';
import type { FileRequest, ModuleRequest } from './protocol-request.ts';
import { listText, parseListText } from './listed-versions.ts';
import { WorkerClient } from './worker-client.ts';

/** The dependencies of OnDemandModules. */
export interface OnDemandParts {
  /** The published modules. */
  readonly published: ModuleSource;
  readonly requests: RequestClient<OnDemandRequest, OnDemandAnswer>;
  /** Resolves to the withdrawn versions of a module. Rejects with errors of the store. */
  readonly withdrawnOf: (module: ModulePath) => Promise<ReadonlySet<string>>;
}

/**
 * How far below its module a package is looked for. No real package is deeper, and each parent of a path costs a listing
 * of the store.
 */
const MAX_PACKAGE_DEPTH = 30;

/**
 * Serves published private modules from the store. If the store lacks the requested content, sends an on-demand request
 * to a worker and waits for its answer. Clients can therefore also use branches, commits, and tags for which no webhook
 * has arrived.
 */
export class OnDemandModules implements ModuleSource {
  readonly #modules: ModuleSource;
  readonly #worker: WorkerClient;
  readonly #withdrawnOf: OnDemandParts['withdrawnOf'];

  constructor(parts: OnDemandParts) {
    this.#modules = parts.published;
    this.#worker = new WorkerClient(parts.requests);
    this.#withdrawnOf = parts.withdrawnOf;
  }

  async answer(request: ModuleRequest, access: FileAccess = 'stat', client: Client = {}): Promise<Answer> {
    const published = await this.#find(request, access);
    if (request.kind === 'list' && published) return await this.#withTaggedVersions(request.module, published, client);
    if (published) return published;
    try {
      return await this.#fromWorker(request, access, client);
    } catch (error) {
      if (error instanceof TryAgainLater && (await this.#isPartOfPublished(request.module))) {
        throw new NotFound(`${describe(request)} is not published here, and modpress cannot query GitLab right now`);
      }
      throw error;
    }
  }

  /** Rejects all waiting requests with TryAgainLater, so that their clients try again. */
  close(): void {
    this.#worker.close();
  }

  /** Returns the answer from the published modules; undefined if the requested content is not published. */
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
   * Adds versions that are tagged but not yet published to the list of published versions. Otherwise the newest version
   * could be missing while a worker publishes the tags of a project. If the worker takes too long, returns only the
   * published versions.
   */
  async #withTaggedVersions(module: ModulePath, published: Answer, client: Client): Promise<Answer> {
    if (published.kind !== 'bytes') return published;
    const tagged = await this.#worker.answerIfQuick({ kind: 'list', module }, client);
    if (tagged?.kind !== 'list') return published;
    const publishedVersions = parseListText(published.body);
    const taggedVersions = new Set<string>(tagged.versions);
    // All tags of a module together determine whether its list has +incompatible versions. Therefore the worker's
    // answer decides, not the store.
    const untagged = publishedVersions.filter(
      (version) => !taggedVersions.has(version) && !version.endsWith('+incompatible'),
    );
    try {
      const usable = await this.#withoutWithdrawn(module, tagged.versions, publishedVersions);
      return versionList([...usable, ...untagged].toSorted(compareVersions));
    } catch (error) {
      if (error instanceof StoreUnavailable) return published;
      throw error;
    }
  }

  /**
   * Returns the tagged versions without the withdrawn versions. The worker's answer may be minutes old, so a version
   * may have been withdrawn since then. A published version is not withdrawn. Therefore the withdrawals are read only
   * if a tagged version is not published.
   */
  async #withoutWithdrawn(
    module: ModulePath,
    tagged: readonly string[],
    published: readonly string[],
  ): Promise<readonly string[]> {
    const publishedVersions = new Set(published);
    if (tagged.every((version) => publishedVersions.has(version))) return tagged;
    const withdrawn = await this.#withdrawnOf(module);
    return tagged.filter((version) => !withdrawn.has(version));
  }

  async #fromWorker(request: ModuleRequest, access: FileAccess, client: Client): Promise<Answer> {
    const { module } = request;
    if (request.kind === 'list') {
      const { versions } = await this.#answerTo({ kind: 'list', module }, request, 'list', client);
      return versionList(await this.#withoutWithdrawn(module, versions, []));
    }
    if (request.kind === 'latest' || request.file === 'info') {
      const query = request.kind === 'latest' ? 'latest' : request.version;
      const { text } = await this.#answerTo({ kind: 'info', module, query }, request, 'info', client);
      return mutable(Buffer.from(text));
    }
    return await this.#file(request, access, client);
  }

  async #file(request: FileRequest, access: FileAccess, client: Client): Promise<Answer> {
    const version = parseVersion(request.version);
    if (version === undefined) throw new NotFound(`${describe(request)}: ${request.version} is not a version`);
    if (request.file === 'mod') {
      const { base64 } = await this.#answerTo({ kind: 'mod', module: request.module, version }, request, 'mod', client);
      return mutable(Buffer.from(base64, 'base64'));
    }
    await this.#answerTo({ kind: 'publish', module: request.module, version }, request, 'published', client);
    return await this.#modules.answer(request, access);
  }

  /** Resolves to a worker's answer of the given kind. Rejects as `WorkerClient.answerTo` does. */
  async #answerTo<Kind extends OnDemandAnswer['kind']>(
    onDemandRequest: OnDemandRequest,
    request: ModuleRequest,
    kind: Kind,
    client: Client,
  ): Promise<Extract<OnDemandAnswer, { kind: Kind }>> {
    const isPublished = async (): Promise<boolean> => (await this.#find(request, 'stat')) !== undefined;
    const answer = await this.#worker.answerTo(onDemandRequest, describe(request), isPublished, client);
    if (!isOfKind(answer, kind))
      throw new Error(`expected an answer of kind ${kind}, but received kind ${answer.kind}`);
    return answer;
  }

  /**
   * Returns whether the path is below a published module, but is not itself a published module. Such a path is most
   * likely a package of that module. The go command requests every prefix of a package path as a module. While GitLab
   * is down, a 404 for such a path lets the go command continue with the published module. The go command then checks
   * that the module contains the package.
   */
  async #isPartOfPublished(module: ModulePath): Promise<boolean> {
    let slash = module.lastIndexOf('/');
    for (let depth = 1; depth <= MAX_PACKAGE_DEPTH && slash > 0; depth++, slash = module.lastIndexOf('/', slash - 1)) {
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

function isOfKind<Kind extends OnDemandAnswer['kind']>(
  answer: OnDemandAnswer,
  kind: Kind,
): answer is Extract<OnDemandAnswer, { kind: Kind }> {
  return answer.kind === kind;
}

function versionList(versions: readonly string[]): Answer {
  return mutable(listText(versions));
}

function mutable(body: Buffer): Answer {
  return { kind: 'bytes', body, immutable: false };
}
