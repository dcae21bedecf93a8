import { Refuse, Retry, Skip, messageOf } from '../errors.ts';
import type { CommitId } from '../gitlab/schema.ts';
import { hashGoMod, type H1 } from '../module/hash.ts';
import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import { CommandRetryPolicy } from '../async/command-retry-policy.ts';
import { retry } from '../async/retry.ts';
import { buildZip, type BuildParts } from '../build/build-zip.ts';
import { withTemporaryFolder } from '../io/temporary-folder.ts';
import { legacyGoMod } from '../module/modfile.ts';
import type { ResolvedVersion, Resolver } from '../resolve/resolver.ts';

/** The dependencies of `Rebuilder`. */
export interface RebuilderParts extends Omit<BuildParts, 'blobs'> {
  readonly resolver: Resolver;
  /** The folder in which temporary folders are created. */
  readonly temporaryRoot: string;
  /** Called before each wait, with its reason and its length in milliseconds. */
  readonly onWait?: (reason: string, waitMs: number) => void;
  /** Waits for `waitMs` milliseconds, or until the signal is aborted. */
  readonly wait?: (waitMs: number, signal: AbortSignal) => Promise<void>;
}

/** The checksums of a version that was built again, or the reason why it could not be built. */
export type Rebuilt =
  | { readonly is: 'built'; readonly h1: H1; readonly goModH1: H1 }
  | { readonly is: 'impossible'; readonly reason: string };

/** Builds versions again from their repositories, and computes their checksums. Stores nothing. */
export class Rebuilder {
  readonly #parts: RebuilderParts;
  readonly #retryPolicy = new CommandRetryPolicy((error) => error instanceof Retry);

  constructor(parts: RebuilderParts) {
    this.#parts = parts;
  }

  /**
   * Builds a version from `commit`. If `commit` is undefined, builds it from the current commit of its tag. Waits as
   * long as GitLab requires, but only for a bounded time during an outage. Rejects once `signal` is aborted, and with
   * any unexpected error.
   */
  async rebuild(
    module: ModulePath,
    version: Version,
    commit: CommitId | undefined,
    signal: AbortSignal,
  ): Promise<Rebuilt> {
    signal.throwIfAborted();
    const { onWait, wait } = this.#parts;
    try {
      const built = await retry(() => this.#build(module, version, commit), this.#retryPolicy, {
        signal,
        onWait: (error, waitMs) => onWait?.(messageOf(error), waitMs),
        ...(wait && { wait }),
      });
      return { is: 'built', ...built };
    } catch (error) {
      if (error instanceof Skip) return { is: 'impossible', reason: `it no longer exists in GitLab: ${error.message}` };
      if (error instanceof Refuse)
        return { is: 'impossible', reason: `modpress would refuse to publish it: ${error.message}` };
      if (!(error instanceof Retry)) throw error;
      signal.throwIfAborted();
      return { is: 'impossible', reason: messageOf(error) };
    }
  }

  async #build(module: ModulePath, version: Version, commit: CommitId | undefined): Promise<{ h1: H1; goModH1: H1 }> {
    const { gitlab, rateLimiter, temporaryRoot, archivesPerMinute } = this.#parts;
    const resolved = await this.#resolve(module, version, commit);
    const { h1 } = await withTemporaryFolder(temporaryRoot, (folder) =>
      buildZip({ gitlab, rateLimiter, archivesPerMinute }, resolved, folder),
    );
    return { h1, goModH1: hashGoMod(resolved.gomod ?? legacyGoMod(module)) };
  }

  async #resolve(module: ModulePath, version: Version, commit: CommitId | undefined): Promise<ResolvedVersion> {
    const { resolver } = this.#parts;
    if (commit !== undefined) return await resolver.at(module, version, commit);
    const resolved = await resolver.resolve(module, version);
    if (resolved.version !== version) throw new Skip(`${module}@${version} resolves to ${resolved.version} in GitLab`);
    return resolved;
  }
}
