import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { devNull } from 'node:os';

/** The options for running git, in addition to its arguments. */
export interface GitOptions {
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Returns an environment that isolates git from the machine, without user or system configuration, netrc, prompt, proxy
 * or surrounding repository. The author, the committer, the locale and the time zone are fixed.
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

/** Runs git, and tracks every process that it starts, so that `close` can end all of them. */
export class Git {
  readonly #children = new Set<ChildProcessWithoutNullStreams>();
  #closed = false;

  /** Starts git, and returns the process. The caller reads stdout and checks the exit status. */
  start(args: readonly string[], options: GitOptions = {}): ChildProcessWithoutNullStreams {
    if (this.#closed) throw new Error('git was started after close');
    const child = spawn('git', args, {
      cwd: options.cwd,
      env: { ...gitEnvironment(), ...options.environment },
    });
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    // Writes to stdin fail if the process ends early. The exit status reports the failure.
    child.stdin.on('error', ignoreBrokenPipe);
    return child;
  }

  /** Runs git to its end, and returns its output. Rejects with git's error text if the exit status is not 0. */
  async run(args: readonly string[], options: GitOptions & { readonly input?: string | Buffer } = {}): Promise<Buffer> {
    const child = this.start(args, options);
    const [output, errorText] = [collect(child.stdout), collect(child.stderr)];
    child.stdin.end(options.input);
    const [status] = (await once(child, 'close')) as [number | null];
    if (status !== 0) {
      throw new Error(`git ${args.join(' ')} ended with ${String(status)}: ${errorText().toString().trim()}`);
    }
    return output();
  }

  /** Ends all running processes. Resolves when the last of them has ended. */
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
