import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** The output stream of the demo. */
export interface Screen {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

/** Whether a command succeeded, and its output on stdout and stderr. */
export interface Finished {
  readonly ok: boolean;
  readonly output: string;
}

/** Shows commands and their output. Commands begin in the first column, so that they can be copied. */
export class Terminal {
  readonly #screen: Screen;
  readonly #colours: boolean;
  readonly #signal: AbortSignal;
  #steps = 0;

  /** When `signal` aborts, the running command is killed. */
  constructor(screen: Screen, environment: NodeJS.ProcessEnv, signal: AbortSignal) {
    this.#screen = screen;
    this.#colours = screen.isTTY === true && !environment['NO_COLOR'];
    this.#signal = signal;
  }

  title(text: string): void {
    this.#screen.write(`${this.#style(1, text)}\n`);
  }

  /** Begins a numbered step. */
  step(text: string): void {
    this.#steps += 1;
    this.#screen.write(`\n${this.#style(1, `${this.#steps}. ${text}`)}\n`);
  }

  /** Shows an explanation. */
  note(text: string): void {
    this.#indented(text, (line) => line);
  }

  /** Shows a command in the form in which a user types it. */
  command(text: string): void {
    const [first = '', ...rest] = text.split('\n');
    this.#screen.write(`${[`$ ${this.#style(36, first)}`, ...rest.map((line) => this.#style(36, line))].join('\n')}\n`);
  }

  /** Shows the output of a command. */
  output(text: string): void {
    this.#indented(text, (line) => this.#style(2, line));
  }

  /** Shows a success in green. */
  success(text: string): void {
    this.#indented(text, (line) => this.#style(32, line));
  }

  /** Shows a failure in red. */
  failure(text: string): void {
    this.#indented(text, (line) => this.#style(31, line));
  }

  /** Shows a command, runs it in a POSIX shell, and shows its output. Rejects if the command fails. */
  async run(command: string, place: { folder: string; environment: NodeJS.ProcessEnv }): Promise<string> {
    const { ok, output } = await this.attempt(command, place);
    if (!ok) throw new Error(`this command failed: ${command}`);
    return output;
  }

  /** Does the same as `run`, but does not reject if the command fails. The command is killed after `timeoutMs` ms. */
  async attempt(
    command: string,
    { folder, environment, timeoutMs }: { folder: string; environment: NodeJS.ProcessEnv; timeoutMs?: number },
  ): Promise<Finished> {
    this.#signal.throwIfAborted();
    this.command(command);
    // The process group contains all processes that the shell starts, so that all of them can be killed together.
    const child = spawn('sh', ['-c', command], {
      cwd: folder,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const kill = (): void => {
      if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
        process.kill(-child.pid, 'SIGKILL');
    };
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const timer = timeoutMs === undefined ? undefined : setTimeout(kill, timeoutMs);
    this.#signal.addEventListener('abort', kill);
    process.once('exit', kill);
    try {
      await once(child, 'close');
    } finally {
      clearTimeout(timer);
      this.#signal.removeEventListener('abort', kill);
      process.removeListener('exit', kill);
    }
    this.#signal.throwIfAborted();
    this.output(output.trimEnd());
    return { ok: child.exitCode === 0, output };
  }

  #indented(text: string, style: (line: string) => string): void {
    for (const line of text === '' ? [] : text.split('\n')) this.#screen.write(`  ${style(line)}\n`);
  }

  #style(code: number, text: string): string {
    return this.#colours && text !== '' ? `\u001B[${code}m${text}\u001B[0m` : text;
  }
}
