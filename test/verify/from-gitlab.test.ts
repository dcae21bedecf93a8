import { EventEmitter, once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Outcome } from '../../src/store/outcome.ts';
import type { Store } from '../../src/store/store.ts';
import { allWell } from '../../src/verify/finding.ts';
import { downloadDirect } from '../fake-gitlab/direct-mode.ts';
import type { StandIn } from '../fake-gitlab/stand-in.ts';
import {
  bytesOf,
  filesOf,
  HOST,
  keyOf,
  keyOfOutcome,
  openWorkshop,
  rebuilderOf,
  useWorkshop,
  verification,
  type Published,
  type Workshop,
} from './verification.ts';

const LIB = `${HOST}/group/lib`;
const NONE = { ok: 0, different: 0, missing: 0, unrecorded: 0, unchecked: 0 };

let workshop: Workshop;
let lib: Published;
/** The outcome of v1.0.0 of LIB. */
let outcome: Outcome;
/** A copy of the store for each test. */
let store: Store;

useWorkshop(
  async (opened) => {
    workshop = opened;
    lib = await workshop.publish('group/lib', ['v1.0.0', 'v1.1.0']);
    await workshop.publish('group/other', ['v0.1.0']);
    const [first] = lib.outcomes;
    if (!first) throw new Error('v1.0.0 was not published');
    outcome = first;
  },
  (copy) => (store = copy),
);

test('a verification from GitLab finds nothing in a store that agrees with the repositories', async () => {
  const { counts, findings } = await verification(workshop, store, { rebuilder: rebuilderOf(workshop) });
  expect(findings).toEqual([]);
  expect(counts).toEqual({ ...NONE, versions: 3, ok: 3 });
  expect(archives()).toHaveLength(3);
});

describe('a version whose files and record were forged together', () => {
  beforeEach(async () => {
    // An intruder would store a complete version from other sources, and a record with its checksums.
    await using other = await openWorkshop();
    const forged = await other.publish('group/lib', ['v1.0.0'], { 'evil.go': 'package lib\n' });
    for (const file of ['zip', 'mod'] as const)
      await store.put(keyOf(LIB, 'v1.0.0', file), await bytesOf(other.store, keyOf(LIB, 'v1.0.0', file)));
    await store.put(
      keyOfOutcome(outcome),
      Buffer.from(JSON.stringify({ ...outcome, h1: forged.outcomes[0]?.h1, goModH1: forged.outcomes[0]?.goModH1 })),
    );
  });

  test('is found only by the comparison with the repository, which expects the checksum of the go command', async () => {
    expect((await verification(workshop, store)).findings).toEqual([]);
    const { counts, findings } = await verification(workshop, store, { rebuilder: rebuilderOf(workshop) });
    await using direct = await downloadDirect(workshop.gitlab, HOST, `${LIB}@v1.0.0`);
    expect(findings).toEqual([
      expect.objectContaining({
        kind: 'different',
        module: LIB,
        version: 'v1.0.0',
        file: 'zip',
        problem: expect.stringContaining(outcome.commit),
        expected: direct.modules[0]?.Sum,
      }),
    ]);
    expect(counts).toEqual({ ...NONE, versions: 3, ok: 2, different: 1 });
  });
});

test('a verification from GitLab finds a .mod that was replaced together with its record', async () => {
  const gomod = Buffer.from(`module ${LIB}\n\nrequire evil.example/x v1.0.0\n`);
  await store.put(keyOf(LIB, 'v1.0.0', 'mod'), gomod);
  await store.put(keyOfOutcome(outcome), Buffer.from(JSON.stringify({ ...outcome, goModH1: undefined })));
  await using direct = await downloadDirect(workshop.gitlab, HOST, `${LIB}@v1.0.0`);
  const { findings } = await verification(workshop, store, { rebuilder: rebuilderOf(workshop) });
  expect(findings).toContainEqual(
    expect.objectContaining({
      file: 'mod',
      problem: expect.stringContaining('differs from a new build'),
      expected: direct.modules[0]?.GoModSum,
    }),
  );
});

describe('a rebuilt version', () => {
  test('is built from the commit in the record, otherwise in .info, otherwise of the tag', async () => {
    await using moving = await openWorkshop();
    const { tree } = await moving.publish('group/lib', ['v1.0.0']);
    await tree.write({ 'lib.go': 'package moved\n' }).commit('Moved');
    await tree.tag('v1.0.0', { force: true });
    await tree.push('+main', '+v1.0.0');
    expect((await verification(moving, moving.store, { rebuilder: rebuilderOf(moving) })).counts).toEqual({
      ...NONE,
      versions: 1,
      ok: 1,
    });
    // Without a record, .info contains the commit. Without both, only the moved tag remains.
    for await (const { key } of moving.store.list('outcomes/')) await moving.store.delete(key);
    expect((await verification(moving, moving.store, { rebuilder: rebuilderOf(moving) })).counts).toEqual({
      ...NONE,
      versions: 1,
      unrecorded: 1,
    });
    await moving.store.put(
      keyOf(LIB, 'v1.0.0', 'info'),
      Buffer.from('{"Version":"v1.0.0","Time":"2024-01-01T00:00:00Z"}'),
    );
    expect((await verification(moving, moving.store, { rebuilder: rebuilderOf(moving) })).findings).toContainEqual(
      expect.objectContaining({ kind: 'different', file: 'zip', problem: '.zip differs from a new build' }),
    );
  });
});

describe('a version that no longer exists in GitLab', () => {
  test('is unchecked if its project was deleted', async () => {
    await using emptied = await openWorkshop();
    const { project } = await emptied.publish('group/lib', ['v1.0.0']);
    await emptied.publish('group/other', ['v0.1.0']);
    await emptied.gitlab.deleteProject(project);
    const { counts, findings } = await verification(emptied, emptied.store, { rebuilder: rebuilderOf(emptied) });
    expect(findings).toEqual([
      expect.objectContaining({
        kind: 'unchecked',
        module: LIB,
        version: 'v1.0.0',
        problem: expect.stringContaining('no longer exists in GitLab: there is no project'),
      }),
    ]);
    expect(counts).toEqual({ ...NONE, versions: 2, ok: 1, unchecked: 1 });
    expect(allWell(counts)).toBe(false);
  });

  test('is unchecked if its commit does not exist', async () => {
    await store.put(keyOfOutcome(outcome), Buffer.from(JSON.stringify({ ...outcome, commit: '1'.repeat(40) })));
    const { counts, findings } = await verification(workshop, store, { rebuilder: rebuilderOf(workshop) });
    expect(findings).toEqual([
      expect.objectContaining({
        kind: 'unchecked',
        problem: expect.stringContaining(`no longer exists in GitLab: group/lib has no commit ${'1'.repeat(40)}`),
      }),
    ]);
    expect(counts).toEqual({ ...NONE, versions: 3, ok: 2, unchecked: 1 });
  });
});

describe('an outage of GitLab', () => {
  test('causes one bounded series of waits, and is then reported', async () => {
    workshop.gitlab.faults.add({ path: /\/api\/v4\//, kind: { status: 502 }, times: 10_000 });
    const waits: number[] = [];
    const rebuilder = rebuilderOf(workshop, { wait: async (ms) => void waits.push(ms) });
    const { counts, findings } = await verification(workshop, store, { args: [LIB], rebuilder });
    expect(waits).toEqual([5_000, 10_000, 20_000, 40_000]);
    expect(counts).toEqual({ ...NONE, versions: 2, unchecked: 2 });
    for (const finding of findings)
      expect(finding).toMatchObject({
        kind: 'unchecked',
        problem: expect.stringContaining('GitLab answered 502'),
        advice: expect.stringContaining('--from-gitlab'),
      });
  }, 60_000);

  test('has no effect if GitLab recovers', async () => {
    const fault = workshop.gitlab.faults.add({ path: /\/archive/, kind: { status: 503 }, times: 10_000 });
    const rebuilder = rebuilderOf(workshop, { wait: async () => fault.remove() });
    expect((await verification(workshop, store, { args: [`${LIB}@v1.0.0`], rebuilder })).counts).toEqual({
      ...NONE,
      versions: 1,
      ok: 1,
    });
    expect(fault.hits).toBeGreaterThan(0);
  });

  test('with a refused token is reported at once, because waiting does not help', async () => {
    workshop.gitlab.faults.add({ path: /\/api\/v4\//, kind: { status: 401 }, times: 10_000 });
    const wait = vi.fn<() => Promise<void>>();
    const { findings } = await verification(workshop, store, {
      args: [`${LIB}@v1.0.0`],
      rebuilder: rebuilderOf(workshop, { wait }),
    });
    expect(findings).toEqual([
      expect.objectContaining({ kind: 'unchecked', problem: expect.stringContaining('is GITLAB_TOKEN still valid?') }),
    ]);
    expect(wait).not.toHaveBeenCalled();
  });
});

describe('the limit on archives', () => {
  const TAGS = ['v1.0.0', 'v1.1.0', 'v1.2.0', 'v1.3.0', 'v1.4.0', 'v1.5.0'];
  /**
   * The store contains six versions from the first GitLab. The second GitLab has the same commits, and limits archives.
   */
  let unlimited: Workshop;
  let limited: Workshop;

  beforeAll(async () => {
    unlimited = await openWorkshop({ archiveLimit: 'off' });
    await unlimited.publish('group/lib', TAGS);
    limited = await openWorkshop({ archiveLimit: 5 });
    const { tree } = await limited.publish('group/lib', []);
    for (const tag of TAGS) {
      await tree.write(filesOf(LIB, tag)).commit(tag);
      await tree.tag(tag);
    }
    await tree.push();
  });
  afterAll(async () => {
    await unlimited?.[Symbol.asyncDispose]();
    await limited?.[Symbol.asyncDispose]();
  });
  afterEach(() => void vi.useRealTimers());

  test.each([
    ['of GitLab', { archivesPerMinute: 1000 }, 60_000],
    ['of the rate limiter', { archivesPerMinute: 5 }, 61_000],
  ])('%s makes the sixth version of a project wait until the minute is over', async (_, parts, longest) => {
    // Both the stand-in and the rate limiter use this clock.
    vi.useFakeTimers({ toFake: ['performance'] });
    const waits: number[] = [];
    const wait = async (ms: number): Promise<void> => {
      waits.push(ms);
      vi.advanceTimersByTime(ms);
    };
    const { counts, findings } = await verification(limited, unlimited.store, {
      rebuilder: rebuilderOf(limited, { ...parts, wait }),
    });
    expect(findings).toEqual([]);
    expect(counts).toEqual({ ...NONE, versions: 6, ok: 6 });
    expect(waits).toEqual([longest]);
  });

  test('is reported after a bounded number of waits', async () => {
    const fault = workshop.gitlab.faults.add({
      path: /\/archive/,
      kind: { status: 429, headers: { 'Retry-After': '7' } },
      times: 10_000,
    });
    const waits: number[] = [];
    const reasons: string[] = [];
    const rebuilder = rebuilderOf(workshop, {
      wait: async (ms) => void waits.push(ms),
      onWait: (reason, ms) => reasons.push(`${ms} ${reason}`),
    });
    const { findings } = await verification(workshop, store, { args: [`${LIB}@v1.0.0`], rebuilder });
    expect(findings).toEqual([
      expect.objectContaining({ kind: 'unchecked', problem: expect.stringContaining('GitLab answered 429') }),
    ]);
    expect(waits).toEqual(Array.from({ length: 9 }, () => 7_000));
    expect(reasons[0]).toMatch(/^7000 GitLab answered 429/);
    expect(fault.hits).toBe(10);
  });
});

test('a verification from GitLab builds several projects concurrently, and the versions of a project in sequence', async () => {
  workshop.gitlab.faults.add({ path: /\/archive/, kind: { status: 429, headers: { 'Retry-After': '1' } }, times: 2 });
  let waiting = 0;
  const gate = new EventEmitter();
  const both = once(gate, 'both');
  // A refused project waits until another project is refused. If projects were built in sequence, this would never end.
  const wait = async (): Promise<void> => {
    waiting += 1;
    if (waiting === 2) gate.emit('both');
    await both;
  };
  expect((await verification(workshop, store, { rebuilder: rebuilderOf(workshop, { wait }) })).counts).toEqual({
    ...NONE,
    versions: 3,
    ok: 3,
  });
  const refused = archives().filter(({ status }) => status === 429);
  expect(new Set(refused.map(({ path }) => path.split('/')[4])).size).toBe(2);
});

function archives(): StandIn['requests'] {
  return workshop.gitlab.requests.filter(({ path }) => path.includes('/repository/archive'));
}
