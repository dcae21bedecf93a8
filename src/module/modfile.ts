import { ModfileSyntaxError, parseStatements, unquoteGo, type Statement } from './modfile-syntax.ts';
import { splitPathVersion, type ModulePath } from './path.ts';
import { canonicalVersion, compareVersions, matchesMajor } from './version.ts';

/** Parses a go.mod as leniently as the go command parses the go.mod of a dependency. */

/** A range of retracted versions, from `low` to `high`, both included. */
export interface Retraction {
  readonly low: string;
  readonly high: string;
}

/** The directives of a go.mod that apply to a dependency. */
export interface Modfile {
  /** The argument of the `go` directive, such as `1.24` or `1.21.0`. */
  readonly go: string | undefined;
  readonly retractions: readonly Retraction[];
}

/**
 * Returns the module path that a go.mod declares, or an empty string if it declares none. Only the first `module` line
 * is read, as in modfile.ModulePath, so later syntax errors are ignored.
 */
export function declaredPath(gomod: Buffer): string {
  for (const raw of gomod.toString('utf8').split('\n')) {
    const line = trimGo(raw.replace(/\/\/.*$/s, ''));
    if (!line.startsWith('module')) continue;
    const rest = line.slice('module'.length);
    const path = trimGo(rest);
    if (path === rest || path === '') continue;
    if (path.startsWith('"')) return unquoteGo(path) ?? '';
    if (path.startsWith('`')) return /^`([^`]*)`$/s.exec(path)?.[1]?.replaceAll('\r', '') ?? '';
    return path;
  }
  return '';
}

/**
 * Returns the go.mod that the go command generates for a module without one (LegacyGoMod in cmd/go). The path is not
 * quoted, because no valid module path needs quotes.
 */
export function legacyGoMod(path: ModulePath): Buffer {
  return Buffer.from(`module ${path}\n`);
}

/**
 * Whether the root go.mod declares go 1.24 or later, so that the newer rule for vendored files applies. The old rule
 * applies if the go.mod cannot be parsed or declares no go version (parseGoVers in x/mod/zip).
 */
export function isGo124OrLater(gomod: Buffer): boolean {
  const match = /^([0-9]+)\.([0-9]+)(\.[0-9]+)?([a-z]+[0-9]+)?$/.exec(parseModfileLax(gomod)?.go ?? '');
  if (!match) return false;
  const [, major, minor, patch, kind] = match;
  // In internal/gover, a patch release has no pre-releases, so such a version is invalid.
  if (patch !== undefined && kind !== undefined) return false;
  return Number(major) > 1 || Number(minor) >= 24;
}

/** Returns the retractions that a go.mod declares, or none if the go.mod cannot be parsed. */
export function retractions(gomod: Buffer): readonly Retraction[] {
  return parseModfileLax(gomod)?.retractions ?? [];
}

/** Whether a version is in one of the ranges. */
export function isRetracted(version: string, ranges: readonly Retraction[]): boolean {
  return ranges.some(({ low, high }) => compareVersions(low, version) <= 0 && compareVersions(version, high) <= 0);
}

/**
 * Parses a go.mod as modfile.ParseLax does, which ignores unknown directives. Returns undefined if the syntax or a
 * known directive is invalid.
 */
export function parseModfileLax(gomod: Buffer): Modfile | undefined {
  try {
    return readDirectives(parseStatements(gomod.toString('utf8')));
  } catch (error) {
    if (error instanceof ModfileSyntaxError) return undefined;
    throw error;
  }
}

function readDirectives(statements: readonly Statement[]): Modfile {
  let go: string | undefined;
  let modules = 0;
  const retracted: Retraction[] = [];
  for (const { verb, args } of statements) {
    switch (verb) {
      case 'go':
        if (go !== undefined || args.length !== 1)
          throw new ModfileSyntaxError('the go directive must occur once, with one argument');
        go = goVersion(args[0] ?? '');
        break;
      case 'module':
        if (++modules > 1 || args.length !== 1)
          throw new ModfileSyntaxError('the module directive must occur once, with one argument');
        parseString(args[0] ?? '');
        break;
      case 'require':
        checkRequirement(args);
        break;
      case 'retract':
        retracted.push(...retractionsOf(args));
        break;
      case 'ignore':
        if (args.length !== 1) throw new ModfileSyntaxError('an ignore directive must have one argument');
        parseString(args[0] ?? '');
        break;
      default:
    }
  }
  return { go, retractions: retracted };
}

/** Parses the argument of the `go` directive. The patterns are GoVersionRE and laxGoVersionRE of x/mod/modfile. */
function goVersion(text: string): string {
  if (/^[1-9][0-9]*\.(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))?(?:[a-z]+[0-9]+)?$/.test(text)) return text;
  const lax = /^v?([1-9][0-9]*\.(?:0|[1-9][0-9]*))[^0-9].*$/.exec(text)?.[1];
  if (lax === undefined) throw new ModfileSyntaxError(`invalid go version ${text}`);
  return lax;
}

function checkRequirement(args: readonly string[]): void {
  const [path, version] = args.map(parseString);
  if (args.length !== 2 || path === undefined || version === undefined) {
    throw new ModfileSyntaxError('a require directive must have a path and a version');
  }
  const canonical = canonicalVersion(version);
  const split = splitPathVersion(path);
  if (canonical === '' || !split || !matchesMajor(canonical, split.major)) {
    throw new ModfileSyntaxError(`invalid requirement ${path} ${version}`);
  }
}

/**
 * Parses `v1.2.3` or `[v1.0.0, v1.2.3]`. Ignores other arguments, as x/mod does, because a later go command may support
 * them.
 */
function retractionsOf(args: readonly string[]): Retraction[] {
  const [first, second, comma, third, close] = args;
  const bounds = first !== '[' ? [first, first] : comma === ',' && close === ']' ? [second, third] : [];
  const [low, high] = bounds.map((bound) => (bound === undefined || bound === '(' ? undefined : unquoted(bound)));
  return low === undefined || high === undefined ? [] : [{ low, high }];
}

function parseString(token: string): string {
  const text = unquoted(token);
  if (text === undefined) throw new ModfileSyntaxError(`invalid quoting: ${token}`);
  return text;
}

/**
 * Returns the value of a token (parseString in x/mod/modfile). Returns undefined for an invalid string literal, and for
 * any other token that contains a quotation mark.
 */
function unquoted(token: string): string | undefined {
  if (token.startsWith('"')) return unquoteGo(token);
  return /["'`]/.test(token) ? undefined : token;
}

/** Implements bytes.TrimSpace. JavaScript's `trim` would also remove a byte order mark. */
function trimGo(text: string): string {
  return text.replace(GO_SPACE, '');
}

const SPACE = '[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+';
const GO_SPACE = new RegExp(`^${SPACE}|${SPACE}$`, 'g');
