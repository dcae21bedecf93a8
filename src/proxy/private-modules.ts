import { listKey, moduleKey, versionsPrefix } from '../store/layout.ts';
import { publishedVersions } from '../store/published-versions.ts';
import { StoreUnavailable, type ReadStore } from '../store/store.ts';
import { describeWithdrawal, readWithdrawal } from '../store/withdrawal.ts';
import type { ModulePath } from '../module/path.ts';
import { legacyGoMod } from '../module/modfile.ts';
import { Retractions } from '../module/retractions.ts';
import { parseVersion, type Version } from '../module/version.ts';
import {
  Gone,
  NotFound,
  describe,
  type Answer,
  type BytesAnswer,
  type FileAccess,
  type ModuleSource,
} from './module-source.ts';
import type { ConcurrencyLimit } from '../async/concurrency-limit.ts';
import { SingleFlight } from '../async/single-flight.ts';
import { MemoryCache } from './memory-cache.ts';
import type { FileRequest, ModuleRequest } from './protocol-request.ts';
import { findZip } from './stored-zip.ts';
import { smallFileProblem } from './validate-download.ts';
import { byPreference, listedVersions, listText } from './listed-versions.ts';

/** The dependencies of PrivateModules. */
export interface PrivateModulesParts {
  readonly store: ReadStore;
  /** Limits how many zips are open at the same time. */
  readonly openZips: ConcurrencyLimit;
  /** How long a file is served from memory without reading the store, in milliseconds; 10 s by default. */
  readonly freshMs?: number;
}

/** The maximum size of the in-memory cache, in bytes. */
const MEMORY_BYTES = 64 * 2 ** 20;
const FRESH_MS = 10_000;

/**
 * Serves private modules from the store and from no other source.
 *
 * A version exists once its `.info` exists, which is written last. Without an `.info`, the `.mod` and `.zip` are not
 * served. A file that the store returns damaged is not served either: the store then counts as unavailable. Files in
 * memory remain available during an outage of the store. While the store works, a file is served from
 * memory for only a few seconds. Therefore every process soon notices that another process has withdrawn or replaced a
 * version.
 */
export class PrivateModules implements ModuleSource {
  readonly #store: ReadStore;
  readonly #memory = new MemoryCache(MEMORY_BYTES);
  readonly #openZips: ConcurrencyLimit;
  readonly #freshMs: number;
  readonly #retractions = new Retractions();
  readonly #reads = new SingleFlight<BytesAnswer | undefined>();

  constructor(parts: PrivateModulesParts) {
    this.#store = parts.store;
    this.#openZips = parts.openZips;
    this.#freshMs = parts.freshMs ?? FRESH_MS;
  }

  async answer(request: ModuleRequest, access: FileAccess = 'stat'): Promise<Answer> {
    const answer = await this.#find(request, access);
    if (answer) return answer;
    if (request.kind === 'file') await this.#refuseWithdrawn(request);
    throw new NotFound(`${describe(request)} is not published here\n${ADVICE[request.kind]}`);
  }

  async #find(request: ModuleRequest, access: FileAccess): Promise<Answer | undefined> {
    const { module } = request;
    // Lists and @latest are read from the store each time, because they must include a tag that was pushed a second
    // ago.
    if (request.kind === 'list') return await this.#read(listKey(module), 0, () => this.#list(module));
    if (request.kind === 'latest')
      return await this.#read(`${versionsPrefix(module)}@latest`, 0, () => this.#latest(module));
    const version = parseVersion(request.version);
    if (version === undefined) return undefined;
    return request.file === 'zip'
      ? await this.#zip(module, version, access)
      : await this.#small(module, version, request.file);
  }

  /**
   * Throws Gone if the version is withdrawn. It is called only for missing files, so that published versions need no
   * extra read.
   */
  async #refuseWithdrawn({ module, version: text }: FileRequest): Promise<void> {
    const version = parseVersion(text);
    const withdrawal = version && (await readWithdrawal(this.#store, module, version));
    if (withdrawal) throw new Gone(`${describeWithdrawal(withdrawal)}\nUse another version.`);
  }

  async #list(module: ModulePath): Promise<Buffer | undefined> {
    const versions = await this.#versions(module);
    // After an empty list with status 200, the go command would not try its next proxy.
    return versions.length === 0 ? undefined : listText(versions);
  }

  async #latest(module: ModulePath): Promise<Buffer | undefined> {
    const preferred = await byPreference(await this.#versions(module));
    const [highest] = preferred;
    if (highest === undefined) return undefined;
    const gomod = await this.#small(module, highest, 'mod');
    const retracted = gomod && (await this.#retractions.among(preferred, gomod.body));
    const latest = preferred.find((version) => !retracted?.has(version));
    if (latest === undefined)
      throw new NotFound(`every version of ${module} is retracted\nTo use one of them, request it by its version.`);
    return (await this.#small(module, latest, 'info'))?.body;
  }

  /**
   * Returns the versions for `@v/list`, based on the existing `.info` files. Does not read the static copy under
   * `list`.
   */
  async #versions(module: ModulePath): Promise<Version[]> {
    const published: Version[] = [];
    for await (const version of publishedVersions(this.#store, module)) published.push(version);
    return await listedVersions(published, async (version) => {
      const gomod = await this.#small(module, version, 'mod');
      return gomod !== undefined && !gomod.body.equals(legacyGoMod(module));
    });
  }

  async #small(module: ModulePath, version: Version, file: 'info' | 'mod'): Promise<BytesAnswer | undefined> {
    const key = moduleKey(module, version, file);
    const answer = await this.#read(key, this.#freshMs, async () => {
      if (file === 'mod' && !(await this.#isPublished(module, version))) return undefined;
      const body = await this.#store.get(key);
      const problem = body && smallFileProblem(body, { kind: 'file', module, version, file });
      if (problem !== undefined) throw new StoreUnavailable(`the store returned ${problem} as ${key}`);
      return body;
    });
    return answer && { kind: 'bytes', body: answer.body, immutable: true };
  }

  async #zip(module: ModulePath, version: Version, access: FileAccess): Promise<Answer | undefined> {
    if (!(await this.#isPublished(module, version))) return undefined;
    return await findZip(this.#store, moduleKey(module, version, 'zip'), access, { limit: this.#openZips });
  }

  async #isPublished(module: ModulePath, version: Version): Promise<boolean> {
    return (await this.#small(module, version, 'info')) !== undefined;
  }

  /**
   * Returns the content in memory if it is younger than `freshMs`. Otherwise loads it; concurrent reads of one key
   * share one load. If the store is down, returns the content in memory, marked as stale.
   */
  async #read(key: string, freshMs: number, load: () => Promise<Buffer | undefined>): Promise<BytesAnswer | undefined> {
    const cached = this.#memory.get(key);
    if (cached && performance.now() - cached.readAt < freshMs)
      return { kind: 'bytes', body: cached.body, immutable: false };
    return await this.#reads.run(key, async () => {
      try {
        const body = await load();
        if (body) this.#memory.set(key, body);
        else this.#memory.delete(key);
        return body && { kind: 'bytes', body, immutable: false };
      } catch (error) {
        if (error instanceof StoreUnavailable && cached)
          return { kind: 'bytes', body: cached.body, immutable: false, stale: true };
        throw error;
      }
    });
  }
}

const MODULE_ADVICE =
  'A module is published when a version is tagged: v1.2.3, or sub/dir/v1.2.3 for a module in sub/dir.';
const ADVICE: Record<ModuleRequest['kind'], string> = {
  list: MODULE_ADVICE,
  latest: MODULE_ADVICE,
  file: 'A version is published when its tag is pushed: v1.2.3, or sub/dir/v1.2.3 for a module in sub/dir.',
};
