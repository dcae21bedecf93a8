import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../errors.ts';
import type { Pace } from '../pace/pace.ts';
import { sweep, type SweepParts } from './sweep.ts';

/** When to sweep, and whom to tell. */
export interface SweepingParts extends SweepParts {
  /** Shared by all replicas: only one of them sweeps in each period. */
  readonly pace: Pace;
  /** SWEEP_MINUTES. */
  readonly minutes: number;
  /** Told how many tags had no outcome. */
  readonly onRecovered: (count: number) => void;
}

/** A sweep that failed is tried again after this time. */
const AGAIN_MS = 30_000;

/** Sweeps now and then every few minutes, until stopped. */
export function startSweeping(parts: SweepingParts): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const running = run(parts, stopping.signal);
  return {
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}

async function run(parts: SweepingParts, signal: AbortSignal): Promise<void> {
  let due = false;
  while (!signal.aborted) {
    let waitMs = AGAIN_MS;
    try {
      waitMs = due ? 0 : await parts.pace.reserve('sweep', 1, parts.minutes * 60_000);
      due ||= waitMs === 0;
      if (due) {
        await sweepOnce(parts, signal);
        due = false;
      }
    } catch (error) {
      waitMs = AGAIN_MS;
      parts.log.warn({ reason: messageOf(error) }, 'the comparison of tags with the store failed and will be repeated');
    }
    await sleep(waitMs, undefined, { signal }).catch(ignoreAbort);
  }
}

async function sweepOnce(parts: SweepingParts, signal: AbortSignal): Promise<void> {
  const started = performance.now();
  const result = await sweep(parts, signal);
  if (signal.aborted) return;
  parts.onRecovered(result.queued);
  parts.log.info({ ...result, seconds: Number(((performance.now() - started) / 1000).toFixed(1)) }, 'compared tags with the store');
}

function ignoreAbort(error: unknown): void {
  if (!(error instanceof Error && error.name === 'AbortError')) throw error;
}
