import { parseCommit, type CommitId } from '../gitlab/schema.ts';
import { parseModulePath, type ModulePath } from '../module/path.ts';
import { parseVersion, type Version } from '../module/version.ts';
import { isOutcomeKey, OUTCOMES_PREFIX } from '../store/layout.ts';
import { parseOutcome, type Outcome } from '../store/outcome.ts';
import type { ReadStore } from '../store/store.ts';
import { KeyedQueue } from '../async/keyed-queue.ts';
import { isSelected, type Selection } from './selection.ts';

/** The record of a published version, read from its outcome. */
export interface PublishRecord {
  readonly module: ModulePath;
  readonly version: Version;
  readonly h1: string | undefined;
  readonly goModH1: string | undefined;
  readonly projectId: number;
  readonly commit: CommitId | undefined;
  /** The key of the outcome. */
  readonly key: string;
}

/** Records of versions, keyed by `module@version`. */
export type PublishRecords = Map<string, PublishRecord>;

/** The maximum number of outcomes read concurrently. */
const CONCURRENT_READS = 8;

/**
 * Reads all outcomes in the store. Resolves to the records of the selected versions that are published according to
 * their latest outcome. Calls `onInvalid` with the key of each invalid outcome. Once `signal` is aborted, ends early
 * without an error. Rejects with StoreUnavailable.
 */
export async function readRecords(
  store: ReadStore,
  selection: Selection,
  onInvalid: (key: string) => void,
  signal: AbortSignal,
): Promise<PublishRecords> {
  const latest = new Map<string, { readonly finishedAt: number; readonly record: PublishRecord | undefined }>();
  const read = async (key: string): Promise<void> => {
    const bytes = await store.get(key);
    if (!bytes) return;
    const outcome = parseNamedOutcome(bytes);
    if (!outcome) {
      onInvalid(key);
      return;
    }
    const { status, module, version } = outcome;
    // A refused outcome does not change what is published: if a moved tag is refused, its version stays as it is.
    if (
      status === 'refused' ||
      module === undefined ||
      version === undefined ||
      !isSelected(selection, module, version)
    )
      return;
    const finishedAt = Date.parse(outcome.finishedAt);
    const name = `${module}@${version}`;
    const previous = latest.get(name);
    if (previous && previous.finishedAt > finishedAt) return;
    latest.set(name, {
      finishedAt,
      record: status === 'published' ? recordOf(key, outcome, module, version) : undefined,
    });
  };
  const reads = new KeyedQueue(CONCURRENT_READS);
  for await (const { key } of store.list(OUTCOMES_PREFIX)) {
    if (signal.aborted) break;
    if (isOutcomeKey(key)) await reads.add(key, () => read(key));
  }
  await reads.settled();
  const records = new Map<string, PublishRecord>();
  for (const [name, { record }] of latest) if (record) records.set(name, record);
  return records;
}

function recordOf(key: string, outcome: Outcome, module: ModulePath, version: Version): PublishRecord {
  const { h1, goModH1, projectId } = outcome;
  return { module, version, h1, goModH1, projectId, commit: parseCommit(outcome.commit), key };
}

/** Parses an outcome. Returns undefined if it is damaged or names an invalid module or version. */
function parseNamedOutcome(bytes: Buffer): Outcome | undefined {
  const outcome = parseOutcome(bytes);
  const { module, version } = outcome ?? {};
  const hasValidNames =
    (module === undefined || typeof parseModulePath(module) === 'string') &&
    (version === undefined || parseVersion(version) !== undefined);
  return hasValidNames ? outcome : undefined;
}
