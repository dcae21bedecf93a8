import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import type { Git } from './git.ts';

/** An object of a git repository. */
export interface GitObject {
  readonly id: string;
  readonly type: 'commit' | 'tree' | 'blob' | 'tag';
  readonly data: Buffer;
}

interface Waiting {
  resolve(object: GitObject | undefined): void;
  reject(error: Error): void;
}

/** The time after which the process of an unused reader ends, in ms. */
const IDLE_MS = 3_000;

/**
 * Reads objects through one long-lived `git cat-file --batch`, because a process for each object would take longer than
 * the rest of a request. The process starts with the first read, and ends when it has been idle.
 */
export class ObjectReader {
  readonly #git: Git;
  readonly #directory: string;
  readonly #waiting: Waiting[] = [];
  #child: ChildProcessWithoutNullStreams | undefined;
  #idle: NodeJS.Timeout | undefined;
  #chunks: Buffer[] = [];
  #length = 0;
  /** The total number of received bytes at which parsing continues. */
  #wanted = 1;

  constructor(git: Git, directory: string) {
    this.#git = git;
    this.#directory = directory;
  }

  /**
   * Returns the object that a revision names (`<id>`, `refs/tags/v1^{commit}`, …). Returns undefined if the object does
   * not exist or the revision is ambiguous.
   */
  read(revision: string): Promise<GitObject | undefined> {
    if (revision.includes('\n')) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      clearTimeout(this.#idle);
      const child = this.#start();
      this.#waiting.push({ resolve, reject });
      child.stdin.write(`${revision}\n`);
    });
  }

  #start(): ChildProcessWithoutNullStreams {
    if (this.#child !== undefined) return this.#child;
    const child = this.#git.start(['cat-file', '--batch'], { cwd: this.#directory });
    child.stdout.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      if (this.#length >= this.#wanted) this.#answer();
    });
    child.stderr.resume();
    child.once('close', () => {
      if (this.#child === child) this.#stop();
    });
    this.#child = child;
    return child;
  }

  #stop(): void {
    this.#child?.stdin.end();
    this.#child = undefined;
    this.#chunks = [];
    this.#length = 0;
    this.#wanted = 1;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(new Error('git cat-file ended'));
  }

  /** Parses every complete response in the received bytes: `<id> <type> <size>\n<bytes>\n`, or `<name> missing\n`. */
  #answer(): void {
    let bytes = Buffer.concat(this.#chunks, this.#length);
    this.#wanted = 1;
    for (;;) {
      const end = bytes.indexOf(0x0a);
      if (end < 0) break;
      const header = bytes.toString('latin1', 0, end);
      const [, id, type, size] = /^([0-9a-f]{40}) (commit|tree|blob|tag) (\d+)$/.exec(header) ?? [];
      if (id === undefined) {
        bytes = bytes.subarray(end + 1);
        this.#waiting.shift()?.resolve(undefined);
        continue;
      }
      const stop = end + 1 + Number(size);
      if (bytes.length <= stop) {
        this.#wanted = stop + 1;
        break;
      }
      // A copy, so that a small object in a cache does not keep the whole buffer in memory.
      const data = Buffer.from(bytes.subarray(end + 1, stop));
      bytes = bytes.subarray(stop + 1);
      this.#waiting.shift()?.resolve({ id, type: type as GitObject['type'], data });
    }
    this.#chunks = [bytes];
    this.#length = bytes.length;
    if (this.#waiting.length === 0) this.#idle = setTimeout(() => this.#stop(), IDLE_MS).unref();
  }
}
