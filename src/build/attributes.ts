import { matches, readPattern, UNREAD_PATTERN, type Pattern, type Work } from './attribute-pattern.ts';
import { below } from '../module/path-elements.ts';

/** A .gitattributes file: its directory, which is empty for the root of the repository, and its text. */
export interface AttributesFile {
  readonly directory: string;
  readonly text: string;
}

/** How git converts a file in the archives that the go command creates. */
export interface Conversion {
  /** Whether git expands `$Id$` to contain the blob id. */
  readonly ident: boolean;
  /**
   * Whether git converts line endings to CRLF. With `auto`, git converts only files that it regards as text and that
   * contain no CR.
   */
  readonly crlf: 'never' | 'auto' | 'always';
  /** Whether git changes the encoding of the file, or tries to change it and fails. */
  readonly reencoded: boolean;
}

/**
 * Determines how git converts the file at a path with these .gitattributes files (convert_attrs in git's convert.c).
 * The git settings are `core.autocrlf=input` and `core.eol=lf`, as the go command sets them. Returns `unsure` if the
 * result depends on a line that this parser does not support.
 */
export function conversionOf(files: readonly AttributesFile[], path: string): Conversion | 'unsure' {
  const values = attributesOf(files, path);
  if ([MACRO, ...CONVERTING].some((name) => values.get(name) === 'unsure')) return 'unsure';
  const text = textAction(values.get('text')) ?? textAction(values.get('crlf'));
  const crlf = text === 'binary' || !isText(values.get('eol'), 'crlf') ? 'never' : text === 'auto' ? 'auto' : 'always';
  return { ident: values.get('ident') === true, crlf, reencoded: isReencoded(values.get('working-tree-encoding')) };
}

/**
 * The value of an attribute. `attr` is true, `-attr` is false, `attr=text` is the text, and `!attr` is `unset`. The
 * value is `unsure` if the parser does not support the line, or if not every version of git uses the line.
 */
type Value = boolean | { readonly text: string } | 'unset' | 'unsure';
type Assignment = readonly [name: string, value: Value];

interface Line {
  readonly pattern: Pattern;
  readonly assignments: readonly Assignment[];
}

/** The attributes that change the bytes of a file. */
const CONVERTING = ['text', 'crlf', 'eol', 'ident', 'working-tree-encoding'] as const;
/** A name that is not an attribute. It stands for all attributes that an uncertain macro may set. */
const MACRO = '[attr]';
/** The attributes that `binary` sets. Git itself defines no other macro. */
const BINARY: readonly Assignment[] = [
  ['diff', false],
  ['merge', false],
  ['text', false],
];
/**
 * The maximum cost of matching for one .gitattributes file (see `Work`). This much work blocks the event loop for about
 * a second.
 */
const MAX_WORK = 50_000_000;
/** Newer versions of git ignore a line with at least this many bytes. Older versions use the line. */
const LONG_LINE_BYTES = 2048;
/** A byte order mark at the start of a line, which only some versions of git skip. */
const BYTE_ORDER_MARK = '\u00ef\u00bb\u00bf';

function textAction(value: Value | undefined): 'text' | 'auto' | 'binary' | undefined {
  if (value === true || isText(value, 'input')) return 'text';
  if (value === false) return 'binary';
  return isText(value, 'auto') ? 'auto' : undefined;
}

function isText(value: Value | undefined, text: string): boolean {
  return typeof value === 'object' && value.text === text;
}

function isReencoded(value: Value | undefined): boolean {
  if (typeof value !== 'object') return typeof value === 'boolean';
  return value.text !== '' && !/^utf-?8$/i.test(value.text);
}

/**
 * Returns the attributes of a path. As in `fill` of git's attr.c, the first value of an attribute counts. Files in
 * deeper directories are read first, and each file is read from its last line to its first.
 */
function attributesOf(files: readonly AttributesFile[], path: string): ReadonlyMap<string, Value> {
  const governing = files
    .filter(({ directory }) => below(path, directory) !== undefined)
    .toSorted((a, b) => a.directory.length - b.directory.length);
  // Only the file at the root of the repository can define macros.
  const macros = governing[0]?.directory === '' ? parseOnce(governing[0]).macros : new Map([['binary', BINARY]]);
  const values = new Map<string, Value>();
  const assign = (assignments: readonly Assignment[], isSure: boolean): void => {
    for (const [name, value] of assignments.toReversed()) {
      if (values.has(name)) continue;
      values.set(name, isSure ? value : 'unsure');
      const macro = macros.get(name);
      if (macro && !isSure) values.set(MACRO, 'unsure');
      else if (macro && value === true) assign(macro, true);
    }
  };
  for (const file of governing.toReversed()) {
    const name = bytesOf(below(path, file.directory) ?? path);
    const baseName = name.slice(name.lastIndexOf('/') + 1);
    const parsed = parseOnce(file);
    for (const { pattern, assignments } of parsed.lines) {
      if (parsed.work > MAX_WORK) return values.set(MACRO, 'unsure');
      if (matches(pattern, pattern.forBaseName ? baseName : name, parsed)) assign(assignments, pattern.exact);
    }
  }
  return values;
}

/** A parsed .gitattributes file. Each file is parsed once, because its lines are matched with thousands of paths. */
interface ParsedFile extends Work {
  /** The lines in reverse order. */
  readonly lines: readonly Line[];
  readonly macros: ReadonlyMap<string, readonly Assignment[]>;
}

const parsedFiles = new WeakMap<AttributesFile, ParsedFile>();

function parseOnce(file: AttributesFile): ParsedFile {
  const cached = parsedFiles.get(file);
  if (cached) return cached;
  const macros = new Map<string, readonly Assignment[]>([['binary', BINARY]]);
  const parsed = { lines: readLines(file.text, macros).toReversed(), macros, work: 0 };
  parsedFiles.set(file, parsed);
  return parsed;
}

/** Returns the lines that git does not ignore (parse_attr_line), and adds macros to `macros`. */
function readLines(text: string, macros: Map<string, readonly Assignment[]>): Line[] {
  const lines: Line[] = [];
  for (const rawLine of bytesOf(text.split('\0', 1)[0] ?? '').split('\n')) {
    const line = rawLine.startsWith(BYTE_ORDER_MARK) ? rawLine.slice(BYTE_ORDER_MARK.length) : rawLine;
    const [, quoted, bare = '', rest = ''] = /^[ \t\r]*(?:"((?:[^"\\]|\\.)*)"|([^ \t\r]+))(.*)$/s.exec(line) ?? [];
    if ((quoted === undefined && bare === '') || bare.startsWith('#')) continue;
    if (quoted !== undefined && (/\\[^"\\]/.test(quoted) || quoted.startsWith('[attr]'))) {
      lines.push(UNREAD_LINE);
      continue;
    }
    const name = quoted?.replaceAll(/\\(["\\])/g, '$1') ?? bare;
    const assignments = readAssignments(rest);
    if (assignments === undefined || name.startsWith('!')) continue;
    const isSure =
      line === rawLine &&
      line.length < LONG_LINE_BYTES &&
      !assignments.some(([attribute]) => attribute.startsWith('builtin_'));
    const macro = quoted === undefined ? /^\[attr\](.+)$/.exec(bare)?.[1] : undefined;
    if (macro === undefined) lines.push({ pattern: readPattern(name, isSure), assignments });
    else if (!isSure) lines.push(UNREAD_LINE);
    else if (ATTRIBUTE.test(macro)) macros.set(macro, assignments);
  }
  return lines;
}

const ATTRIBUTE = /^[.\w][-.\w]*$/;

/** Parses the attributes of a line. Returns undefined if one of them is invalid, because git then ignores the line. */
function readAssignments(text: string): Assignment[] | undefined {
  const assignments: Assignment[] = [];
  for (const word of text.split(/[ \t\r]+/)) {
    if (word === '') continue;
    const [, sign = '', name = '', value] = /^([-!]?)([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
    if (!ATTRIBUTE.test(name)) return undefined;
    assignments.push([
      name,
      sign === '-' ? false : sign === '!' ? 'unset' : value === undefined ? true : { text: value },
    ]);
  }
  return assignments;
}

const UNREAD_LINE: Line = {
  pattern: UNREAD_PATTERN,
  assignments: [MACRO, ...CONVERTING].map((name) => [name, 'unsure'] as const),
};

/**
 * Returns the UTF-8 bytes of a text as a string with one character for each byte. Git matches patterns byte by byte.
 */
function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1');
}
