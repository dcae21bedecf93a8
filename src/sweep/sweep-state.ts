import { z } from 'zod';
import { parseJson } from '../io/json.ts';
import { SWEEP_STATE_KEY } from '../store/layout.ts';
import type { ReadStore, Store } from '../store/store.ts';

const seenSchema = z.object({
  /** Full path in GitLab. */
  path: z.string(),
  /** When its tags were last compared with the outcomes; in milliseconds since 1970. */
  lookedAt: z.number(),
  archived: z.boolean(),
  /** The keys of the outcomes that were missing then; absent where they were too many to be remembered. */
  missing: z.array(z.string()).optional(),
  /** How many more sweeps are to queue all of its tags, since it has moved. */
  repeats: z.number().optional(),
  /** Set once it was no longer there. */
  gone: z.boolean().optional(),
  /** Set while its tags cannot be read. */
  failed: z.boolean().optional(),
});

const stateSchema = z.object({
  /** When the last whole sweep began, in milliseconds since 1970; absent until there was one. */
  sweptAt: z.number().optional(),
  projects: z.record(z.string().regex(/^\d+$/), seenSchema),
});

/** What the last look at a project showed. */
export type SeenProject = z.infer<typeof seenSchema>;

/** What sweeps remember from one to the next, whichever replica makes them: it only saves calls. */
export interface SweepState {
  sweptAt: number | undefined;
  readonly projects: Map<number, SeenProject>;
}

/** Reads the state; an empty one where there is none, or one that cannot be read. */
export async function readSweepState(store: ReadStore): Promise<SweepState> {
  const bytes = await store.get(SWEEP_STATE_KEY);
  const state = bytes && stateSchema.safeParse(parseJson(bytes)).data;
  const projects = Object.entries(state?.projects ?? {}).map(([id, seen]) => [Number(id), seen] as const);
  return { sweptAt: state?.sweptAt, projects: new Map(projects) };
}

/** Stores the state. */
export async function writeSweepState(store: Store, { sweptAt, projects }: SweepState): Promise<void> {
  await store.put(SWEEP_STATE_KEY, Buffer.from(JSON.stringify({ sweptAt, projects: Object.fromEntries(projects) })));
}
