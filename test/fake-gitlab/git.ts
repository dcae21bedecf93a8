import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { devNull } from 'node:os';

/** What to run git with, beyond its arguments. */
export interface GitOptions {
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * The environment for a git that sees nothing of the machine it runs on: no user or system configuration, no
 * netrc, no prompt, no proxy, no repository it was started in. Everything random about a commit is fixed.
 */
export function gitEnvironment(): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !/^git_|_proxy$/i.test(name));
  return {
    ...Object.fromEntries(inherited),
    HOME: devNull,
    GIT_CONFIG_GLOBAL: devNull,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'Ada Author',
    GIT_AUTHOR_EMAIL: 'ada@example.com',
    GIT_COMMITTER_NAME: 'Carl Committer',
    GIT_COMMITTER_EMAIL: 'carl@example.com',
    LC_ALL: 'C',
    TZ: 'UTC',
  };
}

/** Runs git, and knows every process it has started, so that `close` leaves none behind. */
export class Git {
  readonly #children = new Set<ChildProcessWithoutNullStreams>();
  #closed = false;

  /** Starts git and hands over its streams. Whoever calls reads stdout and watches for the exit status. */
  start(args: readonly string[], options: GitOptions = {}): ChildProcessWithoutNullStreams {
    if (this.#closed) throw new Error('git was asked for after close');
    const child = spawn('git', args, {
      cwd: options.cwd,
      env: { ...gitEnvironment(), ...options.environment },
    });
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    // A child that ends early makes writes to its stdin fail; its exit status tells the story.
    child.stdin.on('error', ignoreBrokenPipe);
    return child;
  }

  /** Runs git to its end and returns its output. Rejects with what git said if the exit status is not 0. */
  async run(args: readonly string[], options: GitOptions & { readonly input?: string | Buffer } = {}): Promise<Buffer> {
    const child = this.start(args, options);
    const [output, complaints] = [collect(child.stdout), collect(child.stderr)];
    child.stdin.end(options.input);
    const [status] = (await once(child, 'close')) as [number | null];
    if (status !== 0) {
      throw new Error(`git ${args.join(' ')} ended with ${String(status)}: ${complaints().toString().trim()}`);
    }
    return output();
  }

  /** Ends what still runs, and resolves when the last process is gone. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(
      Array.from(this.#children, async (child) => {
        const gone = once(child, 'close');
        child.kill('SIGKILL');
        await gone;
      }),
    );
  }
}

function collect(stream: NodeJS.ReadableStream): () => Buffer {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks);
}

function ignoreBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET' && error.code !== 'ERR_STREAM_DESTROYED') throw error;
}
