import { beforeEach, describe, expect, test } from 'vitest';
import type { Outcome } from '../../src/store/outcome.ts';
import { StoreUnavailable, type ReadStore, type Store } from '../../src/store/store.ts';
import { NotInStore } from '../../src/verify/verify.ts';
import { downloadDirect } from '../fake-gitlab/direct-mode.ts';
import { bytesOf, HOST, keyOf, keyOfOutcome, useWorkshop, verification, type Workshop } from './verification.ts';

const LIB = `${HOST}/group/lib`;
const TWO = `${HOST}/group/lib-two`;
const OTHER = `${HOST}/Group2/Other`;

let workshop: Workshop;
/** The outcomes of v1.0.0 and v1.1.0 of LIB. */
let outcomes: readonly [Outcome, Outcome];
/** The checksums of v1.0.0 of LIB, computed by the go command. */
let truth: { sum: string | undefined; goModSum: string | undefined };
/** A copy of the store for each test, with two versions of LIB, one of TWO, and two of OTHER. */
let store: Store;

useWorkshop(
  async (opened) => {
    workshop = opened;
    const lib = await workshop.publish('group/lib', ['v1.0.0', 'v1.1.0']);
    const [first, second] = lib.outcomes;
    if (!first || !second) throw new Error('two versions should have been published');
    outcomes = [first, second];
    await workshop.publish('group/lib-two', ['v1.0.0']);
    // In a listing, the files of the second version are between the files of the first.
    await workshop.publish('Group2/Other', ['v0.1.0-rc', 'v0.1.0-rc.k']);
    await using direct = await downloadDirect(workshop.gitlab, HOST, `${LIB}@v1.0.0`);
    truth = { sum: direct.modules[0]?.Sum, goModSum: direct.modules[0]?.GoModSum };
  },
  (copy) => (store = copy),
);

const NONE = { ok: 0, different: 0, missing: 0, unrecorded: 0, unchecked: 0 };

describe('an intact store', () => {
  test('has no findings', async () => {
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

  test('may receive versions during the listing, and a version whose .info the listing missed is checked too', async () => {
    const late: ReadStore = {
      ...readMethods(store),
      async *list(prefix) {
        for await (const object of store.list(prefix)) if (object.key !== keyOf(LIB, 'v1.1.0', 'info')) yield object;
      },
    };
    expect(await verification(workshop, late)).toMatchObject({ counts: { versions: 5, ok: 5 }, findings: [] });
  });

  test('may contain the refused outcome of a moved tag, which does not replace the record of the version', async () => {
    // The publisher writes this after the tag was moved (RETAG=refuse).
    await putOutcome({ ...outcomes[0], status: 'refused', h1: undefined, goModH1: undefined, ...LATER });
    expect(await verification(workshop, store)).toMatchObject({ counts: { versions: 5, ok: 5 }, findings: [] });
    await store.delete(keyOf(LIB, 'v1.0.0', 'info'));
    // The remaining files do not count as files of an interrupted publish.
    expect(await verification(workshop, store)).toMatchObject({
      counts: { versions: 5, missing: 1 },
      findings: [{ kind: 'missing', module: LIB, version: 'v1.0.0' }],
    });
  });
});

describe('a verification finds a difference', () => {
  test('in a zip with one flipped bit, and expects the checksum of the go command', async () => {
    const key = keyOf(LIB, 'v1.0.0', 'zip');
    // The flipped bit is in a file name in the central directory.
    await store.put(
      key,
      withFlippedBit(await bytesOf(store, key), (bytes) => bytes.lastIndexOf('lib.go')),
    );
    const { counts, findings } = await verification(workshop, store);
    expect(counts).toEqual({ ...NONE, versions: 5, ok: 4, different: 1 });
    expect(findings).toEqual([
      {
        kind: 'different',
        module: LIB,
        version: 'v1.0.0',
        file: 'zip',
        problem: '.zip differs from what was published',
        expected: truth.sum,
        found: expect.stringMatching(/^h1:/),
        advice: expect.stringContaining(keyOf(LIB, 'v1.0.0', 'info')),
      },
    ]);
  });

  test('in a truncated zip', async () => {
    const key = keyOf(LIB, 'v1.0.0', 'zip');
    await store.put(key, (await bytesOf(store, key)).subarray(0, -30));
    expect(await verification(workshop, store)).toMatchObject({
      counts: { ...NONE, versions: 5, ok: 4, different: 1 },
      findings: [{ kind: 'different', file: 'zip', problem: expect.stringContaining('cannot be read') }],
    });
  });

  test('in a replaced .mod, with and without a record', async () => {
    await store.put(keyOf(LIB, 'v1.0.0', 'mod'), Buffer.from(`module ${LIB}\n\nrequire evil.example/x v1.0.0\n`));
    const different = { kind: 'different', module: LIB, version: 'v1.0.0', file: 'mod', expected: truth.goModSum };
    expect((await verification(workshop, store)).findings).toEqual([expect.objectContaining(different)]);
    await store.delete(keyOfOutcome(outcomes[0]));
    expect((await verification(workshop, store)).findings).toEqual([
      expect.objectContaining(different),
      expect.objectContaining({ kind: 'unrecorded' }),
    ]);
  });

  test('in the zip of another version, with and without a record', async () => {
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
    ['invalid JSON', '{"Version":"v1.0.0","Time":', 'is not JSON'],
    ['another version', '{"Version":"v1.0.1","Time":"2024-01-01T00:00:00Z"}', 'names the version "v1.0.1"'],
    ['a time that is not in UTC', '{"Version":"v1.0.0","Time":"2024-01-01T02:00:00+02:00"}', 'Time'],
    ['a time without seconds', '{"Version":"v1.0.0","Time":"2024-01-01T02:00Z"}', 'Time'],
    ['no time', '{"Version":"v1.0.0"}', 'Time'],
    ['a day that does not exist', '{"Version":"v1.0.0","Time":"2024-02-30T00:00:00Z"}', 'Time'],
    ['no content', '', 'is not JSON'],
    ['more than a megabyte', ' '.repeat(2 ** 20 + 1), 'has 1048577 bytes'],
  ])('in an .info with %s', async (_, text, problem) => {
    await store.put(keyOf(LIB, 'v1.0.0', 'info'), Buffer.from(text));
    expect(await verification(workshop, store)).toMatchObject({
      counts: { ...NONE, versions: 5, ok: 4, different: 1 },
      findings: [
        { kind: 'different', module: LIB, version: 'v1.0.0', file: 'info', problem: expect.stringContaining(problem) },
      ],
    });
  });

  test('to the latest record', async () => {
    await putOutcome({ ...outcomes[0], h1: 'h1:older', ...EARLIER });
    expect((await verification(workshop, store)).findings).toEqual([]);
    await putOutcome({ ...outcomes[0], h1: 'h1:newer', ...LATER });
    expect((await verification(workshop, store)).findings).toEqual([
      expect.objectContaining({ expected: 'h1:newer', found: truth.sum }),
    ]);
  });
});

describe('a verification reports as missing', () => {
  test.each(['zip', 'mod'] as const)('a .%s of a version with an .info', async (file) => {
    await store.delete(keyOf(LIB, 'v1.1.0', file));
    expect(await verification(workshop, store)).toMatchObject({
      counts: { ...NONE, versions: 5, ok: 4, missing: 1 },
      findings: [{ kind: 'missing', module: LIB, version: 'v1.1.0', file, problem: `.${file} is missing` }],
    });
  });

  test('a recorded version without files, unless a later outcome replaces the record', async () => {
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

describe('a verification reports without failing', () => {
  test('the files of an interrupted publish, once for each version', async () => {
    await store.put(keyOf(LIB, 'v1.9.0', 'zip'), await bytesOf(store, keyOf(LIB, 'v1.0.0', 'zip')));
    await store.put(keyOf(LIB, 'v1.9.0', 'mod'), await bytesOf(store, keyOf(LIB, 'v1.0.0', 'mod')));
    expect(await verification(workshop, store)).toMatchObject({
      counts: { ...NONE, versions: 5, ok: 5 },
      findings: [{ kind: 'note', module: LIB, version: 'v1.9.0', problem: expect.stringContaining('no .info') }],
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
    ['is truncated', () => '{"status":'],
    ['lacks most fields', () => '{"status":"published"}'],
    ['names an invalid module', () => JSON.stringify({ ...outcomes[0], module: '../../etc' })],
  ])('an outcome that %s', async (_, text) => {
    const key = 'outcomes/999/v1.0.0@abc.json';
    await store.put(key, Buffer.from(text()));
    expect(await verification(workshop, store)).toMatchObject({
      counts: { versions: 5, ok: 5 },
      findings: [{ kind: 'note', key }],
    });
  });
});

describe('a verification of selected versions', () => {
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
    // The store contains only the record of this version.
    [[TWO], { versions: 1, missing: 1 }],
    [[`${TWO}@v1.0.0`, OTHER], { versions: 3, ok: 1, missing: 2 }],
    [[], { versions: 5, ok: 2, missing: 3 }],
  ])('counts only the versions that %j selects', async (args, counts) => {
    expect((await verification(workshop, store, { args })).counts).toEqual({ ...NONE, ...counts });
  });

  test.each([[[`${HOST}/group`]], [[`${LIB}/v2`]], [[`${LIB}@v1.2.0`]], [[LIB, `${HOST}/group/none`]]])(
    'rejects a module or version that is not in the store: %j',
    async (args) => {
      await expect(verification(workshop, store, { args })).rejects.toThrow(NotInStore);
    },
  );
});

describe('an outage of the store', () => {
  test('leaves only the unreadable version unchecked', async () => {
    const broken: ReadStore = {
      ...readMethods(store),
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

  test('during the listing makes the verification fail', async () => {
    const down: ReadStore = {
      ...readMethods(store),
      async *list(prefix) {
        if (prefix.startsWith('modules/')) throw new StoreUnavailable('it is gone');
        yield* store.list(prefix);
      },
    };
    await expect(verification(workshop, down)).rejects.toThrow(StoreUnavailable);
  });
});

test('a verification ends early with the counts so far if it is aborted', async () => {
  const stop = new AbortController();
  const stopping: ReadStore = {
    ...readMethods(store),
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

/** Returns the methods of a read store, so that a test can override some of them. */
function readMethods(original: Store): ReadStore {
  return {
    get: (key) => original.get(key),
    stat: (key) => original.stat(key),
    open: (key, range) => original.open(key, range),
    list: (prefix, options) => original.list(prefix, options),
  };
}

/** Returns a copy in which one bit is flipped, in the byte at the offset that `findOffset` returns. */
function withFlippedBit(bytes: Buffer, findOffset: (bytes: Buffer) => number): Buffer {
  const copy = Buffer.from(bytes);
  const offset = findOffset(bytes);
  copy.writeUInt8(copy.readUInt8(offset) ^ 1, offset);
  return copy;
}
