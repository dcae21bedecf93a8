import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Git } from './git.ts';
import type { Project } from './stand-in.ts';

/**
 * The content of a path: text or bytes, a symlink with its target, an executable file, or a submodule at a commit. Null
 * removes the path.
 */
export type FileContent =
  | string
  | Buffer
  | { readonly symlink: string }
  | { readonly executable: string | Buffer }
  | { readonly submodule: string }
  | null;

export interface CommitOptions {
  /**
   * The time of the author and the committer. The default is one minute after the last commit, beginning at
   * 2024-01-01T00:00:00Z.
   */
  readonly date?: Date | string;
  /** The time zone offset of the committer, such as `+0200`. The default is `+0000`. */
  readonly committerZone?: string;
  /** A branch, tag or commit to merge. The files remain those of this branch and of `write`. */
  readonly merge?: string;
}

export interface TagOptions {
  readonly annotated?: boolean;
  /** The message of an annotated tag. */
  readonly message?: string;
  /** Whether an existing tag may be moved. */
  readonly force?: boolean;
  /** A branch, tag or commit. The default is the newest commit of this branch. */
  readonly at?: string;
  /** The time of an annotated tag. The default is one minute after the last commit. */
  readonly date?: Date | string;
}

const firstCommit = Date.UTC(2024, 0, 1) / 1000;

/**
 * A developer's clone without files on disk, because `git fast-import` creates the commits. Any path is possible,
 * thousands of files need one process, and the same calls result in the same ids on every machine. `push` is a real
 * `git push`.
 */
export class WorkTree implements AsyncDisposable {
  readonly #git: Git;
  readonly #directory: string;
  readonly #project: Project;
  readonly #staged = new Map<string, FileContent>();
  /** The commit of each ref, by the full name of the ref. A lookup needs no git process. */
  readonly #commits = new Map<string, string>();
  #branch: string;
  #clock = firstCommit;

  private constructor(git: Git, directory: string, project: Project, branch: string) {
    this.#git = git;
    this.#directory = directory;
    this.#project = project;
    this.#branch = branch;
  }

  /** Creates an empty clone of the project, by default on the branch `main`. */
  static async create(project: Project, branch = 'main'): Promise<WorkTree> {
    const directory = await mkdtemp(join(project.scratchDir, 'work-tree-'));
    const git = new Git();
    await git.run(['init', '--quiet', '--bare', '--template=', `--initial-branch=${branch}`, directory]);
    // Background work must not continue after the end of a test.
    await appendFile(
      join(directory, 'config'),
      '[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n[core]\n\tfsync = none\n',
    );
    return new WorkTree(git, directory, project, branch);
  }

  /**
   * Adds files to the next commit. A path is text. A name that is not UTF-8 has the prefix `latin1:` and contains the
   * bytes as Latin-1.
   */
  write(files: Readonly<Record<string, FileContent>>): this {
    for (const [path, content] of Object.entries(files)) this.#staged.set(path, content);
    return this;
  }

  /** Commits the written files. Returns the commit id. */
  async commit(message: string, options: CommitOptions = {}): Promise<string> {
    const seconds = options.date === undefined ? this.#clock : secondsOf(options.date);
    this.#clock = seconds + 60;
    const parent = this.#resolve(`refs/heads/${this.#branch}`);
    const merged = options.merge === undefined ? undefined : this.#resolve(options.merge);
    const script = [
      `commit refs/heads/${this.#branch}\nmark :1\n`,
      `author Ada Author <ada@example.com> ${seconds} +0000\n`,
      `committer Carl Committer <carl@example.com> ${seconds} ${options.committerZone ?? '+0000'}\n`,
      ...data(`${message}\n`),
      ...(parent === undefined ? [] : [`from ${parent}\n`]),
      ...(merged === undefined ? [] : [`merge ${merged}\n`]),
      ...Array.from(this.#staged, ([path, content]) => change(path, content)).flat(),
      '\nget-mark :1\n',
    ];
    const id = await this.#import(script);
    this.#staged.clear();
    this.#commits.set(`refs/heads/${this.#branch}`, id);
    return id;
  }

  /** Creates or moves one tag, or several tags at once. */
  async tag(names: string | readonly string[], options: TagOptions = {}): Promise<void> {
    const list = typeof names === 'string' ? [names] : names;
    const target = this.#resolve(options.at ?? `refs/heads/${this.#branch}`);
    if (target === undefined) throw new Error(`nothing to tag at ${options.at ?? this.#branch}`);
    const existing = list.find((name) => this.#commits.has(`refs/tags/${name}`));
    if (existing !== undefined && options.force !== true) throw new Error(`tag ${existing} exists`);
    const seconds = options.date === undefined ? this.#clock : secondsOf(options.date);
    const tagger = `tagger Tess Tagger <tess@example.com> ${seconds} +0000\n`;
    const annotated = (name: string): (string | Buffer)[] =>
      [`tag ${name}\nfrom ${target}\n${tagger}`, data(`${options.message ?? name}\n`)].flat();
    const lightweight = (name: string): string[] => [`reset refs/tags/${name}\nfrom ${target}\n\n`];
    await this.#import(list.flatMap(options.annotated === true ? annotated : lightweight));
    for (const name of list) this.#commits.set(`refs/tags/${name}`, target);
  }

  /** Switches to a branch. A new branch starts at `at`, by default at the newest commit of the current branch. */
  async branch(name: string, options: { at?: string } = {}): Promise<void> {
    const target = this.#resolve(options.at ?? `refs/heads/${this.#branch}`);
    if (!this.#commits.has(`refs/heads/${name}`) && target !== undefined) {
      await this.#import([`reset refs/heads/${name}\nfrom ${target}\n\n`]);
      this.#commits.set(`refs/heads/${name}`, target);
    }
    this.#branch = name;
  }

  /**
   * Pushes the given refspecs. `main` and `v1.0.0` push a ref, `+v1.0.0` moves it, and `:v1.0.0` deletes it. Without
   * refspecs, it pushes all branches and tags. Rejects with git's error text if the server refuses a ref.
   */
  async push(...refs: readonly string[]): Promise<void> {
    const everything = ['refs/heads/*:refs/heads/*', 'refs/tags/*:refs/tags/*'];
    const specs = refs.length === 0 ? everything : refs;
    await this.#git.run(['push', '--quiet', this.#project.gitUrl, ...specs], { cwd: this.#directory });
  }

  /** Returns the commit id of a branch, tag or commit. */
  head(revision = `refs/heads/${this.#branch}`): string {
    const id = this.#resolve(revision);
    if (id === undefined) throw new Error(`no ${revision}`);
    return id;
  }

  /**
   * Runs git in the clone, for operations without a method. Returns its output. The other methods do not detect refs
   * that git changes.
   */
  async git(...args: readonly string[]): Promise<string> {
    return (await this.#git.run(args, { cwd: this.#directory })).toString();
  }

  /** Removes the clone. */
  async remove(): Promise<void> {
    await this.#git.close();
    await rm(this.#directory, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.remove();
  }

  #resolve(revision: string): string | undefined {
    if (/^[0-9a-f]{40}$/.test(revision)) return revision;
    const names = [revision, `refs/tags/${revision}`, `refs/heads/${revision}`];
    return names.map((name) => this.#commits.get(name)).find((id) => id !== undefined);
  }

  async #import(script: readonly (string | Buffer)[]): Promise<string> {
    const input = Buffer.concat(script.map((part) => Buffer.from(part as string)));
    const output = await this.#git.run(['fast-import', '--quiet', '--force', '--date-format=raw-permissive'], {
      cwd: this.#directory,
      input,
    });
    return output.toString().trim();
  }
}

function data(content: string | Buffer): (string | Buffer)[] {
  const bytes = Buffer.from(content as string);
  return [`data ${bytes.length}\n`, bytes, '\n'];
}

function change(path: string, content: FileContent): (string | Buffer)[] {
  const name = quoted(path);
  if (content === null) return [`D ${name}\n`];
  if (typeof content === 'string' || Buffer.isBuffer(content)) return [`M 100644 inline ${name}\n`, ...data(content)];
  if ('symlink' in content) return [`M 120000 inline ${name}\n`, ...data(content.symlink)];
  if ('submodule' in content) return [`M 160000 ${content.submodule} ${name}\n`];
  return [`M 100755 inline ${name}\n`, ...data(content.executable)];
}

/** Quotes a path in git's C style, with every special byte in octal. */
function quoted(path: string): string {
  const bytes = path.startsWith('latin1:') ? Buffer.from(path.slice('latin1:'.length), 'latin1') : Buffer.from(path);
  const text = Array.from(bytes, (byte) =>
    /[A-Za-z0-9/._-]/.test(String.fromCharCode(byte))
      ? String.fromCharCode(byte)
      : `\\${byte.toString(8).padStart(3, '0')}`,
  );
  return `"${text.join('')}"`;
}

function secondsOf(date: Date | string): number {
  return Math.floor(new Date(date).getTime() / 1000);
}
