import { isPrintable } from './unicode.ts';
import { characterLength, codePointAt } from './utf8.ts';

/** The verbs of the statements that are read. All other statements are ignored, as in modfile.ParseLax. */
const VERBS = ['go', 'module', 'require', 'retract', 'ignore'] as const;
type Verb = (typeof VERBS)[number];

/** A statement of a go.mod: `verb arguments…`. The object is valid until the next statement is read. */
export interface Statement {
  readonly verb: Verb;
  /** The number of the arguments. At most the first five are kept. */
  readonly length: number;
  /** Returns the bytes of an argument as in the file. They are empty if there is no such argument. */
  argument(index: number): Buffer;
}

/** The go command cannot parse this go.mod. */
export class ModfileSyntaxError extends Error {
  override readonly name = 'ModfileSyntaxError';
}

/** The number of bytes after which the work may be interrupted. */
const STEP_BYTES = 2 ** 12;

/**
 * Parses a go.mod by the grammar of x/mod/modfile (read.go). Yields each statement in the order of the file, and
 * undefined where the work may be interrupted. A line in a block is a statement with the verb of the block. Creates no
 * object for a token or a statement, because a go.mod can contain millions of them. Throws ModfileSyntaxError.
 */
export function* readStatements(bytes: Buffer): Generator<Statement | undefined, void> {
  const line = new Line(bytes);
  const blocks = new Blocks();
  let pauseAt = STEP_BYTES;
  for (let at = 0; at < bytes.length;) {
    if (at >= pauseAt) {
      pauseAt = at + STEP_BYTES;
      yield undefined;
    }
    const byte = bytes[at] ?? 0;
    if (byte === LINE_FEED) {
      if (blocks.isStatement(line)) yield line;
      line.clear();
      at++;
    } else if (byte === SPACE || byte === TAB || byte === CARRIAGE_RETURN) {
      at++;
    } else if (byte === SLASH && bytes[at + 1] === SLASH) {
      const end = bytes.indexOf(LINE_FEED, at);
      at = end < 0 ? bytes.length : end;
    } else if (isPunctuation(byte)) {
      line.addToken(at, at + 1, byte);
      at++;
    } else {
      const start = at;
      const endOfToken = byte === QUOTE || byte === BACKQUOTE ? endOfString : endOfWord;
      at = endOfToken(bytes, start, start);
      while (at < 0) {
        yield undefined;
        at = endOfToken(bytes, start, -at);
      }
      line.addToken(start, at, 0);
    }
  }
  if (blocks.isStatement(line)) yield line;
  blocks.end();
}

/** Decides which lines are statements, and which begin or end a block. */
class Blocks {
  /** The verb of the block that is read, or `ignored`. Undefined outside a block. */
  #block: Verb | 'ignored' | undefined;

  /** Whether a line is a statement that is read. Sets the verb of the line if it is. */
  isStatement(line: Line): boolean {
    if (line.tokens === 0) return false;
    if (this.#block !== undefined) return this.#isStatementOfBlock(line, this.#block);
    const isEmptyBlock = line.tokens > 2 && line.secondLast === OPEN && line.last === CLOSE;
    if (line.tokens > 1 && line.last === OPEN) this.#block = blockVerb(line);
    else if (!isEmptyBlock) return line.setVerb(verbOf(line), 1);
    return false;
  }

  end(): void {
    if (this.#block !== undefined) throw new ModfileSyntaxError('unterminated block');
  }

  #isStatementOfBlock(line: Line, verb: Verb | 'ignored'): boolean {
    if (line.first !== CLOSE) return line.setVerb(verb, 0);
    if (line.tokens > 1) throw new ModfileSyntaxError('expected newline after closing paren');
    this.#block = undefined;
    return false;
  }
}

function verbOf(line: Line): Verb | 'ignored' {
  for (const verb of VERBS) if (line.startsWith(verb)) return verb;
  return 'ignored';
}

/** Returns the verb of the block that a line opens. Blocks of two words and `go` blocks are ignored. */
function blockVerb(line: Line): Verb | 'ignored' {
  const verb = line.tokens === 2 ? verbOf(line) : 'ignored';
  return verb === 'go' ? 'ignored' : verb;
}

/** The maximum number of tokens of a line that are kept: a verb, and the five tokens of `[v1.0.0, v1.2.0]`. */
const MAX_TOKENS = 6;

/** The tokens of a line, without comments. One object is used for all lines. */
class Line implements Statement {
  readonly #bytes: Buffer;
  readonly #starts = new Uint32Array(MAX_TOKENS);
  readonly #ends = new Uint32Array(MAX_TOKENS);
  /** The number of the tokens, including those that are not kept. */
  tokens = 0;
  /** The punctuation mark that is the first token, or 0. The same applies to `last` and `secondLast`. */
  first = 0;
  last = 0;
  secondLast = 0;
  verb: Verb = 'go';
  /** The number of tokens before the arguments. */
  #firstArgument = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  clear(): void {
    this.tokens = 0;
    this.last = 0;
    this.secondLast = 0;
  }

  /** Adds the token in the bytes from `start` to `end`. `punctuation` is 0 for a word or a string. */
  addToken(start: number, end: number, punctuation: number): void {
    if (this.tokens < MAX_TOKENS) {
      this.#starts[this.tokens] = start;
      this.#ends[this.tokens] = end;
    }
    if (this.tokens === 0) this.first = punctuation;
    this.secondLast = this.last;
    this.last = punctuation;
    this.tokens++;
  }

  /** Whether the first token is this word. */
  startsWith(word: string): boolean {
    const start = this.#starts[0] ?? 0;
    if ((this.#ends[0] ?? 0) - start !== word.length) return false;
    for (let index = 0; index < word.length; index++)
      if (this.#bytes[start + index] !== word.charCodeAt(index)) return false;
    return true;
  }

  /** Makes the line a statement, unless its verb is `ignored`. Returns whether it is a statement. */
  setVerb(verb: Verb | 'ignored', firstArgument: number): boolean {
    if (verb === 'ignored') return false;
    this.verb = verb;
    this.#firstArgument = firstArgument;
    return true;
  }

  get length(): number {
    return this.tokens - this.#firstArgument;
  }

  argument(index: number): Buffer {
    const token = index + this.#firstArgument;
    const isKept = token < Math.min(this.tokens, MAX_TOKENS);
    return isKept ? this.#bytes.subarray(this.#starts[token], this.#ends[token]) : NOTHING;
  }
}

const NOTHING = Buffer.alloc(0);

/**
 * Returns the end of the quoted string that begins at `start`. The search goes on at `from`. If it does not find the
 * end within STEP_BYTES, returns the negative of the place where it has to go on.
 */
function endOfString(bytes: Buffer, start: number, from: number): number {
  const quote = bytes[start];
  const until = from + STEP_BYTES;
  for (let at = Math.max(from, start + 1); at < bytes.length; at++) {
    if (at >= until) return -at;
    const byte = bytes[at];
    if (byte === quote) return at + 1;
    if (byte === LINE_FEED) break;
    // The escaped character can be a line feed. The later bytes of a long character do not matter.
    if (byte === BACKSLASH && quote === QUOTE) at++;
  }
  throw new ModfileSyntaxError('unterminated string');
}

/**
 * Returns the end of a word, which consists of printable characters except spaces and `()[]{},`. A comment ends the
 * word. The parameters and the result are those of `endOfString`.
 */
function endOfWord(bytes: Buffer, start: number, from: number): number {
  const until = from + STEP_BYTES;
  let at = from;
  while (at < until) {
    const byte = bytes[at];
    if (byte === undefined || byte === SPACE || isPunctuation(byte)) break;
    if (byte === SLASH && bytes[at + 1] === SLASH) break;
    if (byte === SLASH && bytes[at + 1] === ASTERISK) throw new ModfileSyntaxError('mod files must use // comments');
    const length = characterLength(bytes, at);
    // Go reads a byte that is not UTF-8 as a replacement character, which is printable.
    if (length > 0 && !isPrintable(codePointAt(bytes, at, length))) break;
    at += length || 1;
  }
  if (at === start) throw new ModfileSyntaxError(`unexpected input character at byte ${start}`);
  return at < until ? at : -at;
}

function isPunctuation(byte: number): boolean {
  return PUNCTUATION[byte] === 1;
}

const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const OPEN = 0x28;
const CLOSE = 0x29;
const ASTERISK = 0x2a;
const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const BACKQUOTE = 0x60;
const PUNCTUATION = new Uint8Array(256);
for (const byte of Buffer.from('()[]{},')) PUNCTUATION[byte] = 1;
