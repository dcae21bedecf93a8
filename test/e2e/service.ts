import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access } from 'node:fs/promises';
import { devNull } from 'node:os';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { Role } from '../../src/config/service-config.ts';
import { ServiceLog, type LogLine } from './service-log.ts';

/** modpress as a separate process. */
export interface Service extends AsyncDisposable {
  /** Base URL, `http://127.0.0.1:<port>`. */
  readonly url: string;
  /** The id of the process. */
  readonly pid: number;
  /** Every line logged so far. */
  readonly log: readonly LogLine[];
  /** Resolves to the first line with this event and these fields. Rejects if the process ends without it. */
  logged(event: string, fields?: Readonly<Record<string, unknown>>): Promise<LogLine>;
  /**
   * Sends SIGTERM and waits for the end. Rejects if the process takes too long, fails, or printed anything but log
   * lines.
   */
  stop(): Promise<void>;
  /** Sends SIGKILL and waits for the end. */
  kill(): Promise<void>;
}

/** The output of a command and its exit status. */
export interface CommandResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
/** A service that is not ready after this time is killed. */
const START_MS = 30_000;
/** Longer than the service itself waits for slow clients. */
const STOP_MS = 30_000;

/** Starts `modpress serve` on a free port of 127.0.0.1 with these settings only. Resolves when it is ready. */
export async function startService(
  settings: Readonly<Record<string, string>>,
  roles?: readonly Role[],
): Promise<Service> {
  const args = roles === undefined ? ['serve'] : ['serve', '--roles', roles.join(',')];
  const child = await startMain(args, { LISTEN: '127.0.0.1:0', ...settings });
  const log = new ServiceLog();
  createInterface({ input: child.stdout }).on('line', (line) => log.add(line));
  child.stderr.on('data', (chunk: Buffer) => (log.otherOutput += chunk.toString()));
  const closed = once(child, 'close').then(() => log.end());

  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await closed;
    clearTimeout(timer);
    if (child.exitCode !== 0 || log.otherOutput !== '') {
      throw new Error(`modpress was stopped and ended with ${child.signalCode ?? child.exitCode}:\n${log.text()}`);
    }
  };
  const startTimer = setTimeout(() => child.kill('SIGKILL'), START_MS);
  const ready = await log.logged('service.started');
  clearTimeout(startTimer);
  if (child.pid === undefined) throw new Error('the process did not start');
  return {
    url: `http://127.0.0.1:${String(ready['port'])}`,
    pid: child.pid,
    log: log.lines,
    logged: (event, fields) => log.logged(event, fields),
    stop,
    kill: async () => {
      child.kill('SIGKILL');
      await closed;
    },
    [Symbol.asyncDispose]: stop,
  };
}

/** Runs a command of modpress to its end, with these environment variables only. */
export async function runModpress(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  return (await startModpress(args, env)).result;
}

/** A running command of modpress. */
export interface Command {
  readonly child: ChildProcess;
  /** Resolves when the command has ended. */
  readonly result: Promise<CommandResult>;
}

/** Starts a command of modpress, with these environment variables only. */
export async function startModpress(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Command> {
  const child = await startMain(args, env);
  const result = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]).then(
    ([stdout, stderr]) => ({ status: child.exitCode, stdout, stderr }),
  );
  return { child, result };
}

async function startMain(args: readonly string[], env: Readonly<Record<string, string>>) {
  await access(MAIN).catch((cause: unknown) => {
    throw new Error('dist/main.js is missing: run npm run build', { cause });
  });
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...surroundings(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  endWithUs(child);
  return child;
}

/** The variables of this machine's environment that network access needs. */
function surroundings(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) =>
    /^(?:PATH|NODE_EXTRA_CA_CERTS|(?:HTTPS?|NO)_PROXY)$/i.test(name),
  );
  return { ...Object.fromEntries(kept), HOME: devNull };
}

/** Kills the process when the test run is interrupted. */
function endWithUs(child: ChildProcess): void {
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.removeListener('exit', kill));
}
