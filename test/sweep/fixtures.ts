import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test as base } from 'vitest';
import { SWEEP_STATE_KEY } from '../../src/store/layout.ts';
import { startGitLab, type StandIn } from '../fake-gitlab/stand-in.ts';
import { startPublishing, type Publishing } from '../publish/publishing.ts';
import { sweepOnce, type Swept } from './sweeping.ts';

/** A GitLab, and a folder for the stores that are compared with it. */
export interface SweepSetup extends AsyncDisposable {
  readonly gitlab: StandIn;
  readonly folder: string;
  /** Makes an empty store, with a publisher that writes to it. */
  newPublishing(): Promise<Publishing>;
}

/** Starts a GitLab without a limit on archives. */
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

/** What each test gets for itself. */
export interface SweepFixtures {
  readonly setup: SweepSetup;
  readonly gitlab: StandIn;
  /** A store that is empty at the beginning, and its publisher. */
  readonly publishing: Publishing;
  /** Sweeps once and publishes the tags it queued, as workers would. Without a scope it sweeps all projects. */
  readonly sweepAndPublish: (scope?: readonly string[]) => Promise<Swept>;
  /** Moves the times of the last scans in the stored state of the sweep. */
  readonly shiftLastScans: (ms: number) => Promise<void>;
}

/** A test of sweeps with a GitLab and a store of its own. */
export const test = base.extend<SweepFixtures>({
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
