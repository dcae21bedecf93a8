import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Outcome } from '../../src/store/outcome.ts';
import { StoreUnavailable, type ReadStore, type Store } from '../../src/store/store.ts';
import { NothingThere } from '../../src/verify/verify.ts';
import { downloadDirect } from '../fake-gitlab/direct-mode.ts';
import { bytesOf, HOST, keyOf, keyOfOutcome, openWorkshop, verification, type Workshop } from './verification.ts';

const LIB = `${HOST}/group/lib`;
const TWO = `${HOST}/group/lib-two`;
const OTHER = `${HOST}/Group2/Other`;

let workshop: Workshop;
/** Of LIB: v1.0.0 and v1.1.0. */
let outcomes: readonly [Outcome, Outcome];
/** What the go command says of LIB's v1.0.0. */
let truth: { sum: string | undefined; goModSum: string | undefined };
/** For each test its own: LIB with two versions, TWO with one, OTHER with two. */
let store: Store;

beforeAll(async () => {
  workshop = await openWorkshop();
  const lib = await workshop.publish('group/lib', ['v1.0.0', 'v1.1.0']);
  const [first, second] = lib.outcomes;
  if (!first || !second) throw new Error('two versions were to be published');
  outcomes = [first, second];
  await workshop.publish('group/lib-two', ['v1.0.0']);
  // In a listing, the files of the second stand between those of the first.
  await workshop.publish('Group2/Other', ['v0.1.0-rc', 'v0.1.0-rc.k']);
  await using direct = await downloadDirect(workshop.gitlab, HOST, `${LIB}@v1.0.0`);
  truth = { sum: direct.modules[0]?.Sum, goModSum: direct.modules[0]?.GoModSum };
});
afterAll(() => workshop?.[Symbol.asyncDispose]());
beforeEach(async () => {
  store = await workshop.copyStore();
});
afterEach(async () => {
  const left = await readdir(join(workshop.folder, 'temporary'));
  if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`);
});

const NONE = { ok: 0, different: 0, missing: 0, unrecorded: 0, unchecked: 0 };

describe('a store in which all is well', () => {
  test('is told to be so, and nothing is found', async () => {
    const { counts, findings, progress } = await verification(workshop, store);
    expect(findings).toEqual([]);
    expect(counts).toEqual({ ...NONE, versions: 5, ok: 5 });
    expect(progress.at(-1)).toEqual([5, 5]);
    expect(progress.every(([done, found]) => done <= found)).toBe(true);
  });

  test('may be empty', async () => {
    for await (const { key } of store.list('')) await store.delete(key);
    expect(await verification(workshop, store)).toMatchObject({ counts: { versions: 0 }, findings: [] });
  });

  test('may get versions while it is listed: one whose .info came too late for that is checked all the same', async () => {
    const late: ReadStore = {
      ...reading(store),
      async *list(prefix) {
        for await (const object of store.list(prefix)) if (object.key !== keyOf(LIB, 'v1.1.0', 'info')) yield object;
      },
    };
    expect(await verification(workshop, late)).toMatchObject({ counts: { versions: 5, ok: 5 }, findings: [] });
  });

  test('may have the refusal of a moved tag, which takes nothing away', async () => {
    // What the publisher writes after another commit was tagged (RETAG=refuse).
    await putOutcome({ ...outcomes[0], status: 'refused', h1: undefined, goModH1: undefined, ...LATER });
    expect(await verification(workshop, store)).toMatchObject({ counts: { versions: 5, ok: 5 }, findings: [] });
    await store.delete(keyOf(LIB, 'v1.0.0', 'info'));
    // The files that are left are no remains of an unfinished publish.
    expect(await verification(workshop, store)).toMatchObject({
      counts: { versions: 5, missing: 1 },
      findings: [{ kind: 'missing', module: LIB, version: 'v1.0.0' }],
    });
  });
});

describe('what differs', () => {
  test('one flipped byte of a zip is found, with the checksum that the go command has', async () => {
    const key = keyOf(LIB, 'v1.0.0', 'zip');
    // The name of a file, as it stands in the directory at the end.
    await store.put(
      key,
      flipped(await bytesOf(store, key), (bytes) => bytes.lastIndexOf('lib.go')),
    );
    const { counts, findings } = await verification(workshop, store);
    expect(counts).toEqual({ ...NONE, versions: 5, ok: 4, different: 1 });
    expect(findings).toEqual([
      {
        kind: 'different',
        module: LIB,
        version: 'v1.0.0',
        file: 'zip',
        problem: '.zip is not what was published',
        expected: truth.sum,
        found: expect.stringMatching(/^h1:/),
        advice: expect.stringContaining(keyOf(LIB, 'v1.0.0', 'info')),
      },
    ]);
  });

  test('a zip that is cut off is found', async () => {
    const key = keyOf(LIB, 'v1.0.0', 'zip');
    await store.put(key, (await bytesOf(store, key)).subarray(0, -30));
    expect(await verification(workshop, store)).toMatchObject({
      counts: { ...NONE, versions: 5, ok: 4, different: 1 },
      findings: [{ kind: 'different', file: 'zip', problem: expect.stringContaining('cannot be read') }],
    });
  });

  test('a replaced .mod is found, with a record and without', async () => {
    await store.put(keyOf(LIB, 'v1.0.0', 'mod'), Buffer.from(`module ${LIB}\n\nrequire evil.example/x v1.0.0\n`));
    const different = { kind: 'different', module: LIB, version: 'v1.0.0', file: 'mod', expected: truth.goModSum };
    expect((await verification(workshop, store)).findings).toEqual([expect.objectContaining(different)]);
    await store.delete(keyOfOutcome(outcomes[0]));
    expect((await verification(workshop, store)).findings).toEqual([
      expect.objectContaining(different),
      expect.objectContaining({ kind: 'unrecorded' }),
    ]);
  });

  test('the zip of another version is found, with a record and without', async () => {
    await store.put(keyOf(LIB, 'v1.0.0', 'zip'), await bytesOf(store, keyOf(LIB, 'v1.1.0', 'zip')));
    const foreign = expect.objectContaining({
      kind: 'different',
      version: 'v1.0.0',
      problem: expect.stringContaining(`not below ${LIB}@v1.0.0/`),
    });
    const { counts, findings } = await verification(workshop, store);
    expect(counts).toEqual({ ...NONE, versions: 5, ok: 4, different: 1 });
    expect(findings).toEqual([
      foreign,
      expect.objectContaining({ expected: truth.sum, found: expect.stringMatching(/^h1:/) }),
    ]);
    await store.delete(keyOfOutcome(outcomes[0]));
    expect((await verification(workshop, store)).findings).toContainEqual(foreign);
  });

  test.each([
    ['no JSON', '{"Version":"v1.0.0","Time":', 'is not JSON'],
    ['another version', '{"Version":"v1.0.1","Time":"2024-01-01T00:00:00Z"}', 'is that of "v1.0.1"'],
    ['a time that is not in UTC', '{"Version":"v1.0.0","Time":"2024-01-01T02:00:00+02:00"}', 'Time'],
    ['a time without seconds', '{"Version":"v1.0.0","Time":"2024-01-01T02:00Z"}', 'Time'],
    ['no time', '{"Version":"v1.0.0"}', 'Time'],
    ['a day that there is not', '{"Version":"v1.0.0","Time":"2024-02-30T00:00:00Z"}', 'Time'],
    ['nothing in it', '', 'is not JSON'],
    ['a megabyte and more', ' '.repeat(2 ** 20 + 1), 'has 1048577 bytes'],
  ])('an .info with %s is found', async (_, text, problem) => {
    await store.put(keyOf(LIB, 'v1.0.0', 'info'), Buffer.from(text));
    expect(await verification(workshop, store)).toMatchObject({
      counts: { ...NONE, versions: 5, ok: 4, different: 1 },
      findings: [
        { kind: 'different', module: LIB, version: 'v1.0.0', file: 'info', problem: expect.stringContaining(problem) },
      ],
    });
  });

  test('the latest record counts', async () => {
    await putOutcome({ ...outcomes[0], h1: 'h1:older', ...EARLIER });
    expect((await verification(workshop, store)).findings).toEqual([]);
    await putOutcome({ ...outcomes[0], h1: 'h1:newer', ...LATER });
    expect((await verification(workshop, store)).findings).toEqual([
      expect.objectContaining({ expected: 'h1:newer', found: truth.sum }),
    ]);
  });
});

describe('what is missing', () => {
  test.each(['zip', 'mod'] as const)('a .%s beside its .info', async (file) => {
    await store.delete(keyOf(LIB, 'v1.1.0', file));
    expect(await verification(workshop, store)).toMatchObject({
      counts: { ...NONE, versions: 5, ok: 4, missing: 1 },
      findings: [{ kind: 'missing', module: LIB, version: 'v1.1.0', file, problem: `.${file} is missing` }],
    });
  });

  test('a version that a record tells of, until a later one says otherwise', async () => {
    for (const file of ['info', 'mod', 'zip'] as const) await store.delete(keyOf(LIB, 'v1.0.0', file));
    expect(await verification(workshop, store)).toMatchObject({
      counts: { ...NONE, versions: 5, ok: 4, missing: 1 },
      findings: [
        { kind: 'missing', module: LIB, version: 'v1.0.0', advice: expect.stringContaining(keyOfOutcome(outcomes[0])) },
      ],
    });
    await putOutcome({ ...outcomes[0], status: 'skipped', ...LATER });
    expect(await verification(workshop, store)).toMatchObject({ counts: { versions: 4, ok: 4 }, findings: [] });
  });
});

describe('what is only told', () => {
  test('files of a publish that was not finished, once for a version', async () => {
    await store.put(keyOf(LIB, 'v1.9.0', 'zip'), await bytesOf(store, keyOf(LIB, 'v1.0.0', 'zip')));
    await store.put(keyOf(LIB, 'v1.9.0', 'mod'), await bytesOf(store, keyOf(LIB, 'v1.0.0', 'mod')));
    expect(await verification(workshop, store)).toMatchObject({
      counts: { ...NONE, versions: 5, ok: 5 },
      findings: [
        { kind: 'note', module: LIB, version: 'v1.9.0', problem: expect.stringContaining('without an .info') },
      ],
    });
  });

  test('a version without a record', async () => {
    await store.delete(keyOfOutcome(outcomes[0]));
    expect(await verification(workshop, store)).toMatchObject({
      counts: { ...NONE, versions: 5, ok: 4, unrecorded: 1 },
      findings: [
        { kind: 'unrecorded', module: LIB, version: 'v1.0.0', advice: expect.stringContaining('--from-gitlab') },
      ],
    });
  });

  test.each([
    ['is cut off', () => '{"status":'],
    ['lacks most', () => '{"status":"published"}'],
    ['names no module', () => JSON.stringify({ ...outcomes[0], module: '../../etc' })],
  ])('an outcome that %s', async (_, text) => {
    const key = 'outcomes/999/v1.0.0@abc.json';
    await store.put(key, Buffer.from(text()));
    expect(await verification(workshop, store)).toMatchObject({
      counts: { versions: 5, ok: 5 },
      findings: [{ kind: 'note', key }],
    });
  });
});

describe('arguments', () => {
  beforeEach(async () => {
    await store.delete(keyOf(LIB, 'v1.1.0', 'zip'));
    for (const file of ['info', 'mod', 'zip'] as const) await store.delete(keyOf(TWO, 'v1.0.0', file));
    await store.delete(keyOf(OTHER, 'v0.1.0-rc', 'info'));
  });

  test.each([
    [[LIB], { versions: 2, ok: 1, missing: 1 }],
    [[`${LIB}@v1.0.0`], { versions: 1, ok: 1 }],
    [[`${LIB}@v1.1.0`], { versions: 1, missing: 1 }],
    [[`${LIB}@v1.1.0`, LIB], { versions: 2, ok: 1, missing: 1 }],
    [[LIB, `${LIB}@v1.1.0`], { versions: 2, ok: 1, missing: 1 }],
    [[`${LIB}@v1.1.0`, `${LIB}@v1.0.0`], { versions: 2, ok: 1, missing: 1 }],
    // Of this one only the record is left.
    [[TWO], { versions: 1, missing: 1 }],
    [[`${TWO}@v1.0.0`, OTHER], { versions: 3, ok: 1, missing: 2 }],
    [[], { versions: 5, ok: 2, missing: 3 }],
  ])('%j', async (args, counts) => {
    expect((await verification(workshop, store, { args })).counts).toEqual({ ...NONE, ...counts });
  });

  test.each([[[`${HOST}/group`]], [[`${LIB}/v2`]], [[`${LIB}@v1.2.0`]], [[LIB, `${HOST}/group/none`]]])(
    '%j: what is not there is no success',
    async (args) => {
      await expect(verification(workshop, store, { args })).rejects.toThrow(NothingThere);
    },
  );
});

describe('an outage of the store', () => {
  test('leaves what could not be read unchecked, and the rest checked', async () => {
    const broken: ReadStore = {
      ...reading(store),
      async open(key, range) {
        if (key === keyOf(LIB, 'v1.0.0', 'zip')) throw new StoreUnavailable('the disk reports errors');
        return await store.open(key, range);
      },
    };
    expect(await verification(workshop, broken)).toMatchObject({
      counts: { ...NONE, versions: 5, ok: 4, unchecked: 1 },
      findings: [
        {
          kind: 'unchecked',
          module: LIB,
          version: 'v1.0.0',
          problem: expect.stringContaining('the disk reports errors'),
        },
      ],
    });
  });

  test('during the listing is an error', async () => {
    const down: ReadStore = {
      ...reading(store),
      async *list(prefix) {
        if (prefix.startsWith('modules/')) throw new StoreUnavailable('it is gone');
        yield* store.list(prefix);
      },
    };
    await expect(verification(workshop, down)).rejects.toThrow(StoreUnavailable);
  });
});

test('an abort ends it early with what is known by then', async () => {
  const stop = new AbortController();
  const stopping: ReadStore = {
    ...reading(store),
    async open(key, range) {
      if (key === keyOf(LIB, 'v1.1.0', 'zip')) stop.abort();
      return await store.open(key, range);
    },
  };
  const { counts, findings } = await verification(workshop, stopping, { signal: stop.signal });
  expect(counts.versions).toBeLessThan(5);
  expect(counts.ok).toBe(counts.versions);
  expect(findings).toEqual([]);
});

const EARLIER = { commit: '1'.repeat(40), finishedAt: '2001-01-01T00:00:00.000Z' };
const LATER = { commit: '2'.repeat(40), finishedAt: '2099-01-01T00:00:00.000Z' };

async function putOutcome(outcome: Outcome): Promise<void> {
  await store.put(keyOfOutcome(outcome), Buffer.from(JSON.stringify(outcome)));
}

/** The reading half of a store, to be changed. */
function reading(whole: Store): ReadStore {
  return {
    get: (key) => whole.get(key),
    stat: (key) => whole.stat(key),
    open: (key, range) => whole.open(key, range),
    list: (prefix, options) => whole.list(prefix, options),
  };
}

/** A copy with one bit of the byte at an offset flipped. */
function flipped(bytes: Buffer, find: (bytes: Buffer) => number): Buffer {
  const copy = Buffer.from(bytes);
  const offset = find(bytes);
  copy.writeUInt8(copy.readUInt8(offset) ^ 1, offset);
  return copy;
}
