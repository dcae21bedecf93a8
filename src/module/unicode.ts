import { FOLDS, LETTERS, PRINTABLE } from './unicode-tables.ts';

/**
 * The character classes of Go's `unicode` package. JavaScript's own (`\p{L}`, `toLowerCase`) follow the Unicode
 * version of the running Node, which is newer than Go's, and lower-casing is not simple folding (the Kelvin sign,
 * the dotless i): a checksum must not depend on either.
 */

/** unicode.IsLetter for one character outside ASCII. */
export function isLetter(char: string): boolean {
  return inRanges(letters, char.codePointAt(0) ?? 0);
}

/** unicode.IsPrint for one character; within ASCII that is space to tilde. */
export function isPrint(char: string): boolean {
  const code = char.codePointAt(0) ?? 0;
  return code < 0x80 ? code >= 0x20 && code < 0x7f : inRanges(printable, code);
}

/** The representative of a text under simple folding: equal for two texts exactly if Go takes them for the same name. */
export function foldCase(text: string): string {
  // The common case by far: plain ASCII has only A-Z to fold.
  if (/^\p{ASCII}*$/u.test(text)) return text.toLowerCase();
  return Array.from(text, (char) => {
    const code = char.codePointAt(0) ?? 0;
    return String.fromCodePoint(folds.get(code) ?? code);
  }).join('');
}

/** Turns a table of alternating gap and run lengths into the boundaries at which membership flips. */
function decodeRanges(table: string): Uint32Array {
  let code = 0;
  return Uint32Array.from(table.split(' '), (length) => (code += Number.parseInt(length, 36)));
}

function inRanges(boundaries: Uint32Array, code: number): boolean {
  let low = 0;
  let high = boundaries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((boundaries[middle] ?? 0) <= code) low = middle + 1;
    else high = middle;
  }
  return low % 2 === 1;
}

/** Decodes runs of `gap,step,count,delta`: `count` code points, `step` apart, each folding to itself plus `delta`. */
function decodeFolds(table: string): Map<number, number> {
  const map = new Map<number, number>();
  let start = 0;
  for (const run of table.split(' ')) {
    const [gap = 0, step = 0, count = 0, delta = 0] = run.split(',').map((part) => Number.parseInt(part, 36));
    start += gap;
    for (let i = 0; i < count; i++) map.set(start + i * step, start + i * step + delta);
  }
  return map;
}

const letters = decodeRanges(LETTERS);
const printable = decodeRanges(PRINTABLE);
const folds = decodeFolds(FOLDS);
