import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { parseModfileLax } from './modfile.ts';
import { semverIn, SortedVersions } from './version.ts';

/** The maximum number of retracted versions in all cached results together. */
const MAX_CACHED_VERSIONS = 200_000;

/**
 * Determines which versions of a module its go.mod retracts. A go.mod of 16 MiB can contain two million ranges, and
 * reading them takes seconds. Therefore only the retracted versions are kept, and they are computed once for each
 * go.mod and list of versions.
 */
export class Retractions {
  readonly #results = new LRUCache<string, ReadonlySet<string>, Question>({
    maxSize: MAX_CACHED_VERSIONS,
    sizeCalculation: (retracted) => retracted.size + 1,
    // If a result is evicted while it is computed, its callers still receive it.
    ignoreFetchAbort: true,
    fetchMethod: (_key, _stale, { context: { gomod, versions } }) => retractedVersions(gomod, versions),
  });
  readonly #digests = new WeakMap<Buffer, string>();

  /** Resolves to the retracted ones of `versions`. No version is retracted if the go.mod cannot be parsed. */
  async among(versions: readonly string[], gomod: Buffer): Promise<ReadonlySet<string>> {
    const digest = this.#digests.get(gomod) ?? digestOf(gomod);
    this.#digests.set(gomod, digest);
    return await this.#results.forceFetch(digest + digestOf(versions.join('\n')), { context: { gomod, versions } });
  }
}

interface Question {
  readonly gomod: Buffer;
  readonly versions: readonly string[];
}

function digestOf(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('base64');
}

/** Resolves to the retracted ones of `versions`, without a cache. */
export async function retractedVersions(gomod: Buffer, versions: Iterable<string>): Promise<ReadonlySet<string>> {
  const ranges = await RetractedRanges.among(versions);
  const modfile = await parseModfileLax(gomod, (low, high) => ranges.add(low, high));
  return modfile ? ranges.versions() : new Set();
}

/** Collects ranges of retracted versions. It keeps only which versions of a list are in a range. */
export class RetractedRanges {
  readonly #sorted: SortedVersions;
  /**
   * The number of ranges that begin at the version with this index, minus the number of ranges that ended before it.
   */
  readonly #changes: Int32Array;
  #last: readonly [low: string, high: string] | undefined;

  private constructor(sorted: SortedVersions) {
    this.#sorted = sorted;
    this.#changes = new Int32Array(sorted.versions.length + 1);
  }

  /** Begins without a range. `versions` are the versions of which the retracted ones are looked for. */
  static async among(versions: Iterable<string>): Promise<RetractedRanges> {
    return new RetractedRanges(await SortedVersions.of(versions));
  }

  /** Adds a range. Both bounds belong to the range. They need not be versions. */
  *add(low: string, high: string): Generator<undefined, void> {
    if (this.#last?.[0] === low && this.#last[1] === high) return;
    this.#last = [low, high];
    const lowest = yield* semverIn(low);
    const highest = high === low ? lowest : yield* semverIn(high);
    const start = this.#sorted.count('<', lowest);
    const end = this.#sorted.count('<=', highest);
    if (start >= end) return;
    this.#changes[start] = (this.#changes[start] ?? 0) + 1;
    this.#changes[end] = (this.#changes[end] ?? 0) - 1;
  }

  /** Returns the versions that are in at least one range. */
  versions(): ReadonlySet<string> {
    let ranges = 0;
    return new Set(this.#sorted.versions.filter((_, index) => (ranges += this.#changes[index] ?? 0) > 0));
  }
}
