import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../.ci/run', import.meta.url));

/** What the stand-in for npm does: test results by file, and which commands fail. */
interface Scenario {
  readonly files?: readonly { readonly status: string; readonly tests: readonly string[] }[];
  readonly fails?: readonly string[];
}

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modpress-ci-test-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** Runs .ci/run with a stand-in for npm, and gives its status, its last line, and what npm was asked for. */
async function runWith({
  files,
  fails = [],
}: Scenario): Promise<{ status: number; lastLine: string; calls: string[]; output: string }> {
  await mkdir(join(folder, 'bin'));
  await mkdir(join(folder, 'tmp'));
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
  const npm = `#!/bin/sh
echo "$*" >> '${folder}/calls'
${files ? `for word; do case $word in --outputFile.json=*) cp '${folder}/result.json' "\${word#*=}";; esac; done` : ''}
case "$*" in ${fails.map((name) => `test*${name}*|*${name}) exit 1;;`).join(' ')} esac
exit 0
`;
  await writeFile(join(folder, 'bin/npm'), npm, { mode: 0o755 });
  const env = {
    ...process.env,
    PATH: `${join(folder, 'bin')}${delimiter}${process.env['PATH']}`,
    TMPDIR: join(folder, 'tmp'),
  };
  const { status, output } = await new Promise<{ status: number; output: string }>((resolve) => {
    execFile(script, { env }, (error, stdout) => resolve({ status: error ? Number(error.code) : 0, output: stdout }));
  });
  expect(await readdir(join(folder, 'tmp'))).toEqual([]);
  const calls = (await readFile(join(folder, 'calls'), 'utf8')).trim().split('\n');
  return { status, output, calls, lastLine: output.trimEnd().split('\n').at(-1) ?? '' };
}

const passing = { status: 'passed', tests: ['passed', 'passed'] };

describe('.ci/run', () => {
  it('counts the tests and each further check', async () => {
    const { status, lastLine, calls } = await runWith({ files: [passing, passing] });
    expect([status, lastLine]).toEqual([0, '7 passed, 0 failed']);
    expect(
      calls.map((call) =>
        call
          .split(' ')
          .filter((word) => !word.startsWith('-'))
          .join(' '),
      ),
    ).toEqual(['test', 'run lint', 'run types', 'run dead-code']);
  });

  it('goes on after a failed test, and fails', async () => {
    const { status, lastLine, calls } = await runWith({
      files: [{ status: 'failed', tests: ['passed', 'failed'] }],
      fails: ['test'],
    });
    expect([status, lastLine]).toEqual([1, '4 passed, 1 failed']);
    expect(calls).toHaveLength(4);
  });

  it('fails with a check that fails, and runs those after it', async () => {
    const { status, lastLine, calls } = await runWith({ files: [passing], fails: ['lint'] });
    expect([status, lastLine]).toEqual([1, '4 passed, 1 failed']);
    expect(calls.at(-1)).toContain('dead-code');
  });

  it.each([
    [
      'a file that cannot be loaded',
      { files: [passing, { status: 'failed', tests: [] }], fails: ['test'] },
      '5 passed, 1 failed',
    ],
    ['an error outside of the tests', { files: [passing], fails: ['test'] }, '5 passed, 1 failed'],
    ['a run without a result', {}, '3 passed, 1 failed'],
    ['a run without a test', { files: [] }, '3 passed, 1 failed'],
  ])('counts %s as a failure', async (_, scenario: Scenario, expected) => {
    const { status, lastLine } = await runWith(scenario);
    expect([status, lastLine]).toEqual([1, expected]);
  });

  it('shows how long each part took', async () => {
    const { output } = await runWith({ files: [passing], fails: ['types'] });
    expect(output).toMatch(/^tests +\d+ s +ok$/m);
    expect(output).toMatch(/^types +\d+ s +failed$/m);
  });
});

describe('.gitlab-ci.yml', () => {
  const job = z.object({
    stage: z.string(),
    image: z.string(),
    script: z.array(z.string()),
    rules: z.array(z.object({ if: z.string() })),
  });

  it('runs .ci/run, and builds the image of tags alone', async () => {
    const text = await readFile(new URL('../../.gitlab-ci.yml', import.meta.url), 'utf8');
    const { stages, check, image } = z
      .object({ stages: z.array(z.string()), check: job, image: job })
      .parse(parse(text));
    expect(check.script).toEqual(['.ci/run']);
    expect(image.script.join('\n')).toContain('buildah build --format docker');
    expect(image.rules).toEqual([{ if: '$CI_COMMIT_TAG' }]);
    expect(stages).toEqual([check.stage, image.stage]);
  });
});
