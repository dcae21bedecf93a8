import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { access, constants, mkdir, mkdtemp, rename, rm, rmdir, stat, utimes } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'minio';
import { freePort } from './free-port.ts';

/** Provides a real MinIO for tests. It is an installed program, or a program that Go builds once. */

const run = promisify(execFile);

/** MinIO is published as source code only. This is the newest version, as a pseudo-version. */
const SOURCE = 'github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c';

const REGION = 'us-east-1';

/** The interval at which a build prints its progress and touches its lock, in ms. */
const PROGRESS_MS = 15_000;

export interface Minio extends AsyncDisposable {
  /** The URL, `http://127.0.0.1:<port>`. */
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly region: string;
  /** The folder of the data. */
  readonly folder: string;
  /** The id of the process, or undefined while MinIO is stopped. */
  readonly pid: number | undefined;
  /** Creates an empty bucket and returns its name. */
  bucket(name?: string): Promise<string>;
  /** Ends the process, and keeps the data. */
  stop(): Promise<void>;
  /** Starts MinIO again after `stop`, on the same port. */
  start(): Promise<void>;
  /** Ends the process, and removes the data. */
  close(): Promise<void>;
}

/** Starts MinIO on a free port of 127.0.0.1 with a new data folder. Resolves when MinIO responds. */
export async function startMinio(): Promise<Minio> {
  const binary = await findMinio();
  const folder = await mkdtemp(join(tmpdir(), 'modpress-minio-'));
  const accessKey = 'modpress';
  const secretKey = randomBytes(16).toString('hex');
  let child: ChildProcess | undefined;
  let port = 0;

  const launch = async (): Promise<void> => {
    child = await launchMinio(binary, folder, port, { MINIO_ROOT_USER: accessKey, MINIO_ROOT_PASSWORD: secretKey });
  };
  const stop = async (): Promise<void> => {
    if (child !== undefined) await end(child);
    child = undefined;
  };
  const close = async (): Promise<void> => {
    await stop();
    await rm(folder, { recursive: true, force: true });
  };

  // Another process can take the free port before MinIO. In this case, MinIO starts on another port.
  for (let attempt = 1; ; attempt += 1) {
    port = await freePort();
    try {
      await launch();
      break;
    } catch (error) {
      if (attempt < 3) continue;
      await close();
      throw error;
    }
  }

  const client = new Client({ endPoint: '127.0.0.1', port, useSSL: false, accessKey, secretKey, region: REGION });
  return {
    endpoint: `http://127.0.0.1:${port}`,
    accessKey,
    secretKey,
    region: REGION,
    folder,
    get pid() {
      return child?.pid;
    },
    async bucket(name = `bucket-${randomUUID()}`) {
      await client.makeBucket(name, REGION);
      return name;
    },
    stop,
    async start() {
      if (child === undefined) await launch();
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/**
 * Returns the path of the MinIO program in PATH, Go's bin folder or the cache of modpress. If there is none, builds
 * MinIO into this cache.
 */
export async function findMinio(): Promise<string> {
  const { GOBIN, GOPATH, GOEXE } = await goEnvironment();
  const name = `minio${GOEXE}`;
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'modpress', 'bin');
  const folders = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    GOBIN,
    ...GOPATH.split(delimiter).map((folder) => folder && join(folder, 'bin')),
    cache,
  ];
  for (const folder of folders) if (folder !== '' && (await isProgram(join(folder, name)))) return join(folder, name);
  await buildOnce(join(cache, name));
  return join(cache, name);
}

async function goEnvironment(): Promise<{ GOBIN: string; GOPATH: string; GOEXE: string }> {
  try {
    const { stdout } = await run('go', ['env', '-json', 'GOBIN', 'GOPATH', 'GOEXE']);
    return JSON.parse(stdout) as { GOBIN: string; GOPATH: string; GOEXE: string };
  } catch (error) {
    throw new Error('Go was not found: install it from https://go.dev/dl and add its bin folder to PATH', {
      cause: error,
    });
  }
}

async function isProgram(path: string): Promise<boolean> {
  return await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/**
 * Builds the program, or waits while another process builds it. The lock is a folder that its owner touches regularly,
 * so an old lock belongs to a dead process. Two builds at once are harmless but slower, because each uses its own
 * folder and renames the result.
 */
async function buildOnce(target: string): Promise<void> {
  const lock = `${target}.lock`;
  await mkdir(dirname(target), { recursive: true });
  for (;;) {
    if (await isProgram(target)) return;
    if (await take(lock)) break;
    await delay(500);
  }
  try {
    await build(target, async () => {
      const now = new Date();
      await utimes(lock, now, now);
    });
  } finally {
    await rm(lock, { recursive: true, force: true });
  }
}

async function take(lock: string): Promise<boolean> {
  try {
    await mkdir(lock);
    return true;
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  }
  try {
    const { mtimeMs } = await stat(lock);
    if (Date.now() - mtimeMs > 4 * PROGRESS_MS) await rmdir(lock);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
  return false;
}

function say(text: string): void {
  process.stderr.write(`minio: ${text}\n`);
}

async function build(target: string, touchLock: () => Promise<void>): Promise<void> {
  const folder = await mkdtemp(`${target}-build-`);
  const started = Date.now();
  say('not found; building it from source with "go install", which takes 4 to 8 minutes, once');
  const timer = setInterval(() => {
    say(`still building, ${Math.round((Date.now() - started) / 1000)} s`);
    // If the touch fails, another process may start a build too, which is harmless.
    touchLock().catch((error: unknown) => say(String(error)));
  }, PROGRESS_MS);
  try {
    await run('go', ['install', SOURCE], {
      env: { ...process.env, GOBIN: folder, GOFLAGS: '', CGO_ENABLED: '0' },
      maxBuffer: 64 << 20,
    });
    await rename(join(folder, target.slice(dirname(target).length + 1)), target);
    say(`built in ${Math.round((Date.now() - started) / 1000)} s`);
  } catch (error) {
    throw new Error(`MinIO could not be built; add a "minio" program to PATH, or try: go install ${SOURCE}`, {
      cause: error,
    });
  } finally {
    clearInterval(timer);
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Starts the process. Resolves when MinIO can write objects. Rejects with the output if it does not start within 30 s.
 */
async function launchMinio(
  binary: string,
  folder: string,
  port: number,
  credentials: Record<string, string>,
): Promise<ChildProcess> {
  const child = spawn(
    binary,
    ['server', '--quiet', '--address', `127.0.0.1:${port}`, '--console-address', '127.0.0.1:0', folder],
    {
      env: { ...process.env, ...credentials, MINIO_BROWSER: 'off', MINIO_UPDATE: 'off' },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  const collect = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-2000);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  let failure: Error | undefined;
  child.once('error', (error) => (failure = error));
  if (child.pid !== undefined) child.once('exit', endWithUs(child.pid, folder));

  // Only the health page "cluster" waits until objects can be written.
  const deadline = Date.now() + 30_000;
  while (!(await answers(`http://127.0.0.1:${port}/minio/health/cluster`, child))) {
    if (failure === undefined && child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
      await delay(25);
      continue;
    }
    await end(child);
    throw new Error(`MinIO (${binary}) did not start: ${failure?.message ?? output.trim()}`);
  }
  return child;
}

/**
 * Kills the process and removes its data when this process ends, even by SIGKILL. A shell waits for the end of its
 * input, which the system closes when this process ends. Returns a function that stops the shell.
 */
function endWithUs(pid: number, folder: string): () => void {
  const guard = spawn(
    'sh',
    ['-c', 'read -r word; test "$word" = off || { kill -9 "$0"; rm -rf "$1"; }', String(pid), folder],
    {
      stdio: ['pipe', 'ignore', 'ignore'],
    },
  );
  guard.unref();
  return () => guard.stdin.end('off\n');
}

/** Reports whether the port responds, and whether the response comes from this child process. */
async function answers(url: string, child: ChildProcess): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await response.body?.cancel();
    return response.ok && child.exitCode === null && child.signalCode === null;
  } catch {
    return false;
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
  await gone;
  clearTimeout(timer);
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
