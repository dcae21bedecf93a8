/** The author, committer or tagger of a commit or tag, with the time. */
export interface Signature {
  readonly name: string;
  readonly email: string;
  /** The time, in seconds since the epoch. */
  readonly seconds: number;
  /** The offset from UTC in git's format, such as `+0200`. */
  readonly zone: string;
}

export interface Commit {
  readonly id: string;
  readonly tree: string;
  readonly parents: readonly string[];
  readonly author: Signature;
  readonly committer: Signature;
  readonly message: string;
}

export interface Tag {
  readonly tagger: Signature | undefined;
  readonly message: string;
}

export interface TreeEntry {
  /** Six octal digits: `100644`, `100755`, `120000`, `040000` or `160000`. */
  readonly mode: string;
  readonly type: 'blob' | 'tree' | 'commit';
  readonly id: string;
  readonly name: string;
}

/**
 * Returns the time of a signature in the format of GitLab's API, with milliseconds and the time zone offset of the
 * signature. Ruby writes years after 9999 with all their digits and without a sign (Time#xmlschema).
 */
export function apiTime({ seconds, zone }: Signature): string {
  const [, sign, hours, minutes] = /^([+-])(\d\d)(\d\d)$/.exec(zone) ?? ['', '+', '00', '00'];
  const offset = (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -60 : 60);
  const local = new Date((seconds + offset) * 1000).toISOString().replace('Z', '').replace(/^\+0*/, '');
  return `${local}${sign ?? '+'}${hours ?? '00'}:${minutes ?? '00'}`;
}

export function parseCommit(id: string, data: Buffer): Commit {
  const { headers, message } = split(data);
  const one = (name: string): string => headers.find(([key]) => key === name)?.[1] ?? '';
  return {
    id,
    tree: one('tree'),
    parents: headers.filter(([key]) => key === 'parent').map(([, value]) => value),
    author: signature(one('author')),
    committer: signature(one('committer')),
    message,
  };
}

export function parseTag(data: Buffer): Tag {
  const { headers, message } = split(data);
  const tagger = headers.find(([key]) => key === 'tagger')?.[1];
  return { tagger: tagger === undefined ? undefined : signature(tagger), message };
}

/** Parses a raw tree. Each entry is `<mode> <name>\0<20 bytes of id>`. */
export function parseTree(data: Buffer): readonly TreeEntry[] {
  const entries: TreeEntry[] = [];
  for (let at = 0; at < data.length;) {
    const space = data.indexOf(0x20, at);
    const end = data.indexOf(0, space);
    const mode = data.toString('latin1', at, space).padStart(6, '0');
    const name = data.toString('utf8', space + 1, end);
    entries.push({ mode, type: typeOf(mode), id: data.toString('hex', end + 1, end + 21), name });
    at = end + 21;
  }
  return entries;
}

function typeOf(mode: string): TreeEntry['type'] {
  if (mode === '040000') return 'tree';
  return mode === '160000' ? 'commit' : 'blob';
}

function split(data: Buffer): { headers: [string, string][]; message: string } {
  const text = data.toString('utf8');
  const end = text.indexOf('\n\n');
  const head = end < 0 ? text : text.slice(0, end);
  const headers = head
    .split('\n')
    // Continuation lines, such as those of a signature, begin with a space.
    .filter((line) => !line.startsWith(' '))
    .map((line): [string, string] => {
      const space = line.indexOf(' ');
      return [line.slice(0, space), line.slice(space + 1)];
    });
  return { headers, message: end < 0 ? '' : text.slice(end + 2) };
}

function signature(text: string): Signature {
  const [, name, email, seconds, zone] = /^(.*?) ?<([^>]*)> (-?\d+) ([+-]\d{4})$/.exec(text) ?? [];
  return { name: name ?? '', email: email ?? '', seconds: Number(seconds ?? 0), zone: zone ?? '+0000' };
}
