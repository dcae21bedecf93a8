import { inSlices, mapInSlices } from '../async/in-slices.ts';
import { sortInSlices } from '../async/sort-in-slices.ts';
import { checkElement, escapeUpperCase, splitPathVersion, unescapeUpperCase, type ModulePath } from './path.ts';

/**
 * Parses and compares semantic versions by the rules of Go (golang.org/x/mod/semver and module). These versions begin
 * with `v`, and may end in `+incompatible`.
 */

declare const versionBrand: unique symbol;

/** A canonical module version: `v1.2.3`, `v1.2.3-pre`, `v2.0.0+incompatible` or a pseudo-version. */
export type Version = string & { readonly [versionBrand]: true };

/** A parsed semantic version. The numbers can have any length. */
export interface Semver {
  readonly major: string;
  readonly minor: string;
  readonly patch: string;
  /** Begins with `-`, or is empty. */
  readonly prerelease: string;
  /** Begins with `+`, or is empty. */
  readonly build: string;
}

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
  return compareParsed(parseSemver(a), parseSemver(b));
}

/**
 * Sorts items by the precedence of their versions, in ascending order. Parses each version once. `compareVersions`
 * would parse it for each comparison. Runs in slices, because a repository can have any number of tags.
 */
export async function sortByVersion<T>(items: readonly T[], versionOf: (item: T) => string): Promise<T[]> {
  return (await parsedAndSorted(items, versionOf)).map(({ item }) => item);
}

/** The versions of a list in ascending order, parsed once for many searches. */
export class SortedVersions {
  readonly versions: readonly string[];
  readonly #semvers: readonly (Semver | undefined)[];

  private constructor(versions: readonly string[], semvers: readonly (Semver | undefined)[]) {
    this.versions = versions;
    this.#semvers = semvers;
  }

  /** Sorts the versions in slices. The result contains each of them once. */
  static async of(versions: Iterable<string>): Promise<SortedVersions> {
    const sorted = await parsedAndSorted([...new Set(versions)], (version) => version);
    return new SortedVersions(
      sorted.map(({ item }) => item),
      sorted.map(({ semver }) => semver),
    );
  }

  /**
   * Returns the number of versions in the list that are lower than `bound`, or lower than or equal to `bound`. The
   * bound is undefined for a text that is not a version.
   */
  count(comparison: '<' | '<=', bound: Semver | undefined): number {
    let low = 0;
    let high = this.#semvers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = compareParsed(this.#semvers[middle], bound);
      if (order < 0 || (order === 0 && comparison === '<=')) low = middle + 1;
      else high = middle;
    }
    return low;
  }
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
  return hasMajor(parseSemver(version), pathMajor);
}

/** Whether a text is a version that matches the major version suffix of a path. Is suitable for texts of any length. */
export function* isVersionOfMajor(text: string, pathMajor: string): Generator<undefined, boolean> {
  const semver = yield* semverIn(text);
  return semver !== undefined && hasMajor(semver, pathMajor);
}

function hasMajor(semver: Semver | undefined, pathMajor: string): boolean {
  const { major = '', minor = '', patch = '', prerelease = '', build = '' } = semver ?? {};
  const suffix = pathMajor.replace(/-unstable$/, '');
  // Old go commands created v0.0.0 pseudo-versions for gopkg.in paths that end in .v1. These versions are still valid.
  if (suffix === '.v1' && major === '0' && minor === '0' && patch === '0' && prerelease !== '') return true;
  if (suffix === '') return major === '0' || major === '1' || build === '+incompatible';
  return suffix.slice(1) === `v${major}`;
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

async function parsedAndSorted<T>(
  items: readonly T[],
  versionOf: (item: T) => string,
): Promise<readonly { readonly item: T; readonly semver: Semver | undefined }[]> {
  const parsed = await mapInSlices(items, (item) => ({ item, semver: parseSemver(versionOf(item)) }));
  return await inSlices(sortInSlices(parsed, (a, b) => compareParsed(a.semver, b.semver)));
}

function compareParsed(left: Semver | undefined, right: Semver | undefined): number {
  if (!left || !right) return left ? 1 : right ? -1 : 0;
  return (
    compareNumbers(left.major, right.major) ||
    compareNumbers(left.minor, right.minor) ||
    compareNumbers(left.patch, right.patch) ||
    comparePrereleases(left.prerelease, right.prerelease)
  );
}

/** The parts of a semantic version. */
type Part = 'major' | 'minor' | 'patch' | 'prerelease' | 'build';

/** The part that follows a part, after one of these characters. */
const NEXT_PART: Readonly<Record<Part, Readonly<Partial<Record<string, Part>>>>> = {
  major: { '.': 'minor' },
  minor: { '.': 'patch' },
  patch: { '-': 'prerelease', '+': 'build' },
  prerelease: { '.': 'prerelease', '+': 'build' },
  build: { '.': 'build' },
};

/** The number of characters after which the work may be interrupted. */
const STEP_CHARACTERS = 2 ** 12;

/**
 * Parses a semantic version (parse in x/mod/semver). The version in a go.mod can have millions of identifiers. A
 * regular expression would exhaust its stack on them.
 */
export function* semverIn(text: string): Generator<undefined, Semver | undefined> {
  if (text.charCodeAt(0) !== V) return undefined;
  const ends: Record<Part, number> = { major: 0, minor: 0, patch: 0, prerelease: 0, build: 0 };
  let part: Part = 'major';
  let start = 1;
  let isNumber = true;
  for (let at = start; ; at++) {
    if (at % STEP_CHARACTERS === 0) yield;
    const code = text.charCodeAt(at);
    if (isDigit(code)) continue;
    const isIdentifier = part === 'prerelease' || part === 'build';
    if (isIdentifier && (code === DASH || isAsciiLetter(code))) {
      isNumber = false;
      continue;
    }
    const hasLeadingZero = isNumber && at > start + 1 && text.charCodeAt(start) === ZERO;
    if (at === start || (hasLeadingZero && part !== 'build')) return undefined;
    ends[part] = at;
    if (at === text.length) break;
    const next: Part | undefined = NEXT_PART[part][text.charAt(at)];
    if (next === undefined) return undefined;
    part = next;
    start = at + 1;
    isNumber = true;
  }
  const { major, minor, patch, prerelease } = ends;
  const endOfPrerelease = prerelease || patch;
  return {
    major: text.slice(1, major),
    minor: minor === 0 ? '0' : text.slice(major + 1, minor),
    patch: patch === 0 ? '0' : text.slice(minor + 1, patch),
    prerelease: patch === 0 ? '' : text.slice(patch, endOfPrerelease),
    build: patch === 0 ? '' : text.slice(endOfPrerelease),
  };
}

function parseSemver(text: string): Semver | undefined {
  const parsing = semverIn(text);
  for (;;) {
    const step = parsing.next();
    if (step.done === true) return step.value;
  }
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= NINE;
}

function isAsciiLetter(code: number): boolean {
  const lowerCase = code | 0x20;
  return lowerCase >= 0x61 && lowerCase <= 0x7a;
}

const DASH = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const V = 0x76;

/** Compares decimal numbers of any length. */
function compareNumbers(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

/** Compares pre-releases without splitting them, because they can consist of millions of identifiers. */
function comparePrereleases(a: string, b: string): number {
  if (a === b) return 0;
  if (a === '') return 1;
  if (b === '') return -1;
  let different = 0;
  while (a.charCodeAt(different) === b.charCodeAt(different)) different++;
  // The first identifier follows the dash.
  const start = Math.max(1, a.lastIndexOf('.', different - 1) + 1);
  const [x, y] = [identifierAt(a, start), identifierAt(b, start)];
  // One of the pre-releases continues with more identifiers.
  if (x === y) return a.length - b.length;
  const [xNumeric, yNumeric] = [/^[0-9]+$/.test(x), /^[0-9]+$/.test(y)];
  if (xNumeric !== yNumeric) return xNumeric ? -1 : 1;
  return xNumeric ? compareNumbers(x, y) : x < y ? -1 : 1;
}

function identifierAt(prerelease: string, start: number): string {
  const end = prerelease.indexOf('.', start);
  return end < 0 ? prerelease.slice(start) : prerelease.slice(start, end);
}
