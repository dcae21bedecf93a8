import { parseModulePath, type ModulePath } from '../module/path.ts';
import { compareVersions, parseVersion } from '../module/version.ts';
import type { OnDemandAnswer, OnDemandRequest } from '../requests/on-demand-request.ts';
import type { RequestClient } from '../requests/requests.ts';
import { StoreUnavailable } from '../store/store.ts';
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

/** What OnDemandModules needs. */
export interface OnDemandParts {
  /** The published modules. */
  readonly published: ModuleSource;
  readonly requests: RequestClient<OnDemandRequest, OnDemandAnswer>;
  /** Resolves to the withdrawn versions of a module. Rejects with errors of the store. */
  readonly withdrawnOf: (module: ModulePath) => Promise<ReadonlySet<string>>;
}

/**
 * The published private modules, and in addition everything that GitLab has: branches, commits, and tags for which no
 * webhook has arrived. The store comes first. Only if the store lacks something, a worker gets a request, and the
 * client waits for the worker's answer.
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

  async answer(request: ModuleRequest, access: FileAccess = 'stat'): Promise<Answer> {
    const published = await this.#find(request, access);
    if (request.kind === 'list' && published) return await this.#withTaggedVersions(request.module, published);
    if (published) return published;
    try {
      return await this.#fromWorker(request, access);
    } catch (error) {
      if (error instanceof TryAgainLater && (await this.#isPartOfPublished(request.module))) {
        throw new NotFound(`${describe(request)} is not published here, and GitLab cannot be queried right now`);
      }
      throw error;
    }
  }

  /** Ends all waiting. Waiting requests are rejected with TryAgainLater, which tells the client to try again. */
  close(): void {
    this.#worker.close();
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
  async #withTaggedVersions(module: ModulePath, published: Answer): Promise<Answer> {
    if (published.kind !== 'bytes') return published;
    const tagged = await this.#worker.answerIfQuick({ kind: 'list', module });
    if (tagged?.kind !== 'list') return published;
    const publishedVersions = parseListText(published.body);
    const taggedVersions = new Set<string>(tagged.versions);
    // Whether a list has +incompatible versions depends on all tags. So the worker decides it, not the store.
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
   * The tagged versions without the withdrawn ones. The worker's answer may be minutes old, so a version may have been
   * withdrawn since. A published version is not withdrawn. So the withdrawals are read only if a tagged version is not
   * published.
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

  async #fromWorker(request: ModuleRequest, access: FileAccess): Promise<Answer> {
    const { module } = request;
    if (request.kind === 'list') {
      const { versions } = await this.#answerTo({ kind: 'list', module }, request, 'list');
      return versionList(await this.#withoutWithdrawn(module, versions, []));
    }
    if (request.kind === 'latest' || request.file === 'info') {
      const query = request.kind === 'latest' ? 'latest' : request.version;
      const { text } = await this.#answerTo({ kind: 'info', module, query }, request, 'info');
      return mutable(Buffer.from(text));
    }
    return await this.#file(request, access);
  }

  async #file(request: FileRequest, access: FileAccess): Promise<Answer> {
    const version = parseVersion(request.version);
    if (version === undefined) throw new NotFound(`${describe(request)}: ${request.version} is not a version`);
    if (request.file === 'mod') {
      const { base64 } = await this.#answerTo({ kind: 'mod', module: request.module, version }, request, 'mod');
      return mutable(Buffer.from(base64, 'base64'));
    }
    await this.#answerTo({ kind: 'publish', module: request.module, version }, request, 'published');
    return await this.#modules.answer(request, access);
  }

  /** A worker's answer, which is of this kind. Rejects as the worker client does. */
  async #answerTo<Kind extends OnDemandAnswer['kind']>(
    onDemandRequest: OnDemandRequest,
    request: ModuleRequest,
    kind: Kind,
  ): Promise<Extract<OnDemandAnswer, { kind: Kind }>> {
    const isPublished = async (): Promise<boolean> => (await this.#find(request, 'stat')) !== undefined;
    const answer = await this.#worker.answerTo(onDemandRequest, describe(request), isPublished);
    if (!isOfKind(answer, kind))
      throw new Error(`expected an answer of the kind ${kind}, but its kind is ${answer.kind}`);
    return answer;
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
