import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, vi } from 'vitest';
import { directEnv } from '../fake-gitlab/direct-mode.ts';
import type { StandIn } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { goEnv } from '../proxy/go.ts';
import type { InProcess } from './in-process.ts';
import { PREFIX, type Office } from './office.ts';

/** The output of a command, and go.mod and go.sum afterwards, without expected differences between the two sides. */
export interface Outcome {
  /** Exit status. */
  readonly status: number;
  readonly stdout: string;
  /** Without progress lines. */
  readonly stderr: string;
  /** Empty if the file does not exist. */
  readonly goMod: string;
  readonly goSum: string;
}

/** One command on both sides. */
export interface Outcomes {
  /** The command line, for the message if the outcomes differ. */
  readonly command: string;
  readonly modpress: Outcome;
  readonly direct: Outcome;
}

/** Files by their path in the work folder. */
export type Files = Readonly<Record<string, string>>;

/** The go.mod of the work folder, unless a test provides one or a go.work. */
const GO_MOD = 'module example.com/work\n\ngo 1.21\n';

/**
 * Two developers with one GitLab: one uses modpress, the other `GOPROXY=direct`. Every command must have the same
 * result for both.
 */
export class SideBySide {
  readonly #office: Office;
  readonly #goroot: string;
  readonly #buildCache: string;
  /** The running modpress. */
  readonly service: InProcess;

  private constructor(office: Office, service: InProcess, goroot: string, buildCache: string) {
    this.#office = office;
    this.service = service;
    this.#goroot = goroot;
    this.#buildCache = buildCache;
  }

  /** modpress has to find pushes on demand: there is no webhook, and no sweep after the first. */
  static async open(office: Office, service: InProcess): Promise<SideBySide> {
    const [goroot, buildCache] = await Promise.all([goEnv('GOROOT'), goEnv('GOCACHE')]);
    return new SideBySide(office, service, goroot, buildCache);
  }

  /** The GitLab. */
  get gitlab(): StandIn {
    return this.#office.gitlab;
  }

  /**
   * Creates a project, lets `build` commit and tag, and pushes all branches and tags without a webhook. modpress builds
   * at most five versions of a project per minute, so tests that need many versions use several projects.
   */
  async repository(path: string, build: (tree: WorkTree, module: string) => Promise<void>): Promise<void> {
    const project = await this.gitlab.createProject(path);
    await using tree = await WorkTree.create(project);
    await build(tree, `${PREFIX}/${path}`);
    await tree.push();
  }

  /**
   * Makes modpress publish the tags of a project by requesting a module of it, and waits for this many versions.
   * `module` has to have versions; it is the root of the project by default.
   */
  async published(project: string, versions: number, module = `${PREFIX}/${project}`): Promise<void> {
    const done = (): number =>
      this.service.log.filter(({ event, project: path }) => event === 'tag.published' && path === project).length;
    const { status } = await fetch(`${this.service.url}/${module}/@v/list`);
    if (status !== 200) throw new Error(`the response for the list of ${module} is ${status}`);
    const check = (): void => {
      if (done() !== versions) throw new Error(`${done()} of ${versions} versions of ${project} are published`);
    };
    await vi.waitFor(check, { timeout: 30_000 });
  }

  /** Two developers with the same files and empty module caches. `env` applies to both. */
  async developers(files: Files = {}, env: Readonly<Record<string, string>> = {}): Promise<Developers> {
    const folder = await mkdtemp(join(tmpdir(), 'modpress-side-by-side-'));
    const both = directEnv(this.gitlab, PREFIX);
    const common = { GOCACHE: this.#buildCache, CGO_ENABLED: '0', ...env };
    const throughModpress: NodeJS.ProcessEnv = {
      GOPROXY: this.service.url,
      GONOSUMDB: `${PREFIX}/*`,
      GOSUMDB: 'off',
      GOINSECURE: '',
      GOVCS: '*:off',
      // Neither git nor access to GitLab.
      PATH: join(this.#goroot, 'bin'),
      HTTP_PROXY: '',
      HTTPS_PROXY: '',
      GIT_CONFIG_COUNT: '0',
    };
    const origins = [this.gitlab.proxyUrl, `http://${PREFIX}`, `https://${PREFIX}`];
    const developers = new Developers(
      folder,
      new Developer(join(folder, 'modpress'), { ...both, ...throughModpress, ...common }, origins),
      new Developer(join(folder, 'direct'), { ...both, ...common }, origins),
    );
    await developers.write('go.work' in files ? files : { 'go.mod': GO_MOD, ...files });
    return developers;
  }

  /** Runs a go command on both sides, in temporary work folders with these files. */
  async go(args: readonly string[], files?: Files): Promise<Outcomes> {
    await using developers = await this.developers(files);
    return await developers.go(...args);
  }
}

/** Expects that a command has succeeded on both sides with the same outcome. Returns that outcome. */
export function expectSame({ command, modpress, direct }: Outcomes): Outcome {
  expect(direct, command).toMatchObject({ status: 0 });
  expect(modpress, command).toEqual(direct);
  return direct;
}

/**
 * Expects that a command has failed on both sides, with the same files afterwards. Returns stderr of both sides,
 * because their texts differ for the same reason.
 */
export function expectFailure({ command, modpress, direct }: Outcomes): {
  readonly modpress: string;
  readonly direct: string;
} {
  expect(direct.status, command).not.toBe(0);
  expect({ ...modpress, stderr: '' }, command).toEqual({ ...direct, stderr: '' });
  return { modpress: modpress.stderr, direct: direct.stderr };
}

/** Two developers who run the same commands. */
export class Developers implements AsyncDisposable {
  readonly modpress: Developer;
  readonly direct: Developer;
  readonly #folder: string;

  constructor(folder: string, modpress: Developer, direct: Developer) {
    this.#folder = folder;
    this.modpress = modpress;
    this.direct = direct;
  }

  /** Writes files into both work folders. */
  async write(files: Files): Promise<void> {
    await Promise.all([this.modpress.write(files), this.direct.write(files)]);
  }

  /** Runs a go command on both sides. */
  async go(...args: readonly string[]): Promise<Outcomes> {
    const [modpress, direct] = await Promise.all([this.modpress.go(...args), this.direct.go(...args)]);
    return { command: `go ${args.join(' ')}`, modpress, direct };
  }

  /** Removes both folders. */
  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** A developer with a work folder, a module cache and a GOBIN. */
export class Developer {
  /** The folder of the module, in which commands run. */
  readonly work: string;
  /** The folder in which `go install` puts programs. */
  readonly bin: string;
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #origins: readonly string[];

  /** `origins` are the addresses of GitLab on the two sides. */
  constructor(folder: string, env: NodeJS.ProcessEnv, origins: readonly string[]) {
    this.#folder = folder;
    this.work = join(folder, 'work');
    this.bin = join(folder, 'bin');
    this.#env = { ...env, GOPATH: join(folder, 'path'), GOMODCACHE: join(folder, 'cache'), GOBIN: this.bin };
    this.#origins = origins;
  }

  /** Writes files into the work folder. */
  async write(files: Files): Promise<void> {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(this.work, path)), { recursive: true });
      await writeFile(join(this.work, path), content);
    }
  }

  /** A file of the work folder; empty if it does not exist. */
  async read(path: string): Promise<string> {
    return await readFile(join(this.work, path), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
  }

  /** Runs the go command in the work folder. A failure is an outcome, not a rejection. */
  async go(...args: readonly string[]): Promise<Outcome> {
    return await this.run('go', ...args);
  }

  /** Runs any program in the work folder. */
  async run(program: string, ...args: readonly string[]): Promise<Outcome> {
    const { status, stdout, stderr } = await execute(program, args, { cwd: this.work, env: this.#env });
    const [goMod, goSum] = await Promise.all([this.read('go.mod'), this.read('go.sum')]);
    return {
      status,
      stdout: this.#plain(stdout),
      stderr: this.#plain(stderr).replaceAll(/^go: (?:downloading|finding) .*\n/gm, ''),
      goMod,
      goSum,
    };
  }

  /** The text without the names of this side's folders, and with one name for GitLab. */
  #plain(text: string): string {
    let plain = text.replaceAll(this.#folder, '$FOLDER');
    for (const origin of this.#origins) plain = plain.replaceAll(`${origin}/`, '$GITLAB/');
    return plain;
  }
}

async function execute(
  program: string,
  args: readonly string[],
  options: { cwd: string; env: NodeJS.ProcessEnv },
): Promise<Pick<Outcome, 'status' | 'stdout' | 'stderr'>> {
  return await new Promise((resolve, reject) => {
    execFile(program, [...args], { ...options, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      // Without an exit status, the program did not run to its end.
      if (error && typeof error.code !== 'number') reject(error);
      else resolve({ status: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}
