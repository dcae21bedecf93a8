import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import type { VersionFile } from '../store/layout.ts';

/**
 * The kind of a finding:
 * - `different`: bytes differ from the published ones.
 * - `missing`: a file is missing.
 * - `unchecked`: the version could not be checked.
 * - `unrecorded`: no outcome records the checksums of the version.
 * - `note`: other information, which the counts do not include.
 */
export type FindingKind = 'different' | 'missing' | 'unchecked' | 'unrecorded' | 'note';

/** One finding of a verification. Its fields are part of the JSON report. */
export interface Finding {
  readonly kind: FindingKind;
  /** The module and version. Absent if the finding concerns a key that belongs to no version. */
  readonly module?: ModulePath;
  readonly version?: Version;
  /** The key in the store, if the finding concerns no version. */
  readonly key?: string;
  /** The file of the version, if the finding concerns a single file. */
  readonly file?: VersionFile;
  /** What is wrong, as a phrase that follows the name of the version or the key. */
  readonly problem: string;
  /** The expected and the found checksum, if they differ. */
  readonly expected?: string;
  readonly found?: string;
  /** What the operator can do. */
  readonly advice: string;
}

/** Numbers of versions, in total and by kind. A version counts only under its most severe finding. */
export interface Counts {
  versions: number;
  ok: number;
  different: number;
  missing: number;
  unrecorded: number;
  unchecked: number;
}

/** The kinds that count, the most severe first. */
const BY_SEVERITY = ['different', 'missing', 'unchecked', 'unrecorded'] as const;

/** Returns counts that are all zero. */
export function noCounts(): Counts {
  return { versions: 0, ok: 0, different: 0, missing: 0, unrecorded: 0, unchecked: 0 };
}

/** Counts a version under its most severe finding, or as ok. */
export function countVersion(counts: Counts, findings: readonly Finding[]): void {
  const worst = BY_SEVERITY.find((kind) => findings.some((finding) => finding.kind === kind));
  counts.versions++;
  counts[worst ?? 'ok']++;
}

/** Whether no version differs, is missing or could not be checked. A version without a record is only a warning. */
export function allWell({ different, missing, unchecked }: Counts): boolean {
  return different + missing + unchecked === 0;
}
