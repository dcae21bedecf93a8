import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Git } from './git.ts';
import { parseCommit, parseTag, parseTree, type Commit, type Tag, type TreeEntry } from './objects.ts';
import { ObjectReader } from './object-reader.ts';

/** A branch or tag. `commit` is the commit to which it resolves, or undefined if it resolves to another object. */
export interface Ref {
  /** The full name, such as `refs/tags/v1.0.0`. */
  readonly name: string;
  /** The id of the target: a commit, or the tag object of an annotated tag. */
  readonly id: string;
  readonly annotated: boolean;
  readonly commit: string | undefined;
  /** The time of the tag object or the commit, in seconds since the epoch. */
  readonly created: number;
}

/** One change of a push. The id of a ref that does not exist before or after the change is 40 zeros. */
export interface RefChange {
  readonly ref: string;
  readonly before: string;
  readonly after: string;
}

export const zeroId = '0'.repeat(40);

/**
 * A bare repository with the read operations of Gitaly. Refs are cached until `reload`. Every push through the stand-in
 * reloads them. A test that writes to the folder directly must call `reload` itself.
 */
export class Repository {
  readonly directory: string;
  readonly #git: Git;
  readonly #reader: ObjectReader;
  readonly #commits = new Map<string, Commit>();
  readonly #trees = new Map<string, Promise<readonly TreeEntry[]>>();
  #refs: Promise<ReadonlyMap<string, Ref>> | undefined;
  #byVersion: Promise<readonly string[]> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(git: Git, directory: string) {
    this.#git = git;
    this.directory = directory;
    this.#reader = new ObjectReader(git, directory);
  }

  /** Creates an empty repository with Gitaly's settings. */
  static async create(git: Git, directory: string, defaultBranch: string): Promise<Repository> {
    await git.run(['init', '--quiet', '--bare', '--template=', `--initial-branch=${defaultBranch}`, directory]);
    const settings = [
      ['receive.fsckObjects', 'true'],
      // Background work could still write to the folder when the stand-in removes it.
      ['receive.autogc', 'false'],
      ['gc.auto', '0'],
      ['core.fsync', 'none'],
      ['uploadpack.allowFilter', 'true'],
      ['uploadpack.allowAnySHA1InWant', 'true'],
      ['http.receivepack', 'true'],
    ] as const;
    const file = join(directory, 'config');
    const before = await readFile(file, 'utf8');
    const lines = settings.map(([name, value]) => {
      const [section, key] = name.split('.') as [string, string];
      return `[${section}]\n\t${key} = ${value}\n`;
    });
    await writeFile(file, before + lines.join(''));
    return new Repository(git, directory);
  }

  /** Returns all refs by full name, in the order of their names. */
  refs(): Promise<ReadonlyMap<string, Ref>> {
    this.#refs ??= this.#loadRefs();
    return this.#refs;
  }

  /** Returns tag names in the order of git's version sort, lowest first. */
  tagsByVersion(): Promise<readonly string[]> {
    this.#byVersion ??= this.#git
      .run(['for-each-ref', '--sort=version:refname', '--format=%(refname:strip=2)', 'refs/tags'], {
        cwd: this.directory,
      })
      .then((output) => output.toString().split('\n').slice(0, -1));
    return this.#byVersion;
  }

  /** Reads the refs again. Returns the changes since the last read. */
  async reload(): Promise<readonly RefChange[]> {
    const before = await this.refs();
    this.#byVersion = undefined;
    this.#refs = this.#loadRefs();
    const after = await this.#refs;
    const names = new Set([...before.keys(), ...after.keys()]);
    return Array.from(names, (ref) => ({
      ref,
      before: before.get(ref)?.id ?? zeroId,
      after: after.get(ref)?.id ?? zeroId,
    })).filter((change) => change.before !== change.after);
  }

  /** Runs one writer at a time, so that each push is compared with the state before this push. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Returns the branch that HEAD names, whether this branch exists or not. */
  async defaultBranch(): Promise<string> {
    const head = await readFile(join(this.directory, 'HEAD'), 'utf8');
    return head.replace(/^ref: refs\/heads\//, '').trim();
  }

  async setDefaultBranch(name: string): Promise<void> {
    await this.#git.run(['symbolic-ref', 'HEAD', `refs/heads/${name}`], { cwd: this.directory });
  }

  /**
   * Returns the commit to which a branch, tag, full ref, `HEAD` or (abbreviated) id resolves, or undefined. Tags have
   * priority over branches, as in git.
   */
  async commit(revision: string): Promise<Commit | undefined> {
    if (/^[0-9a-f]{40}$/.test(revision)) return this.#commitOf(revision);
    const refs = await this.refs();
    const name = revision === 'HEAD' ? `refs/heads/${await this.defaultBranch()}` : revision;
    const ref = refs.get(name) ?? refs.get(`refs/tags/${name}`) ?? refs.get(`refs/heads/${name}`);
    if (ref !== undefined) return ref.commit === undefined ? undefined : this.#commitOf(ref.commit);
    if (name === '' || /^-|[\s:]/.test(name)) return undefined;
    const object = await this.#reader.read(`${name}^{commit}`);
    return object === undefined ? undefined : this.#commitOf(object.id);
  }

  /** Returns the tag object of an annotated tag, or undefined for a lightweight tag. */
  async tagObject(ref: Ref): Promise<Tag | undefined> {
    if (!ref.annotated) return undefined;
    const object = await this.#reader.read(ref.id);
    return object?.type === 'tag' ? parseTag(object.data) : undefined;
  }

  /** Returns the entries of one tree, in git's order. Names are relative to the tree. */
  tree(id: string): Promise<readonly TreeEntry[]> {
    let entries = this.#trees.get(id);
    if (entries === undefined) {
      entries = this.#reader.read(id).then((object) => (object?.type === 'tree' ? parseTree(object.data) : []));
      this.#trees.set(id, entries);
    }
    return entries;
  }

  /** Returns the entry at a path in a commit. The empty path is the root tree. */
  async entry(commit: Commit, path: string): Promise<TreeEntry | undefined> {
    let found: TreeEntry = { mode: '040000', type: 'tree', id: commit.tree, name: '' };
    for (const name of path.split('/').filter((part) => part !== '')) {
      if (found.type !== 'tree') return undefined;
      const next = (await this.tree(found.id)).find((entry) => entry.name === name);
      if (next === undefined) return undefined;
      found = next;
    }
    return found;
  }

  /** Returns the bytes of a blob. Returns undefined if the id, which may be abbreviated, is not the id of a blob. */
  async blob(id: string): Promise<{ readonly id: string; readonly data: Buffer } | undefined> {
    const object = /^[0-9a-f]{4,40}$/.test(id) ? await this.#reader.read(id) : undefined;
    return object?.type === 'blob' ? object : undefined;
  }

  async #commitOf(id: string): Promise<Commit | undefined> {
    const known = this.#commits.get(id);
    if (known !== undefined) return known;
    const object = await this.#reader.read(`${id}^{commit}`);
    // A missing object is not cached, because a later push may add it.
    if (object === undefined) return undefined;
    const commit = parseCommit(object.id, object.data);
    this.#commits.set(id, commit);
    return commit;
  }

  async #loadRefs(): Promise<ReadonlyMap<string, Ref>> {
    const format = '%(refname)%00%(objectname)%00%(objecttype)%00%(*objecttype)%00%(*objectname)%00%(creatordate:unix)';
    const output = await this.#git.run(['for-each-ref', `--format=${format}`], { cwd: this.directory });
    const refs = new Map<string, Ref>();
    for (const line of output.toString().split('\n').slice(0, -1)) {
      const [name, id, type, peeledType, peeled, created] = line.split('\0') as [
        string,
        string,
        string,
        string,
        string,
        string,
      ];
      const annotated = type === 'tag';
      // `%(*…)` resolves only one tag object. A tag of a tag needs another read.
      const commit =
        peeledType === 'tag' ? (await this.#reader.read(`${id}^{commit}`))?.id : commitId(type, id, peeledType, peeled);
      refs.set(name, { name, id, annotated, commit, created: Number(created) });
    }
    return refs;
  }
}

function commitId(type: string, id: string, peeledType: string, peeled: string): string | undefined {
  if (type === 'commit') return id;
  return peeledType === 'commit' ? peeled : undefined;
}
