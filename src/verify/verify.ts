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

/** What verifying needs, and who is told of it. */
export interface VerifyParts extends CheckParts {
  /** Told of everything that is found, at once. */
  readonly onFinding: (finding: Finding) => void;
  /** Told how many versions are done, and how many have been found in the store so far. */
  readonly onProgress: (done: number, found: number) => void;
}

/** A module or version to be verified of which there is nothing in the store. */
export class NothingThere extends Error {
  override readonly name = 'NothingThere';
}

/** Versions, or projects where they are built again, that are looked at side by side. */
const LANES = 4;

/**
 * Recomputes the checksums of the selected versions and compares them with those recorded when they were published, and
 * with GitLab's. Nothing is written. Resolves to the counts, those so far once `signal` is aborted. Rejects with
 * NothingThere before anything is checked, and with StoreUnavailable when the store cannot be listed.
 */
export async function verifyStore(parts: VerifyParts, selection: Selection, signal: AbortSignal): Promise<Counts> {
  const run = new Run(parts, signal);
  const records = await readRecords(parts.store, selection, (key) => run.noteUnreadable(key), signal);
  await assertPresent(parts.store, selection, records);
  const counting = countPublished(parts.store, selection, (count) => run.found(count), signal);
  // It may fail before the others are done, who fail for the same reason.
  counting.catch(() => undefined);
  await run.checkStored(selection, records);
  await counting;
  await run.checkMissing(records.values());
  return run.counts;
}

/** One verification, and how far it has come. */
class Run {
  readonly counts = noCounts();
  readonly #parts: VerifyParts;
  readonly #signal: AbortSignal;
  #found = 0;

  constructor(parts: VerifyParts, signal: AbortSignal) {
    this.#parts = parts;
    this.#signal = signal;
  }

  found(count: number): void {
    this.#found = count;
    this.#tellProgress();
  }

  noteUnreadable(key: string): void {
    this.#parts.onFinding({
      kind: 'note',
      key,
      problem: 'this outcome cannot be read',
      advice: 'delete it: the next sweep looks at the tag again',
    });
  }

  /** Checks every selected version in the store, in lanes, and takes its record out of `records`. */
  async checkStored(selection: Selection, records: PublishRecords): Promise<void> {
    const lanes = new KeyedQueue(LANES);
    for await (const stored of storedVersions(this.#parts.store, selection)) {
      if (this.#signal.aborted) break;
      const name = `${stored.module}@${stored.version}`;
      const record = records.get(name);
      if (stored.published) {
        records.delete(name);
        await lanes.add(this.#laneOf(stored, record), () => this.#check(stored, record));
      } else if (!record && !(await this.#tellWithdrawn(stored))) {
        this.#parts.onFinding(leftoverOf(stored));
      }
    }
    await lanes.settled();
  }

  /** Finds the versions that are not there, of records that no version in the store has taken. */
  async checkMissing(records: Iterable<PublishRecord>): Promise<void> {
    for (const record of records) {
      if (this.#signal.aborted) return;
      const { module, version } = record;
      // It may have been published while the rest was checked.
      if ((await this.#parts.store.stat(moduleKey(module, version, 'info'))) || (await this.#tellWithdrawn(record)))
        continue;
      const problem = 'it was published, and its .info is missing';
      this.#finish([{ kind: 'missing', module, version, problem, advice: repairAdvice({ module, version }, record) }]);
    }
  }

  async #check(stored: StoredVersion, record: PublishRecord | undefined): Promise<void> {
    if (this.#signal.aborted) return;
    const findings = await this.#findingsOf(stored, record);
    if (findings) this.#finish(findings);
  }

  /** Undefined for a check that was cut short. Whatever goes wrong with one version, the others are still to be checked. */
  async #findingsOf(
    { module, version }: StoredVersion,
    record: PublishRecord | undefined,
  ): Promise<readonly Finding[] | undefined> {
    try {
      const findings = await checkVersion(this.#parts, { module, version }, record, this.#signal);
      // Looked for last: it may have been withdrawn while it was checked.
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
          advice: 'run it again when this is mended',
        },
      ];
    }
  }

  /** Tells of a version without `.info` that it was withdrawn, if so; without any file it is none that counts. */
  async #tellWithdrawn(subject: Pick<StoredVersion, 'module' | 'version'>): Promise<boolean> {
    const finding = await findWithdrawn(this.#parts.store, subject);
    if (finding?.kind === 'note') this.#parts.onFinding(finding);
    else if (finding) this.#finish([finding]);
    return finding !== undefined;
  }

  #finish(findings: readonly Finding[]): void {
    countVersion(this.counts, findings);
    for (const finding of findings) this.#parts.onFinding(finding);
    this.#tellProgress();
  }

  #tellProgress(): void {
    this.#parts.onProgress(this.counts.versions, Math.max(this.#found, this.counts.versions));
  }

  /** Versions of one project share a limit of GitLab's, so that they come one after the other. */
  #laneOf({ module, version }: StoredVersion, record: PublishRecord | undefined): string {
    if (!this.#parts.rebuilder) return `${module}@${version}`;
    return record ? `project ${record.projectId}` : module;
  }
}

function leftoverOf({ module, version }: StoredVersion): Finding {
  const problem = 'there are files of it without an .info: a publish that was not finished';
  return {
    kind: 'note',
    module,
    version,
    problem,
    advice: 'nobody sees them, and publishing it writes them again; else delete them',
  };
}

/** Throws NothingThere for the first selected module or version of which there is neither a file nor a record. */
async function assertPresent(store: ReadStore, selection: Selection, records: PublishRecords): Promise<void> {
  if (selection === 'everything') return;
  const recorded = new Set(Array.from(records.values(), ({ module }) => module));
  for (const [module, versions] of selection) {
    if (versions === 'all') {
      if (!recorded.has(module) && !(await hasAny(store, module)))
        throw new NothingThere(`there is no version of ${module} in the store`);
      continue;
    }
    for (const version of versions) {
      if (!records.has(`${module}@${version}`) && !(await hasFile(store, module, version)))
        throw new NothingThere(`${module}@${version} is not in the store`);
    }
  }
}

async function hasAny(store: ReadStore, module: ModulePath): Promise<boolean> {
  const listing = storedVersions(store, new Map([[module, 'all' as const]]));
  const { done } = await listing.next();
  await listing.return(undefined);
  return done !== true;
}

async function hasFile(store: ReadStore, module: ModulePath, version: Version): Promise<boolean> {
  for (const file of ['info', 'mod', 'zip'] as const) {
    if (await store.stat(moduleKey(module, version, file))) return true;
  }
  return false;
}
