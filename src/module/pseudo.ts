import { canonicalVersion, isPseudoVersion, prereleaseOf, type Version } from './version.ts';

/**
 * Builds and parses pseudo-versions, which identify commits without a tag (golang.org/x/mod/module, pseudo.go). The
 * forms are `v0.0.0-T-H`, `vX.Y.(Z+1)-0.T-H` and `vX.Y.Z-pre.0.T-H`. The last two end in `+incompatible` if the base
 * version does. T is the committer time of the commit in UTC. H is the start of the commit's id.
 */

/** The parts of a pseudo-version. */
export interface PseudoVersion {
  /** Fourteen digits, from year to second, in UTC. They do not have to be a valid time. */
  readonly timestamp: string;
  /** The start of the commit's id. */
  readonly revision: string;
  /**
   * The base version, including `+incompatible`. It is empty for a pseudo-version without a base. If no version can be
   * the base, this field contains the reason.
   */
  readonly base: string | { readonly reason: string };
}

/**
 * Returns the pseudo-version of a commit. `major` is `v2` for a path that ends in `/v2`, and empty for a path without a
 * suffix. `base` is the highest version before the commit, or empty. `revision` is the first twelve digits of the
 * commit's id.
 */
export function pseudoVersion(major: string, base: string, time: Date, revision: string): Version {
  const segment = `${timestampOf(time)}-${revision}`;
  const [, older = '', build = ''] = /^([^+]*)(\+.*)?$/s.exec(base) ?? [];
  const canonical = canonicalVersion(older);
  if (canonical === '') return `${major || 'v0'}.0.0-${segment}` as Version;
  if (prereleaseOf(canonical) !== '') return `${canonical}.0.${segment}${build}` as Version;
  const patch = canonical.lastIndexOf('.') + 1;
  return `${canonical.slice(0, patch)}${BigInt(canonical.slice(patch)) + 1n}-0.${segment}${build}` as Version;
}

/** Parses a pseudo-version. Returns undefined if the text is not a pseudo-version. */
export function parsePseudoVersion(version: string): PseudoVersion | undefined {
  if (!isPseudoVersion(version)) return undefined;
  const [, release = '', separator = '', timestamp = '', revision = '', build = ''] = FORM.exec(version) ?? [];
  return { timestamp, revision, base: baseOf(release, separator, build) };
}

/**
 * Returns whether the go command can write a time: as the timestamp of a pseudo-version, and as JSON
 * (time.Time.MarshalJSON). A commit can have a later time.
 */
export function hasFourDigitYear(time: Date): boolean {
  return time.getUTCFullYear() <= 9999;
}

/** Formats a time as the timestamp of a pseudo-version. */
export function timestampOf(time: Date): string {
  return time.toISOString().replace(/\D/g, '').slice(0, 14);
}

const FORM = /^(.*)([-.])(\d{14})-([^-+]+)(\+.*)?$/s;

function baseOf(release: string, separator: string, build: string): PseudoVersion['base'] {
  // If a dash precedes the timestamp, there is no base version, and the part before the dash is vX.0.0. Otherwise a dot
  // precedes the timestamp, and the last identifier before the dot is `0`.
  if (separator === '-')
    return build === '' ? '' : { reason: `it has no base version, so it must not end in ${build}` };
  const version = release.replace(/[-.]0$/, '');
  if (release.endsWith('.0') && version.includes('-')) return version + build;
  const patch = version.lastIndexOf('.') + 1;
  const before = BigInt(version.slice(patch)) - 1n;
  return before < 0n
    ? { reason: `there is no version before ${version}` }
    : `${version.slice(0, patch)}${before}${build}`;
}
