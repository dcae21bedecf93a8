import { matches, readPattern, UNREAD_PATTERN, type Pattern, type Work } from './attribute-pattern.ts';
import { below } from '../module/path-elements.ts';

/** A .gitattributes file: the directory it stands in, empty for the root of the repository, and its text. */
export interface AttributesFile {
  readonly directory: string;
  readonly text: string;
}

/** What git does to a file's bytes on their way into an archive that the go command makes. */
export interface Conversion {
  /** `$Id$` gets the blob id. */
  readonly ident: boolean;
  /** Line ends become CRLF: with `auto` only in files that git takes for text and that have no CR yet. */
  readonly crlf: 'never' | 'auto' | 'always';
  /** The file gets another encoding, or git fails. */
  readonly recoded: boolean;
}

/**
 * What the .gitattributes files make of the file at a path, under `core.autocrlf=input` and `core.eol=lf` as the go command
 * has it (convert_attrs in git's convert.c). `unsure` if it depends on a line that is of a kind which is not read here.
 */
export function conversionOf(files: readonly AttributesFile[], path: string): Conversion | 'unsure' {
  const values = attributesOf(files, path);
  if ([MACRO, ...CONVERTING].some((name) => values.get(name) === 'unsure')) return 'unsure';
  const text = textAction(values.get('text')) ?? textAction(values.get('crlf'));
  const crlf = text === 'binary' || !isText(values.get('eol'), 'crlf') ? 'never' : text === 'auto' ? 'auto' : 'always';
  return { ident: values.get('ident') === true, crlf, recoded: isRecoded(values.get('working-tree-encoding')) };
}

/** `attr`, `-attr`, `attr=text`, `!attr`; or unsure, if nobody knows whether the line that says it counts. */
type Value = boolean | { readonly text: string } | 'unset' | 'unsure';
type Assignment = readonly [name: string, value: Value];

interface Line {
  readonly pattern: Pattern;
  readonly assignments: readonly Assignment[];
}

/** The attributes that have a say in the bytes. */
const CONVERTING = ['text', 'crlf', 'eol', 'ident', 'working-tree-encoding'] as const;
/** No attribute has this name: it stands for all that a macro would set. */
const MACRO = '[attr]';
/** The one macro that git brings along. */
const BINARY: readonly Assignment[] = [
  ['diff', false],
  ['merge', false],
  ['text', false],
];
/** A .gitattributes file that takes more work than this (see `matches`) is left unread from there on: about a second, in which nothing else runs. */
const MAX_WORK = 50_000_000;
/** In bytes; from here on newer versions of git ignore a line, and older ones do not. */
const LONG_LINE = 2048;
/** Not every version of git passes over it. */
const BYTE_ORDER_MARK = '\u00ef\u00bb\u00bf';

function textAction(value: Value | undefined): 'text' | 'auto' | 'binary' | undefined {
  if (value === true || isText(value, 'input')) return 'text';
  if (value === false) return 'binary';
  return isText(value, 'auto') ? 'auto' : undefined;
}

function isText(value: Value | undefined, text: string): boolean {
  return typeof value === 'object' && value.text === text;
}

function isRecoded(value: Value | undefined): boolean {
  if (typeof value !== 'object') return typeof value === 'boolean';
  return value.text !== '' && !/^utf-?8$/i.test(value.text);
}

/** Deeper files go before those above, later lines before earlier ones, and what is said first stays (fill in git's attr.c). */
function attributesOf(files: readonly AttributesFile[], path: string): ReadonlyMap<string, Value> {
  const governing = files
    .filter(({ directory }) => below(path, directory) !== undefined)
    .toSorted((one, other) => one.directory.length - other.directory.length);
  // Below the root, none can be defined.
  const macros = governing[0]?.directory === '' ? readOnce(governing[0]).macros : new Map([['binary', BINARY]]);
  const values = new Map<string, Value>();
  const assign = (assignments: readonly Assignment[], sure: boolean): void => {
    for (const [name, value] of assignments.toReversed()) {
      if (values.has(name)) continue;
      values.set(name, sure ? value : 'unsure');
      const macro = macros.get(name);
      if (macro && !sure) values.set(MACRO, 'unsure');
      else if (macro && value === true) assign(macro, true);
    }
  };
  for (const file of governing.toReversed()) {
    const name = bytesOf(below(path, file.directory) ?? path);
    const base = name.slice(name.lastIndexOf('/') + 1);
    const read = readOnce(file);
    for (const { pattern, assignments } of read.lines) {
      if (read.work > MAX_WORK) return values.set(MACRO, 'unsure');
      if (matches(pattern, pattern.forBaseName ? base : name, read)) assign(assignments, pattern.exact);
    }
  }
  return values;
}

/** What a file says: it is asked for by thousands of paths. */
interface ReadFile extends Work {
  /** The last one first. */
  readonly lines: readonly Line[];
  readonly macros: ReadonlyMap<string, readonly Assignment[]>;
}

const readFiles = new WeakMap<AttributesFile, ReadFile>();

function readOnce(file: AttributesFile): ReadFile {
  const known = readFiles.get(file);
  if (known) return known;
  const macros = new Map<string, readonly Assignment[]>([['binary', BINARY]]);
  const read = { lines: readLines(file.text, macros).toReversed(), macros, work: 0 };
  readFiles.set(file, read);
  return read;
}

/** The lines that git does not ignore (parse_attr_line). Macros are put into `macros`. */
function readLines(text: string, macros: Map<string, readonly Assignment[]>): Line[] {
  const lines: Line[] = [];
  for (const whole of bytesOf(text.split('\0', 1)[0] ?? '').split('\n')) {
    const line = whole.startsWith(BYTE_ORDER_MARK) ? whole.slice(BYTE_ORDER_MARK.length) : whole;
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
      line === whole && line.length < LONG_LINE && !assignments.some(([attribute]) => attribute.startsWith('builtin_'));
    const macro = quoted === undefined ? /^\[attr\](.+)$/.exec(bare)?.[1] : undefined;
    if (macro === undefined) lines.push({ pattern: readPattern(name, isSure), assignments });
    else if (!isSure) lines.push(UNREAD_LINE);
    else if (ATTRIBUTE.test(macro)) macros.set(macro, assignments);
  }
  return lines;
}

const ATTRIBUTE = /^[.\w][-.\w]*$/;

/** Undefined if one of the words is no legal attribute: git then ignores the line. */
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

/** UTF-8 as a text with a character for each byte: git's patterns are about bytes. */
function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1');
}
