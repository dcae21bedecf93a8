import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** The result of a run of the go command. */
export interface GoResult {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the real go command with an empty module cache of its own, in a separate empty module. */
export interface Go extends AsyncDisposable {
  /** The folder of the module in which the command runs. */
  readonly folder: string;
  run(...args: string[]): Promise<GoResult>;
}

/** Returns the value of `go env NAME` on this machine. */
export async function goEnv(name: string): Promise<string> {
  const { stdout } = await promisify(execFile)('go', ['env', name]);
  return stdout.trim();
}

/**
 * Prepares a go command with the given GOPROXY. It does not verify private modules with a checksum database. `env` adds
 * variables.
 */
export async function startGo(goproxy: string, env: Record<string, string> = {}): Promise<Go> {
  const root = await mkdtemp(join(tmpdir(), 'modpress-go-'));
  const folder = join(root, 'work');
  await mkdir(folder);
  const settings = {
    ...process.env,
    GOPROXY: goproxy,
    GONOSUMDB: 'gitlab.example/*',
    // GOPATH contains the go command's cache of checksum databases.
    GOPATH: join(root, 'path'),
    GOMODCACHE: join(root, 'cache'),
    // Without -modcacherw, the files of the module cache could not be removed at the end.
    GOFLAGS: '-mod=mod -modcacherw',
    GOTOOLCHAIN: 'local',
    GOWORK: 'off',
    GOPRIVATE: '',
    GONOPROXY: '',
    GOVCS: '*:off',
    ...env,
  };
  const run = async (...args: string[]): Promise<GoResult> => {
    try {
      const { stdout, stderr } = await promisify(execFile)('go', args, { cwd: folder, env: settings });
      return { ok: true, stdout, stderr };
    } catch (error) {
      const { stdout, stderr } = error as { stdout?: string; stderr?: string };
      if (stdout === undefined || stderr === undefined) throw error;
      return { ok: false, stdout, stderr };
    }
  };
  const initialized = await run('mod', 'init', 'example.com/work');
  if (!initialized.ok) throw new Error(initialized.stderr);
  return {
    folder,
    run,
    async [Symbol.asyncDispose]() {
      await rm(root, { recursive: true, force: true });
    },
  };
}
