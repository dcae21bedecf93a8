import type { SumdbRequest } from './protocol-request.ts';

/**
 * Checks that a response of a checksum database has the form that https://go.dev/ref/mod#checksum-database and
 * golang.org/x/mod/sumdb define. The go command verifies the signatures. These checks keep the login pages of other
 * servers and truncated responses out of the cache.
 */

const TREE_HEAD_TITLE = 'go.sum database tree';
/** The body of `supported` has no meaning. Servers send nothing, or a few words. */
const MAX_SUPPORTED_BYTES = 1024;
const HASH_BYTES = 32;

/**
 * Returns why the body cannot be the response to the request, as words for an error message; undefined if it can be.
 */
export function sumdbProblem(body: Buffer, request: SumdbRequest): string | undefined {
  switch (request.operation) {
    case 'supported':
      return body.length > MAX_SUPPORTED_BYTES || startsLikeHtml(body) ? 'a page instead of an empty body' : undefined;
    case 'latest':
      return isTreeHead(body.toString('utf8')) ? undefined : 'a body that is not a signed tree head';
    case 'lookup':
      return isLookup(body.toString('utf8'), request.module, request.version)
        ? undefined
        : 'a body that is not the record of this version';
    case 'tile':
    default:
      return tileProblem(body, request.tile);
  }
}

/** Whether the body begins like an HTML or XML page. */
export function startsLikeHtml(body: Buffer): boolean {
  return body.toString('utf8', 0, 256).trimStart().startsWith('<');
}

/** Whether the text is a tree head (tlog.ParseTree) with at least one signature (note.Open). */
function isTreeHead(text: string): boolean {
  const split = text.lastIndexOf('\n\n');
  if (split < 0 || !text.endsWith('\n')) return false;
  const [title, size = '', hash = ''] = text.slice(0, split).split('\n', 3);
  const signatures = text.slice(split + 2, -1).split('\n');
  return (
    title === TREE_HEAD_TITLE &&
    isDecimal(size) &&
    Buffer.from(hash, 'base64').length === HASH_BYTES &&
    signatures.every((line) => line.startsWith('— '))
  );
}

/** Whether the text is a record (tlog.ParseRecord) with a checksum of this version, and a tree head. */
function isLookup(text: string, module: string, version: string): boolean {
  const record = readRecord(text, 0);
  if (!record || !isTreeHead(text.slice(record.end))) return false;
  return record.lines.some((line) => line.startsWith(`${module} ${version} h1:`));
}

function tileProblem(body: Buffer, tile: string): string | undefined {
  const [, height = '', level, partial] = /^tile\/([0-9]+)\/([^/]+)\/.*?(?:\.p\/([0-9]+))?$/.exec(tile) ?? [];
  const width = partial === undefined ? 2 ** Number(height) : Number(partial);
  if (level === 'data')
    return isDataTile(body.toString('utf8'), width) ? undefined : `a body that is not ${width} records`;
  // The go command needs every hash of a tile, and their number is in the path.
  return body.length === width * HASH_BYTES
    ? undefined
    : `a tile of ${body.length} bytes instead of ${width * HASH_BYTES}`;
}

/** Whether the text has exactly this number of records, one after the other. */
function isDataTile(text: string, width: number): boolean {
  let position = 0;
  let records = 0;
  while (position < text.length) {
    const record = readRecord(text, position);
    if (!record || ++records > width) return false;
    position = record.end;
  }
  return records === width;
}

/**
 * Reads the record that begins at `start`: a line with its decimal number, the lines of its text, and an empty line.
 * Undefined if there is no record.
 */
function readRecord(
  text: string,
  start: number,
): { readonly lines: readonly string[]; readonly end: number } | undefined {
  const end = text.indexOf('\n\n', start);
  if (end < 0) return undefined;
  const [id = '', ...lines] = text.slice(start, end).split('\n');
  return isDecimal(id) && lines.length > 0 ? { lines, end: end + 2 } : undefined;
}

function isDecimal(text: string): boolean {
  return /^[0-9]{1,19}$/.test(text);
}
