import { z } from 'zod';
import type { CommitId } from '../gitlab/schema.ts';
import { jsonLine, parseJson } from '../io/json.ts';
import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import { writeIndexEntry } from './index-entry.ts';
import { outcomeKey, outcomesOfTagPrefix } from './layout.ts';
import type { ReadStore, Store } from './store.ts';

/**
 * The outcome of a tag at a commit. `status` is the result, and `reason` explains a skipped or refused tag. An outcome
 * is final: only a moved tag gets a new one.
 */
export const outcomeSchema = z.object({
  status: z.enum(['published', 'skipped', 'refused']),
  projectId: z.number(),
  /**
   * The full path of the project when the tag was processed. Absent if the tag was skipped or refused before the
   * project was read.
   */
  project: z.string().optional(),
  tag: z.string(),
  commit: z.string(),
  /** The reason why the tag was skipped or refused, as text for users. */
  reason: z.string().optional(),
  /** Additional information about a published version, as text for users. */
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
  /** The size of the zip, in bytes. */
  size: z.number().optional(),
  /** The time when the job began. */
  startedAt: z.iso.datetime(),
  /** The time when the version became visible, or when the tag was skipped or refused. */
  finishedAt: z.iso.datetime(),
});

/** The outcome of a tag at a commit. */
export type Outcome = z.infer<typeof outcomeSchema>;

/**
 * Parses the bytes of an outcome in the store. Returns undefined if they are damaged. Does not check the module and the
 * version.
 */
export function parseOutcome(bytes: Buffer): Outcome | undefined {
  return outcomeSchema.safeParse(parseJson(bytes)).data;
}

/**
 * Reads the outcome of a tag at a commit. Returns undefined if it does not exist or is damaged, so that the tag is
 * processed again.
 */
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
 * Records an outcome. First writes the index entry of a published version. In the opposite order, a crash in between
 * would lose the index entry, because a tag with an outcome is not processed again.
 */
export async function writeOutcome(store: Store, outcome: Outcome): Promise<void> {
  await writeIndexEntry(store, outcome);
  const key = outcomeKey(outcome.projectId, outcome.tag, outcome.commit);
  await store.put(key, jsonLine(outcome));
}

/**
 * Deletes every outcome of this tag, at any commit, that records the publication of this version. Must be called before
 * the version is replaced. Otherwise, if the tag moves back to an earlier commit, that commit would count as published.
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
