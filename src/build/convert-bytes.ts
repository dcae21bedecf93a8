import type { BlobId } from '../gitlab/schema.ts';
import type { Conversion } from './attributes.ts';

/**
 * Converts a blob as git does on checkout: first `$Id$`, then line endings (convert_to_working_tree). The encoding is
 * not changed, so the caller must not pass a file that git re-encodes.
 */
export function convertBytes(raw: Buffer, blob: BlobId, { ident, crlf }: Omit<Conversion, 'reencoded'>): Buffer {
  const text = raw.toString('latin1');
  const withId = ident ? withIdent(text, blob) : text;
  const converted = crlf === 'always' || (crlf === 'auto' && isConvertedByAuto(withId)) ? withCrlf(withId) : withId;
  return converted === text ? raw : Buffer.from(converted, 'latin1');
}

/** Expands every `$Id$` and `$Id: …$`, except those of another version control system (ident_to_worktree). */
function withIdent(text: string, blob: BlobId): string {
  const keyword = /\$Id(?::([^$\n]*))?\$/g;
  const parts: string[] = [];
  let done = 0;
  for (let match = keyword.exec(text); match; match = keyword.exec(text)) {
    if (isForeign(match[1] ?? '')) {
      // The final `$` of this match may begin the next keyword.
      keyword.lastIndex = match.index + 1;
      continue;
    }
    parts.push(text.slice(done, match.index), `$Id: ${blob} $`);
    done = keyword.lastIndex;
  }
  return parts.join('') + text.slice(done);
}

/**
 * Whether another version control system wrote the text between `$Id:` and `$`. Git writes spaces only at the ends of
 * this text.
 */
function isForeign(id: string): boolean {
  const space = id.indexOf(' ', 1);
  return space >= 0 && space < id.length - 1;
}

function withCrlf(text: string): string {
  return text.replace(/\r?\n/g, '\r\n');
}

/**
 * Whether git converts the content with `text=auto eol=crlf`. Git converts only text without a CR
 * (will_convert_lf_to_crlf and convert_is_binary).
 */
function isConvertedByAuto(text: string): boolean {
  if (/[\r\0]/.test(text)) return false;
  let printable = 0;
  let unprintable = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === LINE_FEED) continue;
    if (code === DELETE || (code < SPACE && !PRINTABLE_CONTROLS.has(code))) unprintable++;
    else printable++;
  }
  if (text.endsWith(END_OF_FILE)) unprintable--;
  return Math.floor(printable / 128) >= unprintable;
}

const LINE_FEED = 10;
const SPACE = 32;
const DELETE = 127;
/** Backspace, tab, form feed and escape. */
const PRINTABLE_CONTROLS: ReadonlySet<number> = new Set([8, 9, 12, 27]);
/** The end-of-file character of DOS, which git ignores at the end of a file. */
const END_OF_FILE = '\u001a';
