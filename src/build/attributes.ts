import { inSlices } from '../async/in-slices.ts';
import { below } from '../module/path-elements.ts';
import {
  CONVERTING,
  readLines,
  readVocabulary,
  UNREAD_LINE,
  UNSURE_MACRO,
  type Assignment,
  type Line,
  type Value,
  type Vocabulary,
} from './attribute-lines.ts';
import { matchesSimply, matchesStepwise, WorkBudget } from './attribute-pattern.ts';

/** A .gitattributes file: its directory, which is empty for the root of the repository, and its bytes. */
export interface AttributesFile {
  readonly directory: string;
  /** Undefined if the file is too large to be read. */
  readonly bytes: Buffer | undefined;
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

/** The maximum number of lines of all files that are kept. A line takes about 300 bytes. */
const MAX_LINES = 100_000;
/** The maximum work for one set of files, in steps (see WorkBudget). It takes about five seconds. */
const MAX_WORK = 400_000_000;

/**
 * Determines how git converts files according to .gitattributes files. Strangers write these files. Therefore all work
 * is done in slices that do not block the event loop, and the work and the memory have limits. Beyond a limit, the
 * conversion of a file is unsure.
 */
export class Attributes {
  readonly #vocabulary: Vocabulary;
  readonly #files: ReadonlyMap<string, ParsedFile>;
  readonly #budget: WorkBudget;
  /** The directory of the last path, and the file that governs it. The files of a directory follow each other. */
  #last: { readonly directory: string; readonly file: ParsedFile | undefined } | undefined;

  private constructor(vocabulary: Vocabulary, files: ReadonlyMap<string, ParsedFile>, budget: WorkBudget) {
    this.#vocabulary = vocabulary;
    this.#files = files;
    this.#budget = budget;
  }

  /** Reads the files. A file in a directory must come after the files in the directories above it. */
  static async read(files: AsyncIterable<AttributesFile> | Iterable<AttributesFile>): Promise<Attributes> {
    let vocabulary = await inSlices(readVocabulary());
    const parsed = new Map<string, ParsedFile>();
    const budget = new WorkBudget(MAX_WORK);
    let remaining = MAX_LINES;
    for await (const { directory, bytes } of files) {
      // Only the file at the root of the repository can define macros.
      if (directory === '' && bytes) vocabulary = await inSlices(readVocabulary(bytes));
      const lines = bytes && (await inSlices(readLines(bytes, vocabulary, directory === '', remaining)));
      remaining -= lines?.length ?? 0;
      if (lines?.length === 0) continue;
      const above = directory === '' ? undefined : await inSlices(governing(parsed, parentOf(directory), budget));
      parsed.set(directory, { directory, lines: lines ?? [UNREAD_LINE], above });
    }
    return new Attributes(vocabulary, parsed, budget);
  }

  /**
   * Determines how git converts the file at a path (convert_attrs in git's convert.c). The git settings are
   * `core.autocrlf=input` and `core.eol=lf`, as the go command sets them. Resolves to `unsure` if the result depends on
   * a line that the parser does not support, or if a limit is exceeded.
   */
  async conversionOf(path: string): Promise<Conversion | 'unsure'> {
    if (this.#files.size === 0) return UNCHANGED;
    const values = await inSlices(this.#attributesOf(path));
    if (values === undefined || [...CONVERTING.keys(), UNSURE_MACRO].some((index) => values[index] === 'unsure'))
      return 'unsure';
    const [text, crlfOfOldGit, eol, ident, encoding] = values;
    const action = textAction(text) ?? textAction(crlfOfOldGit);
    const isNever = action === 'binary' || !isText(eol, 'crlf');
    const crlf = isNever ? 'never' : action === 'auto' ? 'auto' : 'always';
    return { ident: ident === true, crlf, reencoded: isReencoded(encoding) };
  }

  /**
   * Returns the attributes of a path, or undefined if the budget is spent. As in `fill` of git's attr.c, the first
   * value of an attribute counts. Files in deeper directories are read first, and each file is read from its last line
   * to its first.
   */
  *#attributesOf(path: string): Generator<undefined, Values | undefined> {
    const { length } = this.#vocabulary.macros;
    const values: Values = Array.from<undefined>({ length });
    this.#budget.spend(length);
    let pauseAfter = PAUSE_LINES;
    for (let file = yield* this.#governing(parentOf(path)); file; file = file.above) {
      const name = bytesOf(below(path, file.directory) ?? path);
      const baseName = name.slice(name.lastIndexOf('/') + 1);
      this.#budget.spend(name.length);
      for (const { pattern, assignments } of file.lines) {
        if (--pauseAfter === 0) {
          pauseAfter = PAUSE_LINES;
          yield;
        }
        this.#budget.spend(LINE_STEPS);
        if (this.#budget.isSpent) return undefined;
        const candidate = pattern.forBaseName ? baseName : name;
        const isMatch = matchesSimply(pattern, candidate) ?? (yield* matchesStepwise(pattern, candidate, this.#budget));
        if (isMatch) yield* this.#assign(values, assignments, pattern.exact);
      }
      if (CONVERTING.every((_, index) => values[index] !== undefined)) break;
    }
    return this.#budget.isSpent ? undefined : values;
  }

  /**
   * Assigns values to the attributes that have none yet, and expands macros (fill_one and macroexpand_one in git's
   * attr.c). A macro can expand to another macro thousands of times, so this is not a recursion.
   */
  *#assign(values: Values, assignments: readonly Assignment[], isSure: boolean): Generator<undefined, void> {
    const expanding = [assignments.values()];
    let pauseAfter = PAUSE_LINES;
    for (let current = expanding.at(-1); current; current = expanding.at(-1)) {
      const next = current.next();
      if (next.done === true) {
        expanding.pop();
        continue;
      }
      if (--pauseAfter === 0) {
        pauseAfter = PAUSE_LINES;
        yield;
      }
      this.#budget.spend(1);
      const [attribute, value] = next.value;
      if (values[attribute] !== undefined) continue;
      values[attribute] = isSure ? value : 'unsure';
      const macro = this.#vocabulary.macros[attribute];
      if (macro && !isSure) values[UNSURE_MACRO] = 'unsure';
      else if (macro && value === true) expanding.push(macro.values());
    }
  }

  *#governing(directory: string): Generator<undefined, ParsedFile | undefined> {
    if (this.#last?.directory === directory) return this.#last.file;
    const file = yield* governing(this.#files, directory, this.#budget);
    this.#last = { directory, file };
    return file;
  }
}

const UNCHANGED: Conversion = { ident: false, crlf: 'never', reencoded: false };

/** The steps that it takes to compare a line with a path. */
const LINE_STEPS = 5;
/** The steps that it takes to look up a directory, without those for the length of its path. */
const LOOKUP_STEPS = 5;
/** The number of lines or assignments after which the work may be interrupted. */
const PAUSE_LINES = 1000;

/** The values of the attributes of a path, by the indexes of the vocabulary. */
type Values = (Value | undefined)[];

/** A .gitattributes file whose lines are parsed. */
interface ParsedFile {
  readonly directory: string;
  /** The lines from the last to the first. */
  readonly lines: readonly Line[];
  /** The file in the nearest directory above. */
  readonly above: ParsedFile | undefined;
}

/** Returns the file in a directory, or in the nearest directory above it. Returns undefined if the budget is spent. */
function* governing(
  files: ReadonlyMap<string, ParsedFile>,
  directory: string,
  budget: WorkBudget,
): Generator<undefined, ParsedFile | undefined> {
  for (let each = directory; ; each = parentOf(each)) {
    // Each directory above is looked up by its whole path, so a deep path takes quadratic time.
    budget.spend(LOOKUP_STEPS + each.length / 64);
    if (budget.isSpent) return undefined;
    const file = files.get(each);
    if (file || each === '') return file;
    yield;
  }
}

/** Returns the directory of a path, which is empty for the root. */
function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

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
  return !['', 'utf8', 'utf-8'].includes(value.text);
}

/**
 * Returns the UTF-8 bytes of a text as a string with one character for each byte. Git matches patterns byte by byte.
 */
function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1');
}
