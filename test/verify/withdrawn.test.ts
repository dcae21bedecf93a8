import { describe, expect, test } from 'vitest';
import type { ModulePath } from '../../src/module/path.ts';
import { withdrawVersion } from '../../src/publish/withdraw.ts';
import type { Store } from '../../src/store/store.ts';
import { noCounts } from '../../src/verify/finding.ts';
import { version } from '../proxy/modules.ts';
import { bytesOf, keyOf, useWorkshop, verification, type Workshop } from './verification.ts';

const BAD = version('v1.1.0');
const NOTE = { kind: 'note', version: BAD, problem: 'it was withdrawn: a token was in it' };

let workshop: Workshop;
let module: ModulePath;
/** A copy of the store for each test. */
let store: Store;

useWorkshop(
  async (opened) => {
    workshop = opened;
    ({ module } = await workshop.publish('group/lib', ['v1.0.0', 'v1.1.0']));
  },
  (copy) => (store = copy),
);

describe('a withdrawn version', () => {
  test('has a note, and counts neither as missing nor as a version', async () => {
    await withdraw();
    for (const args of [[], [`${module}@v1.1.0`]]) {
      const { counts, findings } = await verification(workshop, store, { args });
      expect(findings).toEqual([expect.objectContaining({ ...NOTE, module })]);
      expect(counts).toEqual({ ...noCounts(), ...(args.length === 0 && { versions: 1, ok: 1 }) });
    }
  });

  test.each([
    { left: ['info', 'mod', 'zip'], recorded: true },
    { left: ['mod', 'zip'], recorded: true },
    { left: ['zip'], recorded: true },
    { left: ['info', 'mod', 'zip'], recorded: false },
    { left: ['zip'], recorded: false },
  ] as const)(
    'is a difference if files remain, the first of them .$left.0 (with a record: $recorded)',
    async ({ left, recorded }) => {
      if (!recorded)
        for await (const { key } of store.list('outcomes/')) if (key.includes('v1.1.0')) await store.delete(key);
      const files = await Promise.all(
        left.map(async (file) => ({
          key: keyOf(module, BAD, file),
          bytes: await bytesOf(store, keyOf(module, BAD, file)),
        })),
      );
      await withdraw();
      for (const { key, bytes } of files) await store.put(key, bytes);
      const problem = `${NOTE.problem}, but the store still has ${left.map((file) => `.${file}`).join(', ')}`;
      const advice = `run modpress withdraw ${module}@v1.1.0 again with the same reason`;
      expect(await verification(workshop, store)).toMatchObject({
        counts: { versions: 2, ok: 1, different: 1 },
        findings: [{ kind: 'different', version: BAD, problem, advice }],
      });
      await withdraw();
      expect((await verification(workshop, store)).counts).toEqual({ ...noCounts(), versions: 1, ok: 1 });
    },
  );
});

async function withdraw(): Promise<void> {
  await withdrawVersion({ store }, module, BAD, 'a token was in it');
}
