import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { TEMPORARY_ROOT } from '../../src/io/temporary-folder.ts';
import type { Store } from '../../src/store/store.ts';
import { DiskStore } from '../../src/store/disk.ts';
import { S3Store } from '../../src/store/s3.ts';
import { runModpress, type CommandResult } from '../e2e/service.ts';
import { startMinio } from '../services/minio.ts';
import { startRedis } from '../services/redis.ts';
import { bytesOf, HOST, keyOf, openWorkshop, type Workshop } from './verification.ts';

const LIB = `${HOST}/group/lib`;
const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

let workshop: Workshop;
let temporaryRoot: string;
/** A copy of the store for each test. */
let folder: string;
let store: Store;

beforeAll(async () => {
  workshop = await openWorkshop();
  await workshop.publish('group/lib', ['v1.0.0', 'v1.1.0']);
  temporaryRoot = join(workshop.folder, 'command');
  await mkdir(temporaryRoot);
});
afterAll(() => workshop?.[Symbol.asyncDispose]());
beforeEach(async () => {
  folder = await workshop.copyFolder();
  store = await DiskStore.open(folder);
  workshop.gitlab.faults.clear();
});
afterEach(async () => {
  // The temporary folder of the process may exist, but must be empty.
  const left = (await readdir(temporaryRoot, { recursive: true })).filter((path) => path !== basename(TEMPORARY_ROOT));
  if (left.length > 0) throw new Error(`temporary files are left: ${left.join(', ')}`);
});

describe('modpress verify without --from-gitlab', () => {
  test('needs only the setting STORE, and reports an intact store', async () => {
    const { status, stdout, stderr } = await verify();
    expect(stdout).toMatch(
      /^2 versions: 2 ok, 0 different, 0 missing, 0 without record, 0 could not be checked; \d+\.\d s\n$/,
    );
    expect([status, stderr]).toEqual([0, '']);
  });

  test('reports a difference in one line with advice, and exits with status 1', async () => {
    await store.put(keyOf(LIB, 'v1.0.0', 'mod'), Buffer.from(`module ${LIB}\n`));
    const { status, stdout, stderr } = await verify();
    const [line, summary, ...rest] = stdout.split('\n');
    expect(line).toMatch(
      new RegExp(
        `^DIFFERENT ${LIB}@v1.0.0: .mod differs from what was published: expected h1:\\S+=, found h1:\\S+=; restore the version from a backup, or delete modules/`,
      ),
    );
    expect(summary).toMatch(/^2 versions: 1 ok, 1 different/);
    expect([status, stderr, rest]).toEqual([1, '', ['']]);
    expect((await verify(`${LIB}@v1.1.0`)).status).toBe(0);
  });

  test('exits with status 0 after notes and warnings only', async () => {
    for await (const { key } of store.list('outcomes/')) await store.delete(key);
    await store.put(keyOf(LIB, 'v1.9.0', 'zip'), Buffer.from('half'));
    const { status, stdout } = await verify();
    expect(stdout).toMatch(/^no record .*v1\.0\.0/m);
    expect(stdout).toMatch(/^note .*v1\.9\.0/m);
    expect(stdout).toMatch(/^2 versions: 0 ok, 0 different, 0 missing, 2 without record/m);
    expect(status).toBe(0);
  });

  test('prints one object per line with --json, and the counts last', async () => {
    await store.delete(keyOf(LIB, 'v1.0.0', 'zip'));
    const { status, stdout, stderr } = await verify('--json');
    expect([status, stderr]).toEqual([1, '']);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    expect(lines).toEqual([
      {
        kind: 'missing',
        module: LIB,
        version: 'v1.0.0',
        file: 'zip',
        problem: '.zip is missing',
        advice: expect.any(String),
      },
      {
        kind: 'summary',
        versions: 2,
        ok: 1,
        different: 0,
        missing: 1,
        unrecorded: 0,
        unchecked: 0,
        seconds: expect.any(Number),
        complete: true,
        allWell: false,
      },
    ]);
  });

  test('verifies a bucket', async () => {
    await using minio = await startMinio();
    const { endpoint, accessKey, secretKey, region } = minio;
    const name = await minio.bucket();
    const bucket = new S3Store({
      http: new HttpClient(),
      bucket: name,
      prefix: 'some/where',
      endpoint,
      accessKey,
      secretKey,
      region,
    });
    for await (const { key } of store.list('')) await bucket.put(key, await bytesOf(store, key));
    const settings = {
      STORE: `s3://${name}/some/where`,
      S3_ENDPOINT: endpoint,
      AWS_ACCESS_KEY_ID: accessKey,
      AWS_SECRET_ACCESS_KEY: secretKey,
    };
    expect(await run([], settings)).toMatchObject({ status: 0, stdout: expect.stringMatching(/^2 versions: 2 ok/) });
    await bucket.put(keyOf(LIB, 'v1.1.0', 'zip'), await bytesOf(bucket, keyOf(LIB, 'v1.0.0', 'zip')));
    const { status, stdout } = await run([], settings);
    expect(stdout).toMatch(new RegExp(`^DIFFERENT ${LIB}@v1.1.0: .zip is not a valid zip of this version`));
    expect(status).toBe(1);
    const missing = await run([], { ...settings, STORE: 's3://no-such-bucket' });
    expect(missing).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/^modpress: cannot verify: .*the bucket does not exist.*\n$/),
    });
  });
});

describe('modpress verify --from-gitlab', () => {
  test('shares the limits of the service through Redis', async () => {
    await using redis = await startRedis({ own: true });
    expect(await verifyFromGitLab({ REDIS_URL: redis.url })).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^2 versions: 2 ok/),
      stderr: '',
    });
    const connection = new Redis(redis.url);
    try {
      expect(await connection.keys('*rate-limit:archive:*')).toHaveLength(1);
    } finally {
      connection.disconnect();
    }
  });

  test('reports that GitLab refuses the token, and exits with status 1', async () => {
    workshop.gitlab.faults.add({ path: /\/api\/v4\//, kind: { status: 401 }, times: 1000 });
    const { status, stdout, stderr } = await verifyFromGitLab({});
    expect(stdout).toMatch(
      new RegExp(
        `^UNCHECKED ${LIB}@v1.0.0: could not be checked at commit [0-9a-f]{40}: GitLab answered 401 .*GITLAB_TOKEN.*; if the version should exist in GitLab`,
      ),
    );
    expect([status, stderr]).toEqual([1, '']);
  });
});

describe('modpress verify', () => {
  test.each([
    ['an invalid module path', ['group/lib'], /^modpress: "group\/lib" is not a module path: missing dot/],
    ['an invalid version', [`${LIB}@v1`], /^modpress: "v1" of ".*" is not a version/],
    [
      'a version that does not fit the path',
      [`${LIB}@v2.0.0`],
      /^modpress: ".*" cannot be a module version: .*v0 or v1/,
    ],
    ['an unknown option', ['--from-gitlap'], /^modpress: .*--from-gitlap/],
    [
      'an unknown module',
      [`${HOST}/group/none`],
      /^modpress: the store has no version of gitlab\.example\/group\/none/,
    ],
    ['an unknown version', [`${LIB}@v1.7.0`], /^modpress: gitlab\.example\/group\/lib@v1\.7\.0 is not in the store/],
  ])('reports %s in one line with status 2', async (_, args, message) => {
    const { status, stdout, stderr } = await verify(...args);
    expect(stderr).toMatch(message);
    expect(stderr.split('\n').slice(1)).toEqual(['modpress: see modpress verify --help', '']);
    expect([status, stdout]).toEqual([2, '']);
  });

  test('reports missing settings in one line each', async () => {
    const [nowhere, gitlab] = await Promise.all([
      run([], { STORE: `file:${join(workshop.folder, 'nowhere')}` }),
      run(['--from-gitlab'], { STORE: `file:${folder}`, MODULE_PREFIX: 'x' }),
    ]);
    expect(nowhere).toMatchObject({
      status: 2,
      stdout: '',
      stderr: expect.stringMatching(/^modpress: STORE does not name a store/),
    });
    await expect(readdir(join(workshop.folder, 'nowhere'))).rejects.toThrow('ENOENT');
    expect(gitlab).toMatchObject({ status: 2, stdout: '' });
    expect(gitlab.stderr.match(/^modpress: [A-Z_]+ /gm)?.toSorted()).toEqual([
      'modpress: GITLAB_TOKEN ',
      'modpress: GITLAB_URL ',
      'modpress: MODULE_PREFIX ',
    ]);
  });
});

test('modpress verify --help explains the arguments, the settings and the exit status', async () => {
  const { status, stdout, stderr } = await run(['--help'], {});
  expect([status, stderr]).toEqual([0, '']);
  for (const word of ['MODULE[@VERSION]', '--from-gitlab', '--json', 'Exit status', 'STORE'])
    expect(stdout).toContain(word);
  expect((await runModpress(['--help'])).stdout).toContain('modpress verify');
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('modpress verify ends at %s with the counts so far', async (signal, status) => {
  workshop.gitlab.faults.add({ path: /\/archive/, kind: { status: 429 }, times: 1000 });
  const env = { ...process.env, TMPDIR: temporaryRoot, STORE: `file:${folder}`, ...fromGitLab() };
  const child = spawn(process.execPath, [MAIN, 'verify', '--from-gitlab', '--json'], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  try {
    const ended = Promise.all([text(child.stdout), once(child, 'close')]);
    for await (const chunk of child.stderr as AsyncIterable<Buffer>) {
      // The command waits a minute for GitLab's limit.
      if (chunk.includes('waiting 60 s')) child.kill(signal);
    }
    const [stdout] = await ended;
    expect(JSON.parse(stdout)).toMatchObject({ kind: 'summary', versions: 0, complete: false, allWell: false });
    expect(child.exitCode).toBe(status);
  } finally {
    kill();
    process.removeListener('exit', kill);
  }
});

function verify(...args: readonly string[]): Promise<CommandResult> {
  return run(args, { STORE: `file:${folder}` });
}

function verifyFromGitLab(settings: Readonly<Record<string, string>>): Promise<CommandResult> {
  return run(['--from-gitlab'], { STORE: `file:${folder}`, ...fromGitLab(), ...settings });
}

function fromGitLab(): Readonly<Record<string, string>> {
  return {
    GITLAB_URL: workshop.gitlab.url,
    GITLAB_TOKEN: workshop.gitlab.createToken({ scopes: ['read_api'] }),
    GITLAB_RATE: '1000',
    MODULE_PREFIX: HOST,
  };
}

function run(args: readonly string[], settings: Readonly<Record<string, string>>): Promise<CommandResult> {
  return runModpress(['verify', ...args], { TMPDIR: temporaryRoot, ...settings });
}
