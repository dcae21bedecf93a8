import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const ROOT = new URL('../../', import.meta.url);
const RUN = fileURLToPath(new URL('.ci/run', ROOT));

/** The behaviour of the fake npm. */
interface Scenario {
  /** The test results by file. Undefined: the tests end without a result. */
  readonly files?: readonly { readonly status: string; readonly tests: readonly string[] }[];
  /** The commands of npm that fail. */
  readonly fails?: readonly string[];
  /** The `process.release.lts` of the Node that npm installs, as an expression. */
  readonly lts?: string;
}

interface Outcome {
  readonly status: number;
  readonly lastLine: string;
  readonly output: string;
  /** The commands of npm, without options. */
  readonly calls: string[];
}

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modpress-ci-test-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** Runs .ci/run with a fake npm. */
async function runWith({ files, fails = [], lts = "'Fake'" }: Scenario): Promise<Outcome> {
  await mkdir(join(folder, 'bin'), { recursive: true });
  await mkdir(join(folder, 'tmp'), { recursive: true });
  const tests = files?.flatMap((file) => file.tests) ?? [];
  const result = {
    numPassedTests: tests.filter((status) => status === 'passed').length,
    numFailedTests: tests.filter((status) => status === 'failed').length,
    testResults: files?.map((file) => ({
      status: file.status,
      assertionResults: file.tests.map((status) => ({ status })),
    })),
  };
  await writeFile(join(folder, 'result.json'), JSON.stringify(result));
  const version = /^version=(.+)$/m.exec(await readFile(new URL('.ci/lts', ROOT), 'utf8'))?.[1];
  // The Node that npm installs: this Node, with another version and another LTS line.
  await writeFile(
    join(folder, 'preload.cjs'),
    `Object.defineProperty(process, 'version', { value: 'v${version}' });
Object.defineProperty(process, 'release', { value: { lts: ${lts} } });\n`,
  );
  const node = `#!/bin/sh\nexec '${process.execPath}' --require '${folder}/preload.cjs' "$@"\n`;
  await writeFile(join(folder, 'node'), node, { mode: 0o755 });
  const npm = `#!/bin/sh
echo "$*" >> '${folder}/calls'
${files ? `for word; do case $word in --outputFile.json=*) cp '${folder}/result.json' "\${word#*=}";; esac; done` : ''}
case "$*" in ${fails.map((name) => `${name}*|run*' ${name}') exit 1;;`).join(' ')} esac
case "$*" in 'install --prefix '*) mkdir -p "$3/node_modules/.bin" && cp '${folder}/node' "$3/node_modules/.bin/node";; esac
exit 0
`;
  await writeFile(join(folder, 'bin/npm'), npm, { mode: 0o755 });
  const env = {
    ...process.env,
    PATH: `${join(folder, 'bin')}${delimiter}${process.env['PATH']}`,
    TMPDIR: join(folder, 'tmp'),
    XDG_CACHE_HOME: join(folder, 'cache'),
  };
  await rm(join(folder, 'calls'), { force: true });
  const { status, output } = await new Promise<{ status: number; output: string }>((resolve) => {
    execFile(RUN, { env }, (error, stdout, stderr) =>
      resolve({ status: error ? Number(error.code) : 0, output: `${stderr}${stdout}` }),
    );
  });
  expect(await readdir(join(folder, 'tmp'))).toEqual([]);
  const calls = (await readFile(join(folder, 'calls'), 'utf8')).trim().split('\n');
  return {
    status,
    output,
    calls: calls.map((call) =>
      call
        .split(' ')
        .filter((word) => !word.startsWith('-'))
        .join(' '),
    ),
    lastLine: output.trimEnd().split('\n').at(-1) ?? '',
  };
}

const passing = { status: 'passed', tests: ['passed', 'passed'] };

/** The parts besides the tests: setup, services, lint, types, dead-code, rooms, format:check, lts. */
const PARTS = 8;

describe('.ci/run', () => {
  it('counts the tests and each of the other parts', async () => {
    const { status, lastLine, calls } = await runWith({ files: [passing, passing] });
    expect([status, lastLine]).toEqual([0, `${4 + PARTS} passed, 0 failed`]);
    expect(calls).toEqual([
      'run setup',
      'run services',
      'run lint',
      'run types',
      'run dead-code',
      'run rooms',
      'run format:check',
      'test',
      expect.stringMatching(/^install \S+\/modpress\/node-[\d.]+-\w+ node@[\d.]+$/),
      'run demo',
      'run test:fast',
    ]);
  });

  it('continues after a failed test, and fails', async () => {
    const { status, lastLine, calls } = await runWith({
      files: [{ status: 'failed', tests: ['passed', 'failed'] }],
      fails: ['test'],
    });
    expect([status, lastLine]).toEqual([1, `${1 + PARTS} passed, 1 failed`]);
    expect(calls.at(-1)).toBe('run test:fast');
  });

  it.each(['setup', 'services', 'lint', 'types', 'dead-code', 'rooms', 'format:check', 'demo', 'test:fast'])(
    'fails when %s fails, and runs the parts after it',
    async (name) => {
      const { status, lastLine, calls } = await runWith({ files: [passing], fails: [name] });
      expect([status, lastLine]).toEqual([1, `${1 + PARTS} passed, 1 failed`]);
      expect(calls).toContain('run demo');
    },
  );

  it.each([
    ['a file that does not load', { files: [passing, { status: 'failed', tests: [] }], fails: ['test'] }, 2],
    ['an error outside the tests', { files: [passing], fails: ['test'] }, 2],
    ['a run without a result', {}, 0],
    ['a run without a test', { files: [] }, 0],
  ])('counts %s as a failure', async (_, scenario: Scenario, passed) => {
    const { status, lastLine } = await runWith(scenario);
    expect([status, lastLine]).toEqual([1, `${passed + PARTS} passed, 1 failed`]);
  });

  it('shows the duration of each part', async () => {
    const { output } = await runWith({ files: [passing], fails: ['types'] });
    expect(output).toMatch(/^tests +\d+ s +ok$/m);
    expect(output).toMatch(/^types +\d+ s +failed$/m);
    expect(output).toMatch(/^lts +\d+ s +ok$/m);
  });
});

describe('.ci/lts', () => {
  it('downloads its Node once', async () => {
    await runWith({ files: [passing] });
    const { status, calls } = await runWith({ files: [passing] });
    expect(status).toBe(0);
    expect(calls.filter((call) => call.startsWith('install'))).toEqual([]);
    expect(await readdir(join(folder, 'cache/modpress'))).toEqual([expect.stringMatching(/^node-[\d.]+$/)]);
  });

  it('leaves no files after a failed download, and fails', async () => {
    const { lastLine } = await runWith({ files: [passing], fails: ['install'] });
    expect(lastLine).toBe(`${1 + PARTS} passed, 1 failed`);
    expect(await readdir(join(folder, 'cache/modpress'))).toEqual([]);
  });

  it('refuses a Node that is not LTS', async () => {
    const { lastLine, output } = await runWith({ files: [passing], lts: 'undefined' });
    expect(lastLine).toBe(`${1 + PARTS} passed, 1 failed`);
    expect(output).toContain('not LTS');
  });
});
