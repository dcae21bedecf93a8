import type { Git } from '../fake-gitlab/git.ts';
import type { Content } from './content.ts';

/** The size of a repository with many modules. */
export interface MonorepoShape {
  readonly modules: number;
  readonly filesPerModule: number;
  /**
   * The number of commits on which all modules are tagged. Each commit changes one or two files of every module, and a
   * shared file.
   */
  readonly releases: number;
  /** The number of tags on separate commits, spread among the releases. Each commit changes a file of one module. */
  readonly singles: number;
}

/** The range of file sizes, in bytes. */
const SIZE = { least: 500, limit: 6000 };
const START = Date.UTC(2024, 0, 1) / 1000;
const DAY = 24 * 60 * 60;

/**
 * Writes this history to a bare repository. Equal `content` results in equal commits. Returns the names of the tags.
 */
export async function commitMonorepo(
  git: Git,
  directory: string,
  root: string,
  shape: MonorepoShape,
  content: Content,
): Promise<string[]> {
  const history = new History(root, shape, content);
  const input = history.write();
  await git.run(['-c', 'core.compression=1', '-c', 'fastimport.unpackLimit=1', 'fast-import', '--quiet', '--force'], {
    cwd: directory,
    input,
  });
  return history.tags;
}

/** Builds the input of `git fast-import`. */
class History {
  readonly tags: string[] = [];
  readonly #root: string;
  readonly #shape: MonorepoShape;
  readonly #content: Content;
  readonly #parts: Buffer[] = [];
  #commits = 0;

  constructor(root: string, shape: MonorepoShape, content: Content) {
    this.#root = root;
    this.#shape = shape;
    this.#content = content;
  }

  write(): Buffer {
    const { modules, filesPerModule, releases, singles } = this.#shape;
    this.#commit();
    this.#file('LICENSE', Buffer.from('A licence.\n'));
    this.#file('.gitattributes', Buffer.from('*.go text eol=lf\n*.bat text eol=crlf\n'));
    this.#file('shared/shared.go', this.#text());
    for (let module = 0; module < modules; module++) {
      this.#file(`${nameOf(module)}/go.mod`, Buffer.from(`module ${this.#root}/${nameOf(module)}\n\ngo 1.24\n`));
      this.#file(`${nameOf(module)}/make.bat`, Buffer.from('echo off\ngo build ./...\n'));
      for (let file = 2; file < filesPerModule; file++) this.#file(sourceOf(module, file), this.#text());
    }
    let single = 0;
    for (let release = 0; release < releases; release++) {
      this.#commit();
      this.#file('shared/shared.go', this.#text());
      for (let module = 0; module < modules; module++) {
        const changed = (release + module) % 2 === 0 ? 1 : 2;
        for (let file = 0; file < changed; file++) this.#change(module);
      }
      for (let module = 0; module < modules; module++) this.#tag(`${nameOf(module)}/v1.${release}.0`);
      for (let patch = 1; single < (singles * (release + 1)) / releases; patch++, single++) {
        this.#commit();
        this.#change(single % modules);
        this.#tag(`${nameOf(single % modules)}/v1.${release}.${patch}`);
      }
    }
    return Buffer.concat(this.#parts);
  }

  #commit(): void {
    this.#commits++;
    const time = START + this.#commits * DAY;
    const parent = this.#commits === 1 ? '' : `from :${this.#commits - 1}\n`;
    this.#say(
      `commit refs/heads/main\nmark :${this.#commits}\ncommitter Carl Committer <carl@example.com> ${time} +0000\ndata 6\nCommit\n${parent}`,
    );
  }

  #change(module: number): void {
    this.#file(sourceOf(module, this.#content.number(2, this.#shape.filesPerModule)), this.#text());
  }

  #file(path: string, bytes: Buffer): void {
    this.#say(`M 100644 inline ${path}\ndata ${bytes.length}\n`);
    this.#parts.push(bytes);
    this.#say('\n');
  }

  #tag(name: string): void {
    this.tags.push(name);
    this.#say(`reset refs/tags/${name}\nfrom :${this.#commits}\n`);
  }

  #text(): Buffer {
    return this.#content.text(this.#content.number(SIZE.least, SIZE.limit));
  }

  #say(text: string): void {
    this.#parts.push(Buffer.from(text));
  }
}

function nameOf(module: number): string {
  return `m${String(module).padStart(2, '0')}`;
}

function sourceOf(module: number, file: number): string {
  return `${nameOf(module)}/internal/source${file}.go`;
}
