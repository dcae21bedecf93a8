import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { StandIn } from '../fake-gitlab/stand-in.ts';
import { readMemory, type Memory } from '../services/memory.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** A line of the service's log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** The built service, in a separate process. */
export interface Service extends AsyncDisposable {
  readonly url: string;
  /**
   * Resolves to the first matching line of the log, past or future. Rejects if the service ends first, or at the
   * deadline.
   */
  logged(matches: (line: LogLine) => boolean): Promise<LogLine>;
  memory(): Promise<Memory>;
  /** Reports a tag push to the service, as GitLab does. */
  announce(project: { id: number; path: string }, tag: string, commit: string): Promise<void>;
}

/** The secret of the webhook. */
export const WEBHOOK_TOKEN = 'bench-webhook-token';
/** The prefix of all module paths. */
export const MODULE_PREFIX = 'gitlab.example';

/**
 * Starts `modpress serve` for one group of the stand-in, with all roles, the queue in memory, and all files in
 * `folder`. Calls to GitLab are practically not limited, so that the rate limit does not affect the result. `deadline`
 * ends all waits. `flags` are passed to Node.
 */
export async function startService(
  gitlab: StandIn,
  group: string,
  folder: string,
  deadline: AbortSignal,
  flags: readonly string[] = [],
): Promise<Service> {
  await mkdir(folder, { recursive: true });
  const child = spawn(process.execPath, [...flags, MAIN, 'serve'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      // A killed process leaves files in this folder, which is removed at the end.
      TMPDIR: folder,
      GITLAB_URL: gitlab.url,
      GITLAB_TOKEN: gitlab.createToken({ scopes: ['read_api'] }),
      GITLAB_SCOPE: group,
      GITLAB_RATE: '100000',
      MODULE_PREFIX,
      WEBHOOK_TOKEN,
      LISTEN: '127.0.0.1:0',
      STORE: `file:${join(folder, 'store')}`,
      ACCESS: 'open',
      UPSTREAM: 'off',
      SWEEP_MINUTES: '1000',
    },
  });
  const closed = once(child, 'close');
  const lines: LogLine[] = [];
  const waiting = new Set<() => void>();
  let over: Error | undefined;
  const wake = (): void => {
    for (const look of waiting) look();
  };
  const end = (reason: string): void => {
    over ??= new Error(reason);
    wake();
  };
  deadline.addEventListener('abort', () => end(String(deadline.reason)), { once: true });
  child.once('close', () => end('modpress ended'));
  createInterface(child.stdout).on('line', (text) => {
    lines.push(JSON.parse(text) as LogLine);
    wake();
  });

  const logged = (matches: (line: LogLine) => boolean): Promise<LogLine> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const line = lines.find(matches);
        if (line) resolve(line);
        else if (over)
          reject(new Error(`${over.message}; the last lines of the log: ${JSON.stringify(lines.slice(-3))}`));
        else return;
        waiting.delete(look);
      };
      waiting.add(look);
      look();
    });
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
    await closed;
    clearTimeout(timer);
  };

  try {
    const { port } = await logged((line) => line['event'] === 'service.started');
    const url = `http://127.0.0.1:${String(port)}`;
    // The measurement starts after the first sweep, which finds no tags.
    await logged((line) => line['event'] === 'sweep.finished');
    return {
      url,
      logged,
      memory: () => readMemory(child.pid ?? 0),
      announce: (project, tag, commit) => announce(url, project, tag, commit),
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function announce(
  url: string,
  project: { id: number; path: string },
  tag: string,
  commit: string,
): Promise<void> {
  const response = await fetch(`${url}/-/webhook`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Gitlab-Event': 'Tag Push Hook', 'X-Gitlab-Token': WEBHOOK_TOKEN },
    body: JSON.stringify({
      object_kind: 'tag_push',
      event_name: 'tag_push',
      before: '0'.repeat(40),
      after: commit,
      ref: `refs/tags/${tag}`,
      checkout_sha: commit,
      project_id: project.id,
      project: { id: project.id, path_with_namespace: project.path },
    }),
  });
  if (response.status !== 202)
    throw new Error(`the webhook responded with ${response.status}: ${await response.text()}`);
}
