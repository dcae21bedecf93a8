import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import type { VersionFile } from '../store/layout.ts';

/**
 * What can be found: bytes that are not what they should be, files that are not there, a version that could not be
 * checked or has nothing to be compared with, and what a person may like to know.
 */
export type FindingKind = 'different' | 'missing' | 'unchecked' | 'unrecorded' | 'note';

/** Something found while verifying. */
export interface Finding {
  readonly kind: FindingKind;
  /** The version it is about; absent for a key of the store that belongs to none. */
  readonly module?: ModulePath;
  readonly version?: Version;
  /** The key, where there is no version. */
  readonly key?: string;
  /** Which of the version's files it is about, if one of them. */
  readonly file?: VersionFile;
  /** What is wrong, in words. */
  readonly problem: string;
  /** The two checksums, where that is what differs. */
  readonly expected?: string;
  readonly found?: string;
  /** What to do about it, in words. */
  readonly advice: string;
}

/** How many versions there were, and of each kind; every version counts as one kind alone, the worst. */
export interface Counts {
  versions: number;
  ok: number;
  different: number;
  missing: number;
  unrecorded: number;
  unchecked: number;
}

/** The worst first. A note changes nothing. */
const SEVERITY = ['different', 'missing', 'unchecked', 'unrecorded'] as const;

/** Counts for nothing checked yet. */
export function noCounts(): Counts {
  return { versions: 0, ok: 0, different: 0, missing: 0, unrecorded: 0, unchecked: 0 };
}

/** Counts a version with all that was found of it. */
export function countVersion(counts: Counts, findings: readonly Finding[]): void {
  const worst = SEVERITY.find((kind) => findings.some((finding) => finding.kind === kind));
  counts.versions++;
  counts[worst ?? 'ok']++;
}

/** Whether nothing differs, nothing is missing, and all could be checked. What has no record is only a warning. */
export function allWell({ different, missing, unchecked }: Counts): boolean {
  return different + missing + unchecked === 0;
}
