import { z } from 'zod';
import { parseJson } from '../io/json.ts';
import { SWEEP_STATE_KEY } from '../store/layout.ts';
import type { ReadStore, Store } from '../store/store.ts';

const projectStateSchema = z.object({
  /** Full path in GitLab. */
  path: z.string(),
  /** When the tags were last compared with the outcomes, in milliseconds since the epoch. */
  lookedAt: z.number(),
  archived: z.boolean(),
  /** Keys of the outcomes that were missing at that time. Absent if there were too many. */
  missing: z.array(z.string()).optional(),
  /** The number of further sweeps that queue all tags again, because the project has moved. */
  repeats: z.number().optional(),
  /** Set once the project is no longer in scope, or no longer exists. */
  gone: z.boolean().optional(),
  /** Set while the tags cannot be read. */
  failed: z.boolean().optional(),
});

const sweepStateSchema = z.object({
  /** When the last complete sweep began, in milliseconds since the epoch. Absent before the first one. */
  sweptAt: z.number().optional(),
  projects: z.record(z.string().regex(/^\d+$/), projectStateSchema),
});

/** The state of a project after its last scan. */
export type ProjectState = z.infer<typeof projectStateSchema>;

/**
 * The state that a sweep stores for the next sweep, on any replica. Without it, a sweep only makes more calls to
 * GitLab.
 */
export interface SweepState {
  sweptAt: number | undefined;
  /** Keyed by project id. */
  readonly projects: Map<number, ProjectState>;
}

/**
 * Reads the state from the store. The state is empty if the object is missing or damaged. Rejects with
 * StoreUnavailable.
 */
export async function readSweepState(store: ReadStore): Promise<SweepState> {
  const bytes = await store.get(SWEEP_STATE_KEY);
  const state = bytes && sweepStateSchema.safeParse(parseJson(bytes)).data;
  const projects = Object.entries(state?.projects ?? {}).map(([id, project]) => [Number(id), project] as const);
  return { sweptAt: state?.sweptAt, projects: new Map(projects) };
}

/** Writes the state to the store. Rejects with StoreUnavailable. */
export async function writeSweepState(store: Store, { sweptAt, projects }: SweepState): Promise<void> {
  await store.put(SWEEP_STATE_KEY, Buffer.from(JSON.stringify({ sweptAt, projects: Object.fromEntries(projects) })));
}
