import { inSlices } from '../async/in-slices.ts';
import { declaredPathIn } from './declared-path.ts';
import { unquoteGo } from './go-string.ts';
import { ModfileSyntaxError, readStatements, type Statement } from './modfile-syntax.ts';
import { splitPathVersion, type ModulePath } from './path.ts';
import { isVersionOfMajor } from './version.ts';

/**
 * Parses a go.mod as leniently as the go command parses the go.mod of a dependency. A go.mod comes from a stranger and
 * can have 16 MiB. Therefore it is parsed in slices, which do not block the event loop.
 */

/** A go.mod, and the module path that it declares. The path is empty if it declares none. */
export interface GoMod {
  readonly bytes: Buffer;
  readonly declaredPath: string;
}

/** The directives of a go.mod that apply to a dependency. */
export interface Modfile {
  /** The argument of the `go` directive, such as `1.24` or `1.21.0`. */
  readonly go: string | undefined;
}

/** Processes a range of retracted versions. */
type OnRetraction = (low: string, high: string) => Generator<undefined, void>;

function* ignore(): Generator<undefined, void> {
  // Most callers do not need the retractions.
}

/** Reads the module path that a go.mod declares. */
export async function goModOf(bytes: Buffer): Promise<GoMod> {
  return { bytes, declaredPath: await inSlices(declaredPathIn(bytes)) };
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
export async function isGo124OrLater(gomod: Buffer): Promise<boolean> {
  const modfile = await parseModfileLax(gomod);
  const match = /^([0-9]+)\.([0-9]+)(\.[0-9]+)?([a-z]+[0-9]+)?$/.exec(modfile?.go ?? '');
  if (!match) return false;
  const [, major, minor, patch, kind] = match;
  // In internal/gover, a patch release has no pre-releases, so such a version is invalid.
  if (patch !== undefined && kind !== undefined) return false;
  return Number(major) > 1 || Number(minor) >= 24;
}

/**
 * Parses a go.mod as modfile.ParseLax does, which ignores unknown directives. Resolves to undefined if the syntax or a
 * known directive is invalid. Runs `onRetraction` for each range of retracted versions, also if the result is
 * undefined. Both bounds belong to the range. They need not be versions.
 */
export async function parseModfileLax(
  gomod: Buffer,
  onRetraction: OnRetraction = ignore,
): Promise<Modfile | undefined> {
  try {
    return await inSlices(readDirectives(gomod, onRetraction));
  } catch (error) {
    if (error instanceof ModfileSyntaxError) return undefined;
    throw error;
  }
}

function* readDirectives(gomod: Buffer, onRetraction: OnRetraction): Generator<undefined, Modfile> {
  let go: string | undefined;
  let hasModule = false;
  for (const statement of readStatements(gomod)) {
    switch (statement?.verb) {
      case undefined:
        yield;
        break;
      case 'go':
        if (go !== undefined || statement.length !== 1)
          throw new ModfileSyntaxError('the go directive must occur once, with one argument');
        go = yield* goVersion(statement.argument(0).toString());
        break;
      case 'module':
        if (hasModule || statement.length !== 1)
          throw new ModfileSyntaxError('the module directive must occur once, with one argument');
        hasModule = true;
        yield* parseString(statement.argument(0));
        break;
      case 'require':
        yield* checkRequirement(statement);
        break;
      case 'retract':
        yield* readRetraction(statement, onRetraction);
        break;
      case 'ignore':
        if (statement.length !== 1) throw new ModfileSyntaxError('an ignore directive must have one argument');
        yield* parseString(statement.argument(0));
    }
  }
  return { go };
}

/** Parses the argument of the `go` directive. The patterns are GoVersionRE and laxGoVersionRE of x/mod/modfile. */
function* goVersion(text: string): Generator<undefined, string> {
  if (/^[1-9][0-9]*\.(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))?(?:[a-z]+[0-9]+)?$/.test(text)) return text;
  yield;
  const lax = /^v?([1-9][0-9]*\.(?:0|[1-9][0-9]*))[^0-9].*$/.exec(text)?.[1];
  if (lax === undefined) throw new ModfileSyntaxError('invalid go version');
  return lax;
}

function* checkRequirement(statement: Statement): Generator<undefined, void> {
  if (statement.length !== 2) throw new ModfileSyntaxError('a require directive must have a path and a version');
  const path = yield* parseString(statement.argument(0));
  const version = yield* parseString(statement.argument(1));
  yield;
  const split = splitPathVersion(path);
  yield;
  if (!split || !(yield* isVersionOfMajor(version, split.major))) throw new ModfileSyntaxError('invalid requirement');
}

/**
 * Parses `v1.2.3` or `[v1.0.0, v1.2.3]`. Ignores other arguments, as x/mod does, because a later go command may support
 * them.
 */
function* readRetraction(statement: Statement, onRetraction: OnRetraction): Generator<undefined, void> {
  const isPunctuation = (index: number, mark: string): boolean => {
    const token = statement.argument(index);
    return token.length === 1 && token[0] === mark.charCodeAt(0);
  };
  if (statement.length === 0 || isPunctuation(0, '(')) return;
  const isRange = isPunctuation(0, '[');
  if (isRange && !(statement.length >= 5 && isPunctuation(2, ',') && isPunctuation(4, ']'))) return;
  const low = yield* unquoted(statement.argument(isRange ? 1 : 0));
  const high = isRange ? yield* unquoted(statement.argument(3)) : low;
  if (low !== undefined && high !== undefined) yield* onRetraction(low, high);
}

function* parseString(token: Buffer): Generator<undefined, string> {
  const text = yield* unquoted(token);
  if (text === undefined) throw new ModfileSyntaxError('invalid quoting');
  return text;
}

/**
 * Returns the value of a token (parseString in x/mod/modfile). Returns undefined for an invalid string literal, and for
 * any other token that contains a quotation mark.
 */
function* unquoted(token: Buffer): Generator<undefined, string | undefined> {
  if (token[0] === QUOTE) return yield* unquoteGo(token, 0, token.length);
  const text = token.toString();
  return /["'`]/.test(text) ? undefined : text;
}

const QUOTE = 0x22;
