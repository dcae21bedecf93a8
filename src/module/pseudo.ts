import { canonicalVersion, isPseudoVersion, prereleaseOf, type Version } from './version.ts';

/**
 * Pseudo-versions, which name a commit without a tag: `v0.0.0-T-H`, `vX.Y.(Z+1)-0.T-H` or `vX.Y.Z-pre.0.T-H`. The last two
 * end in `+incompatible` if the base does (golang.org/x/mod/module, pseudo.go). T is the time of the commit in UTC (the
 * committer's, not the author's), H the start of its id.
 */

/** The parts of a pseudo-version. */
export interface PseudoVersion {
  /** Fourteen digits: year to second, in UTC. They need not be a valid time. */
  readonly timestamp: string;
  /** The start of the commit's id. */
  readonly revision: string;
  /** The base version, including `+incompatible`; empty for a pseudo-version without a base; the reason if no version can be the base. */
  readonly base: string | { readonly reason: string };
}

/**
 * The pseudo-version of a commit. `major` is `v2` for a path that ends in `/v2`, and empty for a path without a suffix.
 * `base` is the highest version before the commit, or empty. `revision` is the first twelve digits of the commit's id.
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

/** Parses a pseudo-version; undefined if the text is not a pseudo-version. */
export function parsePseudoVersion(version: string): PseudoVersion | undefined {
  if (!isPseudoVersion(version)) return undefined;
  const [, release = '', separator = '', timestamp = '', revision = '', build = ''] = FORM.exec(version) ?? [];
  return { timestamp, revision, base: baseOf(release, separator, build) };
}

/** Formats a time as in a pseudo-version. */
export function timestampOf(time: Date): string {
  return time.toISOString().replace(/\D/g, '').slice(0, 14);
}

const FORM = /^(.*)([-.])(\d{14})-([^-+]+)(\+.*)?$/s;

function baseOf(release: string, separator: string, build: string): PseudoVersion['base'] {
  // The part before the time is vX.0.0 if a dash follows it directly. Otherwise its last identifier is `0`.
  if (separator === '-') return build === '' ? '' : { reason: `it has no base version, so it cannot have ${build}` };
  const version = release.replace(/[-.]0$/, '');
  if (release.endsWith('.0') && version.includes('-')) return version + build;
  const patch = version.lastIndexOf('.') + 1;
  const before = BigInt(version.slice(patch)) - 1n;
  return before < 0n
    ? { reason: `there is no version before ${version}` }
    : `${version.slice(0, patch)}${before}${build}`;
}
