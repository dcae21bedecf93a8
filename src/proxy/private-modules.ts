import { moduleKey, versionsPrefix } from '../store/layout.ts';
import { publishedVersions } from '../store/published-versions.ts';
import { StoreUnavailable, type ReadStore } from '../store/store.ts';
import { describeWithdrawal, readWithdrawal } from '../store/withdrawal.ts';
import type { ModulePath } from '../module/path.ts';
import { isRetracted, retractions } from '../module/modfile.ts';
import { parseVersion, type Version } from '../module/version.ts';
import { Gone, NotFound, describe, type Answer, type BytesAnswer, type ModuleSource } from './module-source.ts';
import { SingleFlight } from '../async/single-flight.ts';
import { Memory } from './memory-cache.ts';
import type { FileRequest, ModuleRequest } from './request.ts';
import { byPreference, listedVersions } from './versions.ts';

/** What private modules are served from. */
export interface PrivateModulesParts {
  readonly store: ReadStore;
  /** Bound of what is kept in memory, in bytes; 64 MiB by default. */
  readonly memoryBytes?: number;
  /** How long a file in memory is served without a look at the store, in milliseconds; 10 s by default. */
  readonly freshMs?: number;
}

/**
 * The private modules, from the store and from nowhere else.
 *
 * A version is there once its `.info` is, which is written last: `.mod` or `.zip` without it do not exist yet.
 * Files in memory outlive an outage of the store. While it works they are served from memory only for a moment,
 * so that a version that was withdrawn or replaced by another process is soon seen by all.
 */
export class PrivateModules implements ModuleSource {
  readonly #store: ReadStore;
  readonly #memory: Memory;
  readonly #freshMs: number;
  readonly #reads = new SingleFlight<BytesAnswer | undefined>();

  constructor(parts: PrivateModulesParts) {
    this.#store = parts.store;
    this.#memory = new Memory(parts.memoryBytes ?? 64 * 2 ** 20);
    this.#freshMs = parts.freshMs ?? 10_000;
  }

  async answer(request: ModuleRequest): Promise<Answer> {
    const answer = await this.#find(request);
    if (answer) return answer;
    if (request.kind === 'file') await this.#refuseWithdrawn(request);
    throw new NotFound(`${describe(request)} is not published here\n${ADVICE[request.kind]}`);
  }

  async #find(request: ModuleRequest): Promise<Answer | undefined> {
    const { module } = request;
    // Lists and @latest are never taken from memory as fresh: a tag pushed a second ago counts.
    if (request.kind === 'list')
      return await this.#recall(`${versionsPrefix(module)}list`, 0, () => this.#list(module));
    if (request.kind === 'latest')
      return await this.#recall(`${versionsPrefix(module)}@latest`, 0, () => this.#latest(module));
    const version = parseVersion(request.version);
    if (version === undefined) return undefined;
    return request.file === 'zip' ? await this.#zip(module, version) : await this.#small(module, version, request.file);
  }

  /** Asked only about what is not there, so that what is published costs nothing more. */
  async #refuseWithdrawn({ module, version: text }: FileRequest): Promise<void> {
    const version = parseVersion(text);
    const withdrawal = version && (await readWithdrawal(this.#store, module, version));
    if (withdrawal) throw new Gone(`${describeWithdrawal(withdrawal)}\nUse another version.`);
  }

  async #list(module: ModulePath): Promise<Buffer | undefined> {
    const versions = await this.#versions(module);
    // An empty list with status 200 would keep the go command from asking its next proxy.
    return versions.length === 0 ? undefined : Buffer.from(versions.map((version) => `${version}\n`).join(''));
  }

  async #latest(module: ModulePath): Promise<Buffer | undefined> {
    const preferred = byPreference(await this.#versions(module));
    const [highest] = preferred;
    if (highest === undefined) return undefined;
    const gomod = await this.#small(module, highest, 'mod');
    const ranges = gomod ? retractions(gomod.body) : [];
    const latest = preferred.find((version) => !isRetracted(version, ranges));
    if (latest === undefined)
      throw new NotFound(`every version of ${module} is retracted\nName a version to get it all the same.`);
    return (await this.#small(module, latest, 'info'))?.body;
  }

  /** The listing of `.info` files is the truth, not the static copy under `list`. */
  async #versions(module: ModulePath): Promise<Version[]> {
    const published: Version[] = [];
    for await (const version of publishedVersions(this.#store, module)) published.push(version);
    return await listedVersions(published, async (version) => {
      const gomod = await this.#small(module, version, 'mod');
      // What the go command makes up for a repository without go.mod is exactly this line.
      return gomod !== undefined && gomod.body.toString() !== `module ${module}\n`;
    });
  }

  async #small(module: ModulePath, version: Version, file: 'info' | 'mod'): Promise<BytesAnswer | undefined> {
    const key = moduleKey(module, version, file);
    const found = await this.#recall(key, this.#freshMs, async () => {
      if (file === 'mod' && !(await this.#isPublished(module, version))) return undefined;
      return await this.#store.get(key);
    });
    return found && { kind: 'bytes', body: found.body, immutable: true };
  }

  async #zip(module: ModulePath, version: Version): Promise<Answer | undefined> {
    if (!(await this.#isPublished(module, version))) return undefined;
    const key = moduleKey(module, version, 'zip');
    const object = await this.#store.stat(key);
    return object && { kind: 'stored', object, immutable: true, open: (range) => this.#store.open(key, range) };
  }

  async #isPublished(module: ModulePath, version: Version): Promise<boolean> {
    return (await this.#small(module, version, 'info')) !== undefined;
  }

  /** What `load` gives, folded with concurrent loads of the same; when the store is down, what it gave last. */
  async #recall(
    key: string,
    freshMs: number,
    load: () => Promise<Buffer | undefined>,
  ): Promise<BytesAnswer | undefined> {
    const known = this.#memory.get(key);
    if (known && performance.now() - known.at < freshMs) return { kind: 'bytes', body: known.body, immutable: false };
    return await this.#reads.run(key, async () => {
      try {
        const body = await load();
        if (body) this.#memory.set(key, body);
        else this.#memory.delete(key);
        return body && { kind: 'bytes', body, immutable: false };
      } catch (error) {
        if (error instanceof StoreUnavailable && known)
          return { kind: 'bytes', body: known.body, immutable: false, stale: true };
        throw error;
      }
    });
  }
}

const ADVICE: Record<ModuleRequest['kind'], string> = {
  list: 'A module appears here once a version is tagged: v1.2.3, or sub/dir/v1.2.3 for a module in sub/dir.',
  latest: 'A module appears here once a version is tagged: v1.2.3, or sub/dir/v1.2.3 for a module in sub/dir.',
  file: 'A version appears here once its tag is pushed: v1.2.3, or sub/dir/v1.2.3 for a module in sub/dir.',
};
