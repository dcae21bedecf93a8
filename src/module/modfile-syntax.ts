import { isPrint } from './unicode.ts';

/** One statement of a go.mod: `verb args…`. A line in a block has the verb of the block. */
export interface Statement {
  readonly verb: string;
  readonly args: readonly string[];
}

/** The go command cannot parse this go.mod. */
export class ModfileSyntaxError extends Error {
  override readonly name = 'ModfileSyntaxError';
}

/** A token, with its text as in the file. A quoted string has the kind `word`. */
interface Token {
  readonly kind: 'word' | 'punctuation' | 'end';
  readonly text: string;
}

/** The verbs whose blocks are read. Other blocks are skipped, as in modfile.ParseLax. */
const BLOCK_VERBS = new Set(['module', 'godebug', 'require', 'exclude', 'replace', 'retract', 'tool', 'ignore']);

/** Parses a go.mod into statements by the grammar of x/mod/modfile (read.go). Throws ModfileSyntaxError. */
export function parseStatements(text: string): Statement[] {
  const statements: Statement[] = [];
  const lines = tokenLines(text);
  for (let i = 0; i < lines.length; i++) {
    const tokens = lines[i] ?? [];
    if (tokens.length === 0) continue;
    const last = tokens.at(-1);
    if (tokens.length > 1 && isPunctuation(last, '(')) {
      const head = tokens.slice(0, -1).map((token) => token.text);
      i = readBlock(lines, i + 1, head, statements);
    } else if (!isEmptyBlock(tokens)) {
      statements.push(statementOf(tokens));
    }
  }
  return statements;
}

/**
 * Appends the statements of a block to `into`. `start` is the index of its first line. Returns the index of the closing
 * line.
 */
function readBlock(lines: readonly Token[][], start: number, head: readonly string[], into: Statement[]): number {
  const [verb = ''] = head;
  for (let i = start; i < lines.length; i++) {
    const tokens = lines[i] ?? [];
    if (isPunctuation(tokens[0], ')')) {
      if (tokens.length > 1) throw new ModfileSyntaxError('expected newline after closing paren');
      return i;
    }
    if (tokens.length === 0 || head.length > 1 || !BLOCK_VERBS.has(verb)) continue;
    into.push({ verb, args: tokens.map((token) => token.text) });
  }
  throw new ModfileSyntaxError('unterminated block');
}

function statementOf(tokens: readonly Token[]): Statement {
  const [verb = '', ...args] = tokens.map((token) => token.text);
  return { verb, args };
}

function isEmptyBlock(tokens: readonly Token[]): boolean {
  return tokens.length > 2 && isPunctuation(tokens.at(-2), '(') && isPunctuation(tokens.at(-1), ')');
}

function isPunctuation(token: Token | undefined, text: string): boolean {
  return token?.kind === 'punctuation' && token.text === text;
}

/** Returns the tokens of each line, without comments. */
function tokenLines(text: string): Token[][] {
  const lines: Token[][] = [[]];
  let rest = text;
  while (rest !== '') {
    const space = /^[ \t\r]+/.exec(rest)?.[0];
    if (space !== undefined) rest = rest.slice(space.length);
    else if (rest.startsWith('//')) rest = rest.slice(rest.includes('\n') ? rest.indexOf('\n') : rest.length);
    else if (rest.startsWith('\n')) {
      lines.push([]);
      rest = rest.slice(1);
    } else {
      const token = readToken(rest);
      lines.at(-1)?.push(token);
      rest = rest.slice(token.text.length);
    }
  }
  return lines;
}

function readToken(text: string): Token {
  const [first = ''] = text;
  if ('()[]{},'.includes(first)) return { kind: 'punctuation', text: first };
  if (first === '"' || first === '`') {
    const quoted = (first === '"' ? /^"(?:[^"\\\n]|\\[^])*"/ : /^`[^`\n]*`/).exec(text)?.[0];
    if (quoted === undefined) throw new ModfileSyntaxError('unterminated string');
    return { kind: 'word', text: quoted };
  }
  const word = readWord(text);
  if (word === '') throw new ModfileSyntaxError(`unexpected input character ${JSON.stringify(first)}`);
  return { kind: 'word', text: word };
}

/** Reads a word, which consists of printable characters except spaces and `()[]{},`. A comment ends the word. */
function readWord(text: string): string {
  let length = 0;
  for (const char of text) {
    if (' ()[]{},'.includes(char) || !isPrint(char) || text.startsWith('//', length)) break;
    if (text.startsWith('/*', length)) throw new ModfileSyntaxError('mod files must use // comments');
    length += char.length;
  }
  return text.slice(0, length);
}

const SIMPLE_ESCAPES: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  '\\': 92,
  '"': 34,
};

/** Returns the value of a double-quoted Go string literal (strconv.Unquote), or undefined if the literal is invalid. */
export function unquoteGo(literal: string): string | undefined {
  if (!/^".*"$/s.test(literal) || literal.length < 2) return undefined;
  const bytes: Buffer[] = [];
  const pattern = /([^"\\\n]+)|\\(?:([abfnrtv\\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/y;
  const end = literal.length - 1;
  pattern.lastIndex = 1;
  while (pattern.lastIndex < end) {
    const match = pattern.exec(literal.slice(0, end));
    if (!match) return undefined;
    const [, plain, simple, hex, octal, short, long] = match;
    if (plain !== undefined) bytes.push(Buffer.from(plain));
    else if (simple !== undefined) bytes.push(Buffer.of(SIMPLE_ESCAPES[simple] ?? 0));
    else if (hex !== undefined) bytes.push(Buffer.of(Number.parseInt(hex, 16)));
    else if (octal !== undefined) {
      const byte = Number.parseInt(octal, 8);
      if (byte > 255) return undefined;
      bytes.push(Buffer.of(byte));
    } else {
      const code = Number.parseInt(short ?? long ?? '', 16);
      if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return undefined;
      bytes.push(Buffer.from(String.fromCodePoint(code)));
    }
  }
  return Buffer.concat(bytes).toString('utf8');
}
