import { parseCommit, type CommitId } from '../gitlab/schema.ts';
import { parseJson } from '../io/json.ts';
import { parseModulePath, type ModulePath } from '../module/path.ts';
import { parseVersion, type Version } from '../module/version.ts';
import { isOutcomeKey, OUTCOMES_PREFIX } from '../store/layout.ts';
import { outcomeSchema, type Outcome } from '../store/outcome.ts';
import type { ReadStore } from '../store/store.ts';
import { KeyedQueue } from '../async/keyed-queue.ts';
import { isSelected, type Selection } from './selection.ts';

/** What was written down when a version was published. */
export interface PublishRecord {
  readonly module: ModulePath;
  readonly version: Version;
  readonly h1: string | undefined;
  readonly goModH1: string | undefined;
  readonly projectId: number;
  readonly commit: CommitId | undefined;
  /** Key of the outcome. */
  readonly key: string;
}

/** The records of versions, by `module@version`. */
export type PublishRecords = Map<string, PublishRecord>;

const READS_AT_ONCE = 8;

/**
 * Reads all outcomes in the store and keeps those of the selected versions that were published, for each the latest.
 * `onUnreadable` is told the key of an outcome that is none. Ends early, without error, once `signal` is aborted.
 */
export async function readRecords(
  store: ReadStore,
  selection: Selection,
  onUnreadable: (key: string) => void,
  signal: AbortSignal,
): Promise<PublishRecords> {
  const latest = new Map<string, { readonly finishedAt: number; readonly record: PublishRecord | undefined }>();
  const read = async (key: string): Promise<void> => {
    const bytes = await store.get(key);
    if (!bytes) return;
    const outcome = parseOutcome(bytes);
    if (!outcome) {
      onUnreadable(key);
      return;
    }
    const { status, module, version } = outcome;
    // A refusal takes nothing away: a version whose tag was moved stays as it was published.
    if (
      status === 'refused' ||
      module === undefined ||
      version === undefined ||
      !isSelected(selection, module, version)
    )
      return;
    const finishedAt = Date.parse(outcome.finishedAt);
    const name = `${module}@${version}`;
    const known = latest.get(name);
    if (known && known.finishedAt > finishedAt) return;
    latest.set(name, {
      finishedAt,
      record: status === 'published' ? recordOf(key, outcome, module, version) : undefined,
    });
  };
  const lanes = new KeyedQueue(READS_AT_ONCE);
  for await (const { key } of store.list(OUTCOMES_PREFIX)) {
    if (signal.aborted) break;
    if (isOutcomeKey(key)) await lanes.add(key, () => read(key));
  }
  await lanes.settled();
  const records = new Map<string, PublishRecord>();
  for (const [name, { record }] of latest) if (record) records.set(name, record);
  return records;
}

function recordOf(key: string, outcome: Outcome, module: ModulePath, version: Version): PublishRecord {
  const { h1, goModH1, projectId } = outcome;
  return { module, version, h1, goModH1, projectId, commit: parseCommit(outcome.commit), key };
}

function parseOutcome(bytes: Buffer): Outcome | undefined {
  const outcome = outcomeSchema.safeParse(parseJson(bytes)).data;
  const { module, version } = outcome ?? {};
  const isNamed =
    (module === undefined || typeof parseModulePath(module) === 'string') &&
    (version === undefined || parseVersion(version) !== undefined);
  return isNamed ? outcome : undefined;
}
