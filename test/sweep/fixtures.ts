import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test as base } from 'vitest';
import { SWEEP_STATE_KEY } from '../../src/store/layout.ts';
import { startGitLab, type StandIn } from '../fake-gitlab/stand-in.ts';
import { startPublishing, type Publishing } from '../publish/publishing.ts';
import { sweepOnce, type Swept } from './sweeping.ts';

/** A stand-in for GitLab, and a folder for the stores that sweeps compare with it. */
export interface SweepSetup extends AsyncDisposable {
  readonly gitlab: StandIn;
  readonly folder: string;
  /** Creates an empty store, with a publisher that writes to it. */
  newPublishing(): Promise<Publishing>;
}

/** Starts a stand-in without a limit on archives. */
export async function openSweepSetup(): Promise<SweepSetup> {
  const gitlab = await startGitLab({ archiveLimit: 'off' });
  const folder = await mkdtemp(join(tmpdir(), 'modpress-sweep-'));
  let stores = 0;
  return {
    gitlab,
    folder,
    newPublishing: () => startPublishing(gitlab, join(folder, `${++stores}`), { modulePrefix: 'gitlab.example' }),
    async [Symbol.asyncDispose]() {
      await gitlab.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The fixtures of one test. */
export interface SweepFixtures {
  readonly setup: SweepSetup;
  readonly gitlab: StandIn;
  /** A store that is empty at first, with its publisher. */
  readonly publishing: Publishing;
  /** Sweeps once, and publishes the queued tags as workers do. Without `scope`, it sweeps all projects. */
  readonly sweepAndPublish: (scope?: readonly string[]) => Promise<Swept>;
  /** Moves the times of the last scans in the stored state of the sweep by `ms`. */
  readonly shiftLastScans: (ms: number) => Promise<void>;
}

/** A test of sweeps with its own GitLab and its own store. */
export const test = base.extend<SweepFixtures>({
  // oxlint-disable-next-line no-empty-pattern -- vitest requires a destructured parameter
  setup: async ({}, use) => {
    await using setup = await openSweepSetup();
    await use(setup);
  },
  gitlab: ({ setup }, use) => use(setup.gitlab),
  publishing: async ({ setup }, use) => use(await setup.newPublishing()),
  sweepAndPublish: ({ gitlab, publishing }, use) =>
    use(async (scope) => {
      const swept = await sweepOnce(gitlab, publishing.store, scope);
      for (const job of swept.jobs) await publishing.publisher.publish(job);
      return swept;
    }),
  shiftLastScans: ({ publishing }, use) =>
    use(async (ms) => {
      const state = JSON.parse(String(await publishing.store.get(SWEEP_STATE_KEY))) as {
        projects: Record<string, { lookedAt: number }>;
      };
      for (const project of Object.values(state.projects)) project.lookedAt += ms;
      await publishing.store.put(SWEEP_STATE_KEY, Buffer.from(JSON.stringify(state)));
    }),
});
