import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import type { VersionFile } from '../store/layout.ts';

/**
 * The kinds of findings: bytes that differ from the published ones, missing files, a version that could not be checked, a
 * version without a record of its checksums, and a note, which needs no action.
 */
export type FindingKind = 'different' | 'missing' | 'unchecked' | 'unrecorded' | 'note';

/** One result of a verification. The JSON report has these fields. */
export interface Finding {
  readonly kind: FindingKind;
  /** The version concerned. Absent if the finding is about a key that belongs to no version. */
  readonly module?: ModulePath;
  readonly version?: Version;
  /** The key in the store, if there is no version. */
  readonly key?: string;
  /** The file of the version, if the finding is about a single one. */
  readonly file?: VersionFile;
  /** What is wrong, as a phrase that follows the name of the version. */
  readonly problem: string;
  /** The two checksums, if they differ. */
  readonly expected?: string;
  readonly found?: string;
  /** What the operator can do. */
  readonly advice: string;
}

/** The number of versions, in total and of each kind. A version counts only for its worst finding. */
export interface Counts {
  versions: number;
  ok: number;
  different: number;
  missing: number;
  unrecorded: number;
  unchecked: number;
}

/** The kinds that count, the worst first. A note does not count. */
const BY_SEVERITY = ['different', 'missing', 'unchecked', 'unrecorded'] as const;

/** The counts before anything is checked. */
export function noCounts(): Counts {
  return { versions: 0, ok: 0, different: 0, missing: 0, unrecorded: 0, unchecked: 0 };
}

/** Adds a version with all its findings to the counts. */
export function countVersion(counts: Counts, findings: readonly Finding[]): void {
  const worst = BY_SEVERITY.find((kind) => findings.some((finding) => finding.kind === kind));
  counts.versions++;
  counts[worst ?? 'ok']++;
}

/** Whether nothing differs, nothing is missing, and everything could be checked. A version without a record is only a warning. */
export function allWell({ different, missing, unchecked }: Counts): boolean {
  return different + missing + unchecked === 0;
}
