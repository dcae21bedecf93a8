import { below } from '../module/elements.ts';

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
const BINARY: readonly Assignment[] = [['diff', false], ['merge', false], ['text', false]];
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
    for (const { pattern, assignments } of readOnce(file).lines.toReversed()) {
      if (matches(pattern, name)) assign(assignments, pattern.exact);
    }
  }
  return values;
}

/** What a file says: it is asked for by thousands of paths. */
interface ReadFile {
  readonly lines: readonly Line[];
  readonly macros: ReadonlyMap<string, readonly Assignment[]>;
}

const readFiles = new WeakMap<AttributesFile, ReadFile>();

function readOnce(file: AttributesFile): ReadFile {
  const known = readFiles.get(file);
  if (known) return known;
  const macros = new Map<string, readonly Assignment[]>([['binary', BINARY]]);
  const read = { lines: readLines(file.text, macros), macros };
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
    const isSure = line === whole && line.length < LONG_LINE && !assignments.some(([attribute]) => attribute.startsWith('builtin_'));
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
    assignments.push([name, sign === '-' ? false : sign === '!' ? 'unset' : value === undefined ? true : { text: value }]);
  }
  return assignments;
}

/** A pattern taken apart. Without `exact` it may match more than git's does, because a part of it was not read. */
interface Pattern {
  readonly steps: readonly Step[];
  /** A pattern without a slash is for the last element of a path. */
  readonly forBaseName: boolean;
  readonly exact: boolean;
}

/** One character; or any number of them, with or without slashes; or a fork: go on here, or behind the next two steps. */
type Step = ((char: string) => boolean) | 'all' | 'no slash' | 'fork';

/** In the order in which wildmatch of git looks for them. Of sets only those that mean the same in every version. */
const TOKEN = /(?<directories>(?<=^|\/)\*\*+(?:\/|$))|(?<stars>\*+)|(?<one>\?)|\\(?<escaped>.)|\[(?<set>[!^]?[-\w.,+=@~ ]+)\]|(?<plain>[^*?\\[])/gsy;

const UNREAD_LINE: Line = {
  pattern: { steps: ['all'], forBaseName: false, exact: false },
  assignments: [MACRO, ...CONVERTING].map((name) => [name, 'unsure'] as const),
};

/** `isSure` is whether git takes the line into account at all. */
function readPattern(text: string, isSure: boolean): Pattern {
  const forBaseName = !text.includes('/');
  // Such a pattern is for directories, which have no bytes.
  if (text.endsWith('/')) return { steps: [() => false], forBaseName, exact: true };
  const pattern = text.replace(/^\//, '');
  const steps: Step[] = [];
  let read = 0;
  for (const { 0: token, groups = {} } of pattern.matchAll(TOKEN)) {
    const { directories, stars, one, escaped, set, plain } = groups;
    if (stars !== undefined && stars !== '*' && !forBaseName) break;
    if (set !== undefined && !isAscending(set)) break;
    if (directories?.endsWith('/')) steps.push('fork', 'all', literally('/'));
    else if (directories !== undefined) steps.push('all');
    else if (stars !== undefined) steps.push('no slash');
    else if (one !== undefined) steps.push((char) => char !== '/');
    else if (set !== undefined) steps.push(oneOf(set));
    else steps.push(literally(escaped ?? plain ?? ''));
    read += token.length;
  }
  const isRead = read === pattern.length && !pattern.includes(NO_UTF8);
  if (!isRead) return { steps: pattern.includes(NO_UTF8) ? ['all'] : [...steps, 'all'], forBaseName, exact: false };
  return { steps, forBaseName, exact: isSure };
}

/** What stands in a text, as bytes, for bytes that were no UTF-8. */
const NO_UTF8 = '\u00ef\u00bf\u00bd';

function literally(expected: string): Step {
  return (char) => char === expected;
}

function oneOf(set: string): Step {
  const expression = new RegExp(`^[${set.replace(/^!/, '^')}]$`, 's');
  return (char) => char !== '/' && expression.test(char);
}

function isAscending(set: string): boolean {
  return Array.from(set.replace(/^[!^]/, '').matchAll(/(.)-(.)/g)).every(([, first = '', last = '']) => first <= last);
}

/** All ways through the pattern at once, so that no pattern takes more than its length times that of the name. */
function matches({ steps, forBaseName }: Pattern, path: string): boolean {
  const name = forBaseName ? path.slice(path.lastIndexOf('/') + 1) : path;
  let places = reachable(steps, [0]);
  for (const char of name) {
    const next: number[] = [];
    for (const place of places) {
      const step = steps[place];
      if (step === 'all' || (step === 'no slash' && char !== '/')) next.push(place);
      else if (typeof step === 'function' && step(char)) next.push(place + 1);
    }
    places = reachable(steps, next);
  }
  return places.has(steps.length);
}

/** The places, and those that can be reached from them without a character. */
function reachable(steps: readonly Step[], places: readonly number[]): ReadonlySet<number> {
  const found = new Set(places);
  // What is added while a set is walked through is walked through as well.
  for (const place of found) {
    const step = steps[place];
    if (step !== undefined && typeof step !== 'function') found.add(place + 1);
    if (step === 'fork') found.add(place + 3);
  }
  return found;
}

/** UTF-8 as a text with a character for each byte: git's patterns are about bytes. */
function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1');
}
