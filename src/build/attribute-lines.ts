import { readPattern, UNREAD_PATTERN, type Pattern } from './attribute-pattern.ts';

/**
 * The value of an attribute. `attr` is true, `-attr` is false, `attr=text` is the text, and `!attr` is `unset`. The
 * value is `unsure` if the parser does not support the line, or if not every version of git uses the line.
 */
export type Value = boolean | { readonly text: string } | 'unset' | 'unsure';
/** The assignment of a value to an attribute, which is represented by its index in the vocabulary. */
export type Assignment = readonly [attribute: number, value: Value];

/** The attributes that matter, and the macros among them. All other attributes are ignored. */
export interface Vocabulary {
  /** The indexes of the attributes by their names. They begin with those of CONVERTING. */
  readonly indexes: ReadonlyMap<string, number>;
  /** For each index, the assignments of the macro, in the same form as those of a line. Undefined if it is no macro. */
  readonly macros: readonly (readonly Assignment[] | undefined)[];
}

/** A line of a .gitattributes file that assigns values to the files that match a pattern. */
export interface Line {
  readonly pattern: Pattern;
  /** The last assignment comes first, as git reads them. Each name occurs once, because only the last one counts. */
  readonly assignments: readonly Assignment[];
}

/** The attributes that change the bytes of a file. */
export const CONVERTING = ['text', 'crlf', 'eol', 'ident', 'working-tree-encoding'] as const;
/** The index that stands for all attributes that an uncertain macro may set. */
export const UNSURE_MACRO = CONVERTING.length;

/** A line that may assign any value to any file. */
export const UNREAD_LINE: Line = {
  pattern: UNREAD_PATTERN,
  assignments: [UNSURE_MACRO, ...CONVERTING.keys()].map((attribute) => [attribute, 'unsure'] as const),
};

/** The assignments of macros, with the names of the attributes. */
type NamedMacros = ReadonlyMap<string, readonly (readonly [name: string, value: Value])[]>;

/** The macro that git itself defines. It also sets `diff` and `merge`, which change no bytes. */
const GIT_MACROS: NamedMacros = new Map([['binary', [['text', false]]]]);

/** Newer versions of git ignore a line with at least this many bytes. Older versions use the line. */
const LONG_LINE_BYTES = 2048;
/** A byte order mark at the start of a line, which only some versions of git skip. */
const BYTE_ORDER_MARK = '\u00ef\u00bb\u00bf';
const MACRO_PREFIX = '[attr]';
/** The number of attributes or lines after which the work may be interrupted. */
const PAUSE_WORDS = 500;

/**
 * Reads the macros in the .gitattributes of the root, if there is one, and those of git. The vocabulary contains only
 * the macros that can set a converting attribute, directly or through other macros.
 */
export function* readVocabulary(rootBytes: Buffer = Buffer.alloc(0)): Generator<undefined, Vocabulary> {
  const macros = new Map(GIT_MACROS);
  for (const line of readRawLines(rootBytes)) {
    if (line === undefined) yield;
    if (line?.macro === undefined || !line.isSure) continue;
    const words = yield* readWords(line, () => true);
    if (words?.isSure === true && ATTRIBUTE.test(line.macro)) macros.set(line.macro, words.assignments);
  }
  const indexes = yield* relevantNames(macros);
  const assignmentsOf: (readonly Assignment[] | undefined)[] = [];
  for (const [name, index] of indexes) {
    yield;
    assignmentsOf[index] = macros.has(name) ? indexed(macros.get(name) ?? [], indexes) : undefined;
  }
  return { indexes, macros: assignmentsOf };
}

/** Returns the converting attributes, and the macros that can set them. */
function* relevantNames(macros: NamedMacros): Generator<undefined, ReadonlyMap<string, number>> {
  const assignedBy = new Map<string, string[]>();
  for (const [macro, assignments] of macros) {
    yield;
    for (const [name] of assignments) {
      const macrosOfName = assignedBy.get(name);
      if (macrosOfName) macrosOfName.push(macro);
      else assignedBy.set(name, [macro]);
    }
  }
  const indexes = new Map<string, number>(CONVERTING.map((name, index) => [name, index]));
  // The loop also visits the names that it adds. The index after those of CONVERTING is UNSURE_MACRO.
  for (const [name] of indexes) {
    yield;
    for (const macro of assignedBy.get(name) ?? []) if (!indexes.has(macro)) indexes.set(macro, indexes.size + 1);
  }
  return indexes;
}

/** Returns the assignments to the attributes that matter. */
function indexed(
  assignments: readonly (readonly [name: string, value: Value])[],
  indexes: ReadonlyMap<string, number>,
): Assignment[] {
  return assignments.flatMap(([name, value]) => {
    const index = indexes.get(name);
    return index === undefined ? [] : [[index, value] as const];
  });
}

/**
 * Reads the lines of a .gitattributes file that can change the bytes of a file, from the last to the first
 * (parse_attr_line in git's attr.c). `isRoot` is true for the file at the root of the repository, the only one that can
 * define macros. Returns undefined if there are more than `maxLines`.
 */
export function* readLines(
  bytes: Buffer,
  { indexes }: Vocabulary,
  isRoot: boolean,
  maxLines: number,
): Generator<undefined, readonly Line[] | undefined> {
  const lines: Line[] = [];
  for (const raw of readRawLines(bytes)) {
    if (raw === undefined) yield;
    if (raw === undefined || (raw.macro !== undefined && !isRoot)) continue;
    const words = yield* readWords(raw, (name) => indexes.has(name));
    // Git ignores the whole line if one of its attributes is invalid.
    const line = words && readLine(raw, words, indexes);
    if (line) lines.push(line);
    if (lines.length > maxLines) return undefined;
  }
  return lines.toReversed();
}

/** Returns the line, or undefined if it changes no bytes of a file. */
function readLine(raw: RawLine, words: Words, indexes: ReadonlyMap<string, number>): Line | undefined {
  const isSure = raw.isSure && words.isSure;
  const assignments = indexed(words.assignments, indexes);
  if (raw.macro !== undefined)
    return !isSure && (assignments.length > 0 || indexes.has(raw.macro)) ? UNREAD_LINE : undefined;
  if (assignments.length === 0) return undefined;
  if (raw.name === undefined) return UNREAD_LINE;
  // Git ignores negative patterns.
  const pattern = raw.name.startsWith('!') ? undefined : readPattern(raw.name, isSure);
  return pattern && { pattern, assignments };
}

/** A line whose attributes are not read yet. */
interface RawLine {
  /** The pattern, or undefined if it is quoted in a way that the parser does not support. */
  readonly name: string | undefined;
  /** The name of the macro that the line defines. Undefined for any other line. */
  readonly macro: string | undefined;
  /** Whether every version of git uses the line, provided that its attributes are valid. */
  readonly isSure: boolean;
  /** The text of the file, and the part of it that contains the attributes. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** Yields the lines of a file except comments and empty lines, and undefined where the work may be interrupted. */
function* readRawLines(bytes: Buffer): Generator<RawLine | undefined, void> {
  const nul = bytes.indexOf(0);
  const text = bytes.toString('latin1', 0, nul < 0 ? bytes.length : nul);
  let count = 0;
  for (let start = 0; start < text.length;) {
    const lineFeed = text.indexOf('\n', start);
    const end = lineFeed < 0 ? text.length : lineFeed;
    const line = readRawLine(text, start, end);
    if (line) yield line;
    start = end + 1;
    if (++count % PAUSE_WORDS === 0) yield undefined;
  }
}

function readRawLine(text: string, start: number, end: number): RawLine | undefined {
  const hasMark = text.startsWith(BYTE_ORDER_MARK, start);
  const first = skipBlanks(text, hasMark ? start + BYTE_ORDER_MARK.length : start, end);
  const line = { text, end, macro: undefined, isSure: !hasMark && end - start < LONG_LINE_BYTES };
  if (first === end || text.charAt(first) === '#') return undefined;
  const closing = text.charAt(first) === '"' ? closingQuote(text, first + 1, end) : undefined;
  if (closing !== undefined) {
    const quoted = text.slice(first + 1, closing);
    const isUnsupported = /\\[^"\\]/.test(quoted) || quoted.startsWith(MACRO_PREFIX);
    return { ...line, name: isUnsupported ? undefined : quoted.replaceAll(/\\(["\\])/g, '$1'), start: closing + 1 };
  }
  const endOfName = skipWord(text, first, end);
  const name = text.slice(first, endOfName);
  const isMacro = name.startsWith(MACRO_PREFIX) && name.length > MACRO_PREFIX.length;
  return { ...line, name, macro: isMacro ? name.slice(MACRO_PREFIX.length) : undefined, start: endOfName };
}

/**
 * Returns the place of the quotation mark that ends a quoted pattern. Returns undefined if no quotation mark ends it.
 */
function closingQuote(text: string, start: number, end: number): number | undefined {
  for (let at = start; at < end; at++) {
    const char = text.charAt(at);
    if (char === '"') return at;
    if (char === '\\') at++;
  }
  return undefined;
}

/** The attributes of a line. */
interface Words {
  /** The last assignment comes first, as git reads them. Each name occurs once, because only the last one counts. */
  readonly assignments: readonly (readonly [name: string, value: Value])[];
  /** Whether every version of git accepts the attributes. */
  readonly isSure: boolean;
}

const ATTRIBUTE = /^[.\w][-.\w]*$/;

/**
 * Reads the attributes of a line, and keeps the assignments whose names matter. Returns undefined if an attribute is
 * invalid (parse_attr in git's attr.c).
 */
function* readWords(
  { text, start, end }: RawLine,
  matters: (name: string) => boolean,
): Generator<undefined, Words | undefined> {
  const values = new Map<string, Value>();
  let isSure = true;
  let count = 0;
  for (let at = skipBlanks(text, start, end); at < end;) {
    const endOfWord = skipWord(text, at, end);
    const sign = text.charAt(at);
    const hasSign = sign === '-' || sign === '!';
    const nameBytes = text.slice(at, endOfWord).indexOf('=');
    const endOfName = nameBytes < 0 ? endOfWord : at + nameBytes;
    const name = text.slice(hasSign ? at + 1 : at, endOfName);
    if (!ATTRIBUTE.test(name)) return undefined;
    if (name.startsWith('builtin_')) isSure = false;
    if (matters(name)) {
      // The order is that of the last assignments.
      values.delete(name);
      const hasText = endOfName < endOfWord;
      const value = hasText ? knownText(text.slice(endOfName + 1, endOfWord)) : true;
      values.set(name, sign === '-' ? false : sign === '!' ? 'unset' : value);
    }
    at = skipBlanks(text, endOfWord, end);
    if (++count % PAUSE_WORDS === 0) yield;
  }
  return { assignments: Array.from(values).toReversed(), isSure };
}

/** The texts that have a meaning as the value of a converting attribute. */
const KNOWN_TEXTS: ReadonlyMap<string, Value> = new Map(
  ['', 'auto', 'crlf', 'input', 'utf8', 'utf-8'].map((text) => [text, { text }]),
);
const OTHER_TEXT: Value = { text: 'other' };

/** Returns one of the known texts, or the text `other`. */
function knownText(text: string): Value {
  // Git compares the names of encodings without regard to case, but not the other values.
  return KNOWN_TEXTS.get(text) ?? (/^utf-?8$/i.test(text) ? { text: 'utf-8' } : OTHER_TEXT);
}

function skipBlanks(text: string, start: number, end: number): number {
  let at = start;
  while (at < end && isBlank(text.charCodeAt(at))) at++;
  return at;
}

function skipWord(text: string, start: number, end: number): number {
  let at = start;
  while (at < end && !isBlank(text.charCodeAt(at))) at++;
  return at;
}

/** Whether a character separates attributes: a tab, a carriage return or a space. */
function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0d;
}
