import { messageOf } from '../errors.ts';
import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import { moduleKey } from '../store/layout.ts';
import type { ReadStore } from '../store/store.ts';
import { checkVersion, repairAdvice, type CheckParts } from './check-version.ts';
import { countVersion, noCounts, type Counts, type Finding } from './finding.ts';
import { KeyedQueue } from '../async/keyed-queue.ts';
import { readRecords, type PublishRecord, type PublishRecords } from './records.ts';
import type { Selection } from './selection.ts';
import { countPublished, storedVersions, type StoredVersion } from './stored-versions.ts';
import { findWithdrawn } from './withdrawn.ts';

/** The dependencies and callbacks of a verification. */
export interface VerifyParts extends CheckParts {
  /** Called with each finding as soon as it is known. */
  readonly onFinding: (finding: Finding) => void;
  /** Called with the number of versions checked so far, and the number found so far. */
  readonly onProgress: (done: number, found: number) => void;
}

/** The store has neither a file nor a record of a selected module or version. The message names it. */
export class NotInStore extends Error {
  override readonly name = 'NotInStore';
}

/** The maximum number of versions checked concurrently. If versions are built again, the maximum number of projects. */
const CONCURRENT_CHECKS = 4;

/**
 * Computes the checksums of the selected versions again. Compares them with the recorded ones, and with those of new
 * builds if there is a rebuilder. Writes nothing to the store. Resolves to the counts, or to the counts so far once
 * `signal` is aborted. Rejects with NotInStore before it checks anything, and with StoreUnavailable if the store cannot
 * be listed.
 */
export async function verifyStore(parts: VerifyParts, selection: Selection, signal: AbortSignal): Promise<Counts> {
  const verification = new Verification(parts, signal);
  const records = await readRecords(parts.store, selection, (key) => verification.reportInvalidOutcome(key), signal);
  await assertPresent(parts.store, selection, records);
  const counting = countPublished(parts.store, selection, (count) => verification.setFound(count), signal);
  // `counting` is awaited after the checks. If it fails earlier, this handler prevents an unhandled rejection, and the
  // checks fail for the same reason.
  counting.catch(() => undefined);
  await verification.checkStored(selection, records);
  await counting;
  await verification.checkMissing(records.values());
  return verification.counts;
}

/** A running verification. */
class Verification {
  readonly counts = noCounts();
  readonly #parts: VerifyParts;
  readonly #signal: AbortSignal;
  #found = 0;

  constructor(parts: VerifyParts, signal: AbortSignal) {
    this.#parts = parts;
    this.#signal = signal;
  }

  setFound(count: number): void {
    this.#found = count;
    this.#reportProgress();
  }

  reportInvalidOutcome(key: string): void {
    this.#parts.onFinding({
      kind: 'note',
      key,
      problem: 'this outcome is invalid',
      advice: 'delete this key, so that the next sweep processes the tag again',
    });
  }

  /** Checks every selected version in the store, and removes its record from `records`. */
  async checkStored(selection: Selection, records: PublishRecords): Promise<void> {
    const checks = new KeyedQueue(CONCURRENT_CHECKS);
    for await (const stored of storedVersions(this.#parts.store, selection)) {
      if (this.#signal.aborted) break;
      const name = `${stored.module}@${stored.version}`;
      const record = records.get(name);
      if (stored.published) {
        records.delete(name);
        await checks.add(this.#queueKey(stored, record), () => this.#check(stored, record));
      } else if (!record && !(await this.#reportWithdrawn(stored))) {
        this.#parts.onFinding(leftoverFinding(stored));
      }
    }
    await checks.settled();
  }

  /** Reports the versions of the remaining records. These versions were published, but have no `.info` in the store. */
  async checkMissing(records: Iterable<PublishRecord>): Promise<void> {
    for (const record of records) {
      if (this.#signal.aborted) return;
      const { module, version } = record;
      // The version may have been published while other versions were checked.
      if ((await this.#parts.store.stat(moduleKey(module, version, 'info'))) || (await this.#reportWithdrawn(record)))
        continue;
      const problem = 'it was published, but its .info is missing';
      this.#addVersion([
        { kind: 'missing', module, version, problem, advice: repairAdvice({ module, version }, record) },
      ]);
    }
  }

  async #check(stored: StoredVersion, record: PublishRecord | undefined): Promise<void> {
    if (this.#signal.aborted) return;
    const findings = await this.#findingsOf(stored, record);
    if (findings) this.#addVersion(findings);
  }

  /**
   * Resolves to the findings of a version, or to undefined if the check was interrupted. Never rejects: an error with
   * one version must not stop the checks of other versions.
   */
  async #findingsOf(
    { module, version }: StoredVersion,
    record: PublishRecord | undefined,
  ): Promise<readonly Finding[] | undefined> {
    try {
      const findings = await checkVersion(this.#parts, { module, version }, record, this.#signal);
      // The withdrawal is read last, because the version may have been withdrawn during the check.
      const withdrawn = await findWithdrawn(this.#parts.store, { module, version });
      return withdrawn ? [withdrawn] : findings;
    } catch (error) {
      if (this.#signal.aborted) return undefined;
      return [
        {
          kind: 'unchecked',
          module,
          version,
          problem: `could not be checked: ${messageOf(error)}`,
          advice: 'solve the problem, and run the command again',
        },
      ];
    }
  }

  /**
   * Reports a version without `.info` if it was withdrawn, and resolves to whether it was. A withdrawn version is not
   * counted if none of its files is left.
   */
  async #reportWithdrawn(subject: Pick<StoredVersion, 'module' | 'version'>): Promise<boolean> {
    const finding = await findWithdrawn(this.#parts.store, subject);
    if (finding?.kind === 'note') this.#parts.onFinding(finding);
    else if (finding) this.#addVersion([finding]);
    return finding !== undefined;
  }

  /** Counts a version and reports its findings. */
  #addVersion(findings: readonly Finding[]): void {
    countVersion(this.counts, findings);
    for (const finding of findings) this.#parts.onFinding(finding);
    this.#reportProgress();
  }

  #reportProgress(): void {
    this.#parts.onProgress(this.counts.versions, Math.max(this.#found, this.counts.versions));
  }

  /**
   * Returns the key of a check. Checks with the same key run one after the other. With a rebuilder, these are the
   * versions of one project, or of one module without a record. They share the archive limit of the project.
   */
  #queueKey({ module, version }: StoredVersion, record: PublishRecord | undefined): string {
    if (!this.#parts.rebuilder) return `${module}@${version}`;
    return record ? `project ${record.projectId}` : module;
  }
}

function leftoverFinding({ module, version }: StoredVersion): Finding {
  const problem = 'it has files but no .info: a publish was interrupted';
  return {
    kind: 'note',
    module,
    version,
    problem,
    advice: 'clients cannot read these files: delete them, or publish the version again to replace them',
  };
}

/** Throws NotInStore for the first selected module or version that has neither a file nor a record. */
async function assertPresent(store: ReadStore, selection: Selection, records: PublishRecords): Promise<void> {
  if (selection === 'everything') return;
  const recorded = new Set(Array.from(records.values(), ({ module }) => module));
  for (const [module, versions] of selection) {
    if (versions === 'all') {
      if (!recorded.has(module) && !(await hasAnyVersion(store, module)))
        throw new NotInStore(`the store has no version of ${module}`);
      continue;
    }
    for (const version of versions) {
      if (!records.has(`${module}@${version}`) && !(await hasAnyFile(store, module, version)))
        throw new NotInStore(`${module}@${version} is not in the store`);
    }
  }
}

async function hasAnyVersion(store: ReadStore, module: ModulePath): Promise<boolean> {
  const listing = storedVersions(store, new Map([[module, 'all' as const]]));
  const { done } = await listing.next();
  await listing.return(undefined);
  return done !== true;
}

async function hasAnyFile(store: ReadStore, module: ModulePath, version: Version): Promise<boolean> {
  for (const file of ['info', 'mod', 'zip'] as const) {
    if (await store.stat(moduleKey(module, version, file))) return true;
  }
  return false;
}
