import type { BlobId } from '../gitlab/client.ts';

/**
 * GitLab's archive obeys .gitattributes in two ways that the go command does not: it leaves out `export-ignore`
 * files and expands `$Format:…$` in `export-subst` files. The conversions of a checkout (`eol`, `ident`,
 * `working-tree-encoding`) it applies as the go command does. These functions work out a file's canonical bytes
 * from its blob and what the archive made of it, without reading attributes: they accept only bytes that follow
 * from the blob.
 */

/**
 * The canonical bytes of a file whose archived bytes are not those of its blob; undefined if no conversion explains
 * the difference, which then is damage.
 */
export function canonicalBytes(raw: Buffer, archived: Buffer, blob: BlobId): Buffer | undefined {
  return conversions(raw, blob).find((candidate) => candidate.equals(archived) || isExpansionOf(archived, candidate));
}

/** Every form that git's checkout conversions can give a blob, in git's order: ident first, then line ends. */
function conversions(raw: Buffer, blob: BlobId): Buffer[] {
  const text = raw.toString('latin1');
  const withIdent = text.replace(/\$Id(?::[^$\n]*)?\$/g, `$Id: ${blob} $`);
  const forms = [text, withIdent, withCrlf(text), withCrlf(withIdent)];
  return forms.map((form) => Buffer.from(form, 'latin1'));
}

function withCrlf(text: string): string {
  return text.replace(/\r?\n/g, '\r\n');
}

/** Whether `archived` is `text` with every `$Format:…$` expanded to something (format_subst in git's archive.c). */
function isExpansionOf(archived: Buffer, text: Buffer): boolean {
  const pieces = text.toString('latin1').split(/\$Format:[^$]*\$/);
  const [first = '', ...rest] = pieces;
  const last = rest.pop();
  if (last === undefined) return false;
  const expanded = archived.toString('latin1');
  if (!expanded.startsWith(first)) return false;
  let position = first.length;
  for (const piece of rest) {
    const found = expanded.indexOf(piece, position);
    if (found < 0) return false;
    position = found + piece.length;
  }
  return expanded.length - last.length >= position && expanded.endsWith(last);
}
