import { z } from 'zod';
import type { CommitId } from '../gitlab/schema.ts';
import { jsonLine, parseJson } from '../io/json.ts';
import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import { writeIndexEntry } from './index-entry.ts';
import { outcomeKey, outcomesOfTagPrefix } from './layout.ts';
import type { ReadStore, Store } from './store.ts';

/** The outcome of a tag at a commit: published, skipped or refused, and why. It is final: only a moved tag gets a new one. */
export const outcomeSchema = z.object({
  status: z.enum(['published', 'skipped', 'refused']),
  projectId: z.number(),
  /**
   * Full path of the project when the tag was processed; absent if the tag was skipped or refused before the project was read.
   */
  project: z.string().optional(),
  tag: z.string(),
  commit: z.string(),
  /** Why the tag was skipped or refused, for people. */
  reason: z.string().optional(),
  /** What people should know about a published version. */
  note: z.string().optional(),
  module: z
    .string()
    .transform((path) => path as ModulePath)
    .optional(),
  version: z
    .string()
    .transform((version) => version as Version)
    .optional(),
  h1: z.string().optional(),
  goModH1: z.string().optional(),
  /** Bytes of the zip. */
  size: z.number().optional(),
  /** When the job began. */
  startedAt: z.iso.datetime(),
  /** When the version became visible, or the tag was skipped or refused. */
  finishedAt: z.iso.datetime(),
});

/** The outcome of a tag at a commit. */
export type Outcome = z.infer<typeof outcomeSchema>;

/** Parses the bytes of an outcome in the store; undefined if they are damaged. Module and version are not checked. */
export function parseOutcome(bytes: Buffer): Outcome | undefined {
  return outcomeSchema.safeParse(parseJson(bytes)).data;
}

/** The outcome of a tag at a commit; undefined if it does not exist. A damaged outcome counts as missing, so that it is made again. */
export async function readOutcome(
  store: ReadStore,
  projectId: number,
  tag: string,
  commit: CommitId,
): Promise<Outcome | undefined> {
  const bytes = await store.get(outcomeKey(projectId, tag, commit));
  return bytes && parseOutcome(bytes);
}

/**
 * Records an outcome. Before that, writes the index entry of a published version: a tag with an outcome is not processed
 * again, so an index entry that came later could be missing for ever.
 */
export async function writeOutcome(store: Store, outcome: Outcome): Promise<void> {
  await writeIndexEntry(store, outcome);
  const key = outcomeKey(outcome.projectId, outcome.tag, outcome.commit);
  await store.put(key, jsonLine(outcome));
}

/**
 * Deletes the outcomes that say that this version was published from this tag, at any commit. Called before the version
 * is replaced. Otherwise, when the tag moves back to an earlier commit, that commit would count as published.
 */
export async function forgetOutcomes(
  store: Store,
  version: Pick<Outcome, 'projectId' | 'tag' | 'commit' | 'module' | 'version'>,
): Promise<void> {
  const keys: string[] = [];
  for await (const { key } of store.list(outcomesOfTagPrefix(version.projectId, version.tag, version.commit)))
    keys.push(key);
  for (const key of keys) {
    const bytes = await store.get(key);
    const outcome = bytes && parseOutcome(bytes);
    if (outcome?.status === 'published' && outcome.module === version.module && outcome.version === version.version)
      await store.delete(key);
  }
}
