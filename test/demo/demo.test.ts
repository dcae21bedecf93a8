import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

/** A running demo. */
interface RunningDemo {
  readonly pid: number;
  /** The output so far. */
  readonly output: string;
  /** Sends SIGINT, as Ctrl-C does. */
  interrupt(): void;
  /** Resolves to the exit status when the demo ends. */
  readonly ended: Promise<number | null>;
}

describe('the demo', () => {
  const leftovers: (() => void)[] = [];
  let temporaryRoot: string;

  beforeEach(async () => {
    temporaryRoot = await mkdtemp(join(tmpdir(), 'modpress-demo-test-'));
  });
  afterEach(async () => {
    for (const end of leftovers.splice(0)) end();
    await rm(temporaryRoot, { recursive: true, force: true });
  });

  test('publishes and builds two versions, finds the checksums of direct mode, and leaves nothing behind', async () => {
    const demo = start([], {});
    expect(await demo.ended).toBe(0);
    const steps = demo.output.match(/^\d+\. .*$/gm)?.map((line) => Number(line.split('.')[0]));
    expect(steps).toEqual(Array.from({ length: 10 }, (_, index) => index + 1));
    inOrder(demo.output, [
      '$ git tag v1.0.0 && git push origin v1.0.0',
      /published gitlab\.example\/platform\/hello@v1\.0\.0, h1:\S{43}=\n {2}push → available in \d+ ms/,
      '$ go get rsc.io/quote@v1.5.2',
      "$ go run .\n  Hello from v1.0.0\n  Don't communicate by sharing memory",
      '$ git tag v1.1.0 && git push origin v1.1.0',
      '$ go get gitlab.example/platform/hello@latest',
      '$ go run .\n  Hello again, from v1.1.0\n',
      'gitlab.example/platform/hello v1.0.0 v1.1.0\n',
      '$ go get gitlab.example/platform/hello@main',
      '$ go run .\n  Hello from a branch\n',
      /hello@v1\.1\.0, h1:\S{43}=: the same/,
      /start page {2}http:\/\/127\.0\.0\.1:\d+\//,
    ]);
    // Colours are for terminals only, and secrets must not appear.
    expect(demo.output).not.toContain('\u001B');
    expect(demo.output).not.toMatch(/glpat-[^…]{8}/);
    await nothingIsLeft(demo);
  }, 120_000);

  test('runs with --stay until it is interrupted, even if public modules are not available', async () => {
    const demo = start(['--stay'], { GOPROXY: 'http://127.0.0.1:9', GOSUMDB: 'off' });
    await says(demo, 'Ctrl-C stops everything');
    inOrder(demo.output, [
      'rsc.io/quote could not be fetched',
      'The demo continues without it',
      '$ go run .\n  Hello again, from v1.1.0\n',
      'not shown: rsc.io/quote',
    ]);
    const list = await fetch(/http:\S+\/@v\/list/.exec(demo.output)?.[0] ?? '');
    expect(await list.text()).toBe('v1.0.0\nv1.1.0\n');
    demo.interrupt();
    expect(await demo.ended).toBe(0);
    await nothingIsLeft(demo);
  }, 120_000);

  test('removes everything if it is interrupted', async () => {
    const demo = start([], {});
    await says(demo, '$ go get gitlab.example/platform/hello@v1.0.0');
    demo.interrupt();
    expect(await demo.ended).toBe(130);
    expect(demo.output).toContain('The demo stopped early: interrupted by SIGINT');
    await nothingIsLeft(demo);
  }, 120_000);

  test('reports which program is missing', async () => {
    const demo = start([], { PATH: temporaryRoot });
    expect(await demo.ended).toBe(1);
    expect(demo.output).toMatch(/The demo stopped early: .*\bgo\b.*ENOENT/);
    await nothingIsLeft(demo);
  });

  function start(args: readonly string[], env: Record<string, string>): RunningDemo {
    const root = fileURLToPath(new URL('../../', import.meta.url));
    // A process group of its own shows whether the demo leaves processes behind.
    const child = spawn(process.execPath, ['--import', 'tsx', 'test/demo/demo.ts', ...args], {
      cwd: root,
      env: { ...process.env, TMPDIR: temporaryRoot, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const { pid } = child;
    if (pid === undefined) throw new Error('the demo cannot be started');
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    leftovers.push(() => {
      if (groupRuns(pid)) process.kill(-pid, 'SIGKILL');
    });
    const ended = once(child, 'close').then(() => child.exitCode);
    return {
      pid,
      get output() {
        return output;
      },
      interrupt: () => void child.kill('SIGINT'),
      ended,
    };
  }

  async function nothingIsLeft(demo: RunningDemo): Promise<void> {
    // The compiler process of tsx ends shortly after its parent.
    await expect
      .poll(() => groupRuns(demo.pid), { timeout: 10_000, message: 'a process of the demo still runs' })
      .toBe(false);
    // tsx keeps its compile cache in this folder.
    expect((await readdir(temporaryRoot)).filter((name) => !name.startsWith('tsx-'))).toEqual([]);
    for (const [url] of demo.output.matchAll(/http:\/\/127\.0\.0\.1:\d{4,}\//g))
      await expect(fetch(url)).rejects.toThrow('fetch failed');
  }
});

async function says(demo: RunningDemo, text: string): Promise<void> {
  await expect.poll(() => demo.output, { timeout: 90_000, interval: 50 }).toContain(text);
}

function inOrder(output: string, expected: readonly (string | RegExp)[]): void {
  let rest = output;
  for (const part of expected) {
    const at = typeof part === 'string' ? rest.indexOf(part) : rest.search(part);
    expect(at, `${String(part)} is missing in, or too early in:\n${output}`).toBeGreaterThanOrEqual(0);
    rest = rest.slice(at);
  }
}

function groupRuns(pid: number): boolean {
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}
