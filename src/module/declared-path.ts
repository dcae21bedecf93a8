import { unquoteGo } from './go-string.ts';
import { isSpace } from './unicode.ts';
import { characterLength, codePointAt } from './utf8.ts';

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const MODULE = Buffer.from('module');
/** The number of bytes after which the work may be interrupted. */
const STEP_BYTES = 2 ** 12;

/**
 * Returns the module path that a go.mod declares, or an empty string if it declares none. Only the first `module` line
 * is read, as in modfile.ModulePath, so later syntax errors are ignored.
 */
export function* declaredPathIn(gomod: Buffer): Generator<undefined, string> {
  let pauseAt = STEP_BYTES;
  for (let start = 0; start < gomod.length;) {
    const from = yield* skipSpaces(gomod, start);
    // The spaces can contain line feeds, so this may be a later line.
    const lineFeed = gomod.indexOf(LINE_FEED, from);
    const end = lineFeed < 0 ? gomod.length : lineFeed;
    if (gomod.compare(MODULE, 0, MODULE.length, from, Math.min(from + MODULE.length, end)) === 0) {
      const path = yield* argumentOf(gomod, from + MODULE.length, end);
      if (path !== undefined) return path;
    }
    start = end + 1;
    if (start < pauseAt) continue;
    pauseAt = start + STEP_BYTES;
    yield;
  }
  return '';
}

/** Returns the value after the word `module`, or undefined if the line has none. */
function* argumentOf(gomod: Buffer, from: number, endOfLine: number): Generator<undefined, string | undefined> {
  const comment = gomod.subarray(from, endOfLine).indexOf('//');
  const end = yield* withoutSpaces(gomod, from, comment < 0 ? endOfLine : from + comment);
  const start = Math.min(yield* skipSpaces(gomod, from), end);
  if (start === from || start === end) return undefined;
  const quote = String.fromCharCode(gomod[start] ?? 0);
  if (quote === '"') return (yield* unquoteGo(gomod, start, end)) ?? '';
  if (quote !== '`') return gomod.toString('utf8', start, end);
  const isString = end - start > 1 && gomod.indexOf('`', start + 1) === end - 1;
  return isString ? yield* withoutCarriageReturns(gomod.subarray(start + 1, end - 1)) : '';
}

/** Returns the value of a raw string literal from its content (strconv.Unquote). */
function* withoutCarriageReturns(content: Buffer): Generator<undefined, string> {
  const value = Buffer.allocUnsafe(content.length);
  let length = 0;
  for (const [index, byte] of content.entries()) {
    if (index % STEP_BYTES === 0) yield;
    if (byte !== CARRIAGE_RETURN) value[length++] = byte;
  }
  return value.toString('utf8', 0, length);
}

/** Returns the place of the first character from `start` on that is not a space. */
function* skipSpaces(bytes: Buffer, start: number): Generator<undefined, number> {
  for (let at = start, pauseAt = start + STEP_BYTES; ;) {
    const length = at < bytes.length ? characterLength(bytes, at) : 0;
    if (length === 0 || !isSpace(codePointAt(bytes, at, length))) return at;
    at += length;
    if (at < pauseAt) continue;
    pauseAt = at + STEP_BYTES;
    yield;
  }
}

/** Returns the end of the text between `start` and `end` without the spaces at its end. */
function* withoutSpaces(bytes: Buffer, start: number, end: number): Generator<undefined, number> {
  for (let last = end, pauseAt = end - STEP_BYTES; ;) {
    // A space has at most three bytes in UTF-8.
    const length = [1, 2, 3].find((size) => isSpaceAt(bytes, Math.max(start, last - size), last));
    if (last === start || length === undefined) return last;
    last -= length;
    if (last > pauseAt) continue;
    pauseAt = last - STEP_BYTES;
    yield;
  }
}

/** Whether the bytes from `start` to `end` are one space. */
function isSpaceAt(bytes: Buffer, start: number, end: number): boolean {
  const length = characterLength(bytes, start);
  return length > 0 && length === end - start && isSpace(codePointAt(bytes, start, length));
}
