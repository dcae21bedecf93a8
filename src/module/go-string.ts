import { characterLength } from './utf8.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LINE_FEED = 0x0a;
const REPLACEMENT_CHARACTER = Buffer.from('\ufffd');
/** The number of bytes after which the work may be interrupted. */
const STEP_BYTES = 2 ** 12;

/**
 * Returns the value of the double-quoted Go string literal in `bytes` from `start` to `end` (strconv.Unquote), or
 * undefined if the literal is invalid.
 */
export function* unquoteGo(bytes: Buffer, start: number, end: number): Generator<undefined, string | undefined> {
  const last = end - 1;
  if (last <= start || bytes[start] !== QUOTE || bytes[last] !== QUOTE) return undefined;
  // Only a byte that is not UTF-8 becomes longer: a replacement character of three bytes.
  const value = Buffer.allocUnsafe(3 * (last - start));
  let length = 0;
  let pauseAt = start + STEP_BYTES;
  for (let at = start + 1; at < last;) {
    if (at >= pauseAt) {
      pauseAt = at + STEP_BYTES;
      yield;
    }
    const byte = bytes[at] ?? 0;
    const size = characterLength(bytes, at);
    if (byte === QUOTE || byte === LINE_FEED) return undefined;
    if (byte === BACKSLASH) {
      const escape = readEscape(bytes.toString('latin1', at + 1, Math.min(at + 1 + MAX_ESCAPE_LENGTH, last)));
      if (!escape) return undefined;
      if (typeof escape.value === 'string') length += value.write(escape.value, length);
      else value[length++] = escape.value;
      at += 1 + escape.length;
    } else if (size === 0) {
      length += REPLACEMENT_CHARACTER.copy(value, length);
      at++;
    } else {
      length += bytes.copy(value, length, at, at + size);
      at += size;
    }
  }
  return value.toString('utf8', 0, length);
}

const ESCAPE = /^(?:([abfnrtv\\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/;
/** The number of characters that ESCAPE can match. */
const MAX_ESCAPE_LENGTH = 9;
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

/**
 * Reads the escape sequence at the start of a text, without its backslash. Returns the byte or the character for which
 * it stands, and its length in characters. Returns undefined if it is invalid.
 */
function readEscape(text: string): { readonly value: number | string; readonly length: number } | undefined {
  const [{ length } = '', simple, hex, octal, short, long] = ESCAPE.exec(text) ?? [];
  if (simple !== undefined) return { value: SIMPLE_ESCAPES[simple] ?? 0, length };
  if (hex !== undefined) return { value: Number.parseInt(hex, 16), length };
  if (octal !== undefined) {
    const byte = Number.parseInt(octal, 8);
    return byte > 255 ? undefined : { value: byte, length };
  }
  const code = Number.parseInt(short ?? long ?? '', 16);
  const isCharacter = code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000);
  return isCharacter ? { value: String.fromCodePoint(code), length } : undefined;
}
