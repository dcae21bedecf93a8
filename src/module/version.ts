import { checkElement, escapeUpperCase, splitPathVersion, unescapeUpperCase, type ModulePath } from './path.ts';

/**
 * Parses and compares semantic versions by the rules of Go (golang.org/x/mod/semver and module). These versions begin
 * with `v`, and may end in `+incompatible`.
 */

declare const versionBrand: unique symbol;

/** A canonical module version: `v1.2.3`, `v1.2.3-pre`, `v2.0.0+incompatible` or a pseudo-version. */
export type Version = string & { readonly [versionBrand]: true };

interface Semver {
  readonly major: string;
  readonly minor: string;
  readonly patch: string;
  /** Begins with `-`, or is empty. */
  readonly prerelease: string;
  /** Begins with `+`, or is empty. */
  readonly build: string;
}

const NUMBER = '(?:0|[1-9][0-9]*)';
const SEMVER = new RegExp(
  `^v(${NUMBER})(?:\\.(${NUMBER})(?:\\.(${NUMBER})(-[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?(\\+[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?)?)?$`,
);

/**
 * Parses an untrusted version. Accepts only the canonical form: the result is undefined for `v1.2` and `v1.2.3+meta`.
 */
export function parseVersion(text: string): Version | undefined {
  return text !== '' && canonicalVersion(text) === text ? (text as Version) : undefined;
}

/** Whether the text is a semantic version as Go defines it, including `v1` and `v1.2` (semver.IsValid). */
export function isSemver(text: string): boolean {
  return parseSemver(text) !== undefined;
}

/**
 * Returns the canonical form of a version (module.CanonicalVersion): three numbers, and no build metadata except
 * `+incompatible`. Returns an empty string if the text is not a version.
 */
export function canonicalVersion(text: string): string {
  const parsed = parseSemver(text);
  if (!parsed) return '';
  const suffix = parsed.build === '+incompatible' ? parsed.build : '';
  return `v${parsed.major}.${parsed.minor}.${parsed.patch}${parsed.prerelease}${suffix}`;
}

/** Returns the major version, for example `v2` for `v2.3.4`, or an empty string if the text is not a version. */
export function majorOf(version: string): string {
  const parsed = parseSemver(version);
  return parsed ? `v${parsed.major}` : '';
}

/** Returns the pre-release part, for example `-rc.1` for `v1.0.0-rc.1`, or an empty string for a release. */
export function prereleaseOf(version: string): string {
  return parseSemver(version)?.prerelease ?? '';
}

/**
 * Compares two versions by precedence, without build metadata (semver.Compare). Returns a negative number, zero, or a
 * positive number.
 */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parseSemver(a), parseSemver(b)];
  if (!left || !right) return left ? 1 : right ? -1 : 0;
  return (
    compareNumbers(left.major, right.major) ||
    compareNumbers(left.minor, right.minor) ||
    compareNumbers(left.patch, right.patch) ||
    comparePrereleases(left.prerelease, right.prerelease)
  );
}

/** Whether the version has the form of a pseudo-version (module.IsPseudoVersion). */
export function isPseudoVersion(version: string): boolean {
  return PSEUDO_VERSION.test(version) && parseSemver(version) !== undefined;
}

/**
 * Whether a version matches the major version suffix of a path (module.CheckPathMajor). `pathMajor` is empty, `/vN` or
 * `.vN`.
 */
export function matchesMajor(version: string, pathMajor: string): boolean {
  const suffix = pathMajor.replace(/-unstable$/, '');
  // Old go commands created v0.0.0 pseudo-versions for gopkg.in paths that end in .v1. These versions are still valid.
  if (version.startsWith('v0.0.0-') && suffix === '.v1') return true;
  const major = majorOf(version);
  if (suffix === '') return major === 'v0' || major === 'v1' || version.endsWith('+incompatible');
  return major === suffix.slice(1);
}

/** Returns why the path and the version do not match, or undefined if they match (module.Check). */
export function checkModuleVersion(path: ModulePath, version: Version): string | undefined {
  const major = splitPathVersion(path)?.major ?? '';
  if (matchesMajor(version, major)) return undefined;
  return `version ${version} should be ${major === '' ? 'v0 or v1' : major.slice(1)}, not ${majorOf(version)}`;
}

export function withoutIncompatible(version: string): string {
  return version.replace(/\+incompatible$/, '');
}

/** Escapes a version for the proxy protocol and the store. */
export function escapeVersion(version: Version): string {
  return escapeUpperCase(version);
}

/**
 * Unescapes a version or revision name (`main`, `v1`, a commit id) from a URL after percent-decoding
 * (module.UnescapeVersion). Returns undefined if the text is not such a name.
 */
export function unescapeVersion(escaped: string): string | undefined {
  const version = unescapeUpperCase(escaped);
  return version === undefined || checkElement(version, 'file') !== undefined ? undefined : version;
}

const PSEUDO_VERSION =
  /^v[0-9]+\.(?:0\.0-|\d+\.\d+-(?:[^+]*\.)?0\.)\d{14}-[A-Za-z0-9]+(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;

function parseSemver(text: string): Semver | undefined {
  const match = SEMVER.exec(text);
  if (!match) return undefined;
  const [, major = '0', minor = '0', patch = '0', prerelease = '', build = ''] = match;
  // A numeric identifier of a pre-release must not have a leading zero.
  if (/(?:^-|\.)0[0-9]+(?:\.|$)/.test(prerelease)) return undefined;
  return { major, minor, patch, prerelease, build };
}

/** Compares decimal numbers of any length. */
function compareNumbers(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

function comparePrereleases(a: string, b: string): number {
  if (a === b) return 0;
  if (a === '') return 1;
  if (b === '') return -1;
  const [left, right] = [a.slice(1).split('.'), b.slice(1).split('.')];
  for (const [i, x] of left.entries()) {
    const y = right[i];
    if (y === undefined) return 1;
    if (x === y) continue;
    const [xNumeric, yNumeric] = [/^[0-9]+$/.test(x), /^[0-9]+$/.test(y)];
    if (xNumeric !== yNumeric) return xNumeric ? -1 : 1;
    return xNumeric ? compareNumbers(x, y) : x < y ? -1 : 1;
  }
  return -1;
}
