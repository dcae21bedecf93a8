import { inSlices } from '../async/in-slices.ts';
import type { BlobId } from '../gitlab/schema.ts';
import type { Conversion } from './attributes.ts';

/**
 * Yields the bytes of a blob as git converts them on checkout: first `$Id$`, then line endings
 * (convert_to_working_tree). The encoding is not changed, so the caller must not pass a file that git re-encodes. The
 * result can be twelve times as large as the blob, so it is never in memory as a whole.
 */
export async function* convertBytes(
  raw: Buffer,
  blob: BlobId,
  { ident, crlf }: Omit<Conversion, 'reencoded'>,
): AsyncGenerator<Buffer> {
  const withId = (): Iterable<Buffer> => inChunks(ident ? identPieces(raw, blob) : [raw]);
  const isConverted = crlf === 'always' || (crlf === 'auto' && (await inSlices(isConvertedByAuto(withId()))));
  yield* isConverted ? withCrlf(withId()) : withId();
}

/** The size of the chunks in which a file is converted, in bytes. A chunk takes less than a millisecond. */
const CHUNK_BYTES = 2 ** 14;

/** Joins small pieces and splits large pieces. The chunks have at most CHUNK_BYTES. */
function* inChunks(pieces: Iterable<Buffer>): Generator<Buffer, void> {
  let chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  let length = 0;
  for (const piece of pieces) {
    for (let done = 0; done < piece.length;) {
      const copied = piece.copy(chunk, length, done);
      length += copied;
      done += copied;
      if (length < CHUNK_BYTES) continue;
      yield chunk;
      chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      length = 0;
    }
  }
  yield chunk.subarray(0, length);
}

const KEYWORD = '$Id';

/** Expands every `$Id$` and `$Id: …$`, except those of another version control system (ident_to_worktree). */
function* identPieces(raw: Buffer, blob: BlobId): Generator<Buffer, void> {
  const expanded = Buffer.from(`$Id: ${blob} $`);
  let done = 0;
  let lineFeed = 0;
  for (let at = 0; at < raw.length;) {
    if (at - done >= CHUNK_BYTES) {
      yield raw.subarray(done, at);
      done = at;
    }
    const keyword = raw.subarray(at, at + CHUNK_BYTES + KEYWORD.length - 1).indexOf(KEYWORD);
    if (keyword < 0) {
      at += CHUNK_BYTES;
      continue;
    }
    const start = at + keyword + KEYWORD.length;
    // Each search begins where the last one ended. Otherwise, a line of keywords would take quadratic time.
    if (lineFeed >= 0 && lineFeed < start) lineFeed = raw.indexOf(LINE_FEED, start);
    const end = endOfIdent(raw, start, lineFeed < 0 ? raw.length : lineFeed);
    if (end !== undefined) {
      yield raw.subarray(done, start - KEYWORD.length);
      yield expanded;
      done = end;
    }
    at = end ?? start;
  }
  yield raw.subarray(done);
}

/**
 * Returns the end of the keyword after its `$Id`, or undefined if it is not expanded. The `$` at the end of a keyword
 * that is not expanded can begin the next keyword.
 */
function endOfIdent(raw: Buffer, start: number, endOfLine: number): number | undefined {
  if (raw[start] === DOLLAR) return start + 1;
  if (raw[start] !== COLON) return undefined;
  const dollar = raw.indexOf(DOLLAR, start + 1);
  if (dollar < 0 || dollar > endOfLine) return undefined;
  // Git writes spaces only at the ends of the text. Another version control system writes them in between.
  const space = raw.subarray(start + 2, dollar).indexOf(SPACE);
  return space >= 0 && start + 2 + space < dollar - 1 ? undefined : dollar + 1;
}

function* withCrlf(chunks: Iterable<Buffer>): Generator<Buffer, void> {
  let previous = 0;
  for (const chunk of chunks) {
    const converted = Buffer.allocUnsafe(2 * chunk.length);
    let length = 0;
    for (const byte of chunk) {
      if (byte === LINE_FEED && previous !== CARRIAGE_RETURN) converted[length++] = CARRIAGE_RETURN;
      converted[length++] = byte;
      previous = byte;
    }
    yield converted.subarray(0, length);
  }
}

/**
 * Whether git converts the content with `text=auto eol=crlf`. Git converts only text without a CR
 * (will_convert_lf_to_crlf and convert_is_binary).
 */
function* isConvertedByAuto(chunks: Iterable<Buffer>): Generator<undefined, boolean> {
  let printable = 0;
  let unprintable = 0;
  let last = 0;
  for (const chunk of chunks) {
    for (const byte of chunk) {
      if (byte === CARRIAGE_RETURN || byte === 0) return false;
      if (byte === DELETE || (byte < SPACE && !HARMLESS_CONTROLS.has(byte))) unprintable++;
      else if (byte !== LINE_FEED) printable++;
      last = byte;
    }
    yield;
  }
  // Git ignores the end-of-file character of DOS at the end of a file.
  if (last === END_OF_FILE) unprintable--;
  return Math.floor(printable / 128) >= unprintable;
}

const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;
const END_OF_FILE = 26;
const SPACE = 32;
const DOLLAR = 36;
const COLON = 58;
const DELETE = 127;
/** Backspace, tab, line feed, form feed and escape. */
const HARMLESS_CONTROLS: ReadonlySet<number> = new Set([8, 9, LINE_FEED, 12, 27]);
