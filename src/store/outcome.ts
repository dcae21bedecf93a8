import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { CommitId } from '../gitlab/schema.ts';
import { parseJson } from '../io/json.ts';
import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import { indexKey, moduleKey, outcomeKey, outcomesOfTagPrefix } from './layout.ts';
import type { ReadStore, Store } from './store.ts';

/** What became of a tag at a commit. It is final: only a moved tag, or a new commit, gives a new one. */
export const outcomeSchema = z.object({
  status: z.enum(['published', 'skipped', 'refused']),
  projectId: z.number(),
  /** Full path of the project when it was looked at; absent if the tag was dismissed before that. */
  project: z.string().optional(),
  tag: z.string(),
  commit: z.string(),
  /** Why it was skipped or refused, in words for a person. */
  reason: z.string().optional(),
  /** What a person should know though it was published. */
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
  /** When the job began and when the version was visible, or the decision was made. */
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
});

/** What became of a tag at a commit. */
export type Outcome = z.infer<typeof outcomeSchema>;

/** The outcome of a tag at a commit, if there is a readable one: a damaged one counts as none, and is made again. */
export async function readOutcome(
  store: ReadStore,
  projectId: number,
  tag: string,
  commit: CommitId,
): Promise<Outcome | undefined> {
  const bytes = await store.get(outcomeKey(projectId, tag, commit));
  return bytes && outcomeSchema.safeParse(parseJson(bytes)).data;
}

/**
 * Records an outcome and, before it, the entry of a published version in the index: what has an outcome is not looked at
 * again, so that an entry which was to come after it could be missing for good.
 */
export async function writeOutcome(store: Store, outcome: Outcome): Promise<void> {
  await writeIndexEntry(store, outcome);
  await store.put(outcomeKey(outcome.projectId, outcome.tag, outcome.commit), toJson(outcome));
}

/**
 * Takes away what is recorded of a version under a tag, or what stands in its place, at whatever commit: it is about to be
 * replaced. Else, once the tag is back at an earlier commit, it would be taken for published from there.
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
    const outcome = bytes && outcomeSchema.safeParse(parseJson(bytes)).data;
    if (outcome?.status === 'published' && outcome.module === version.module && outcome.version === version.version)
      await store.delete(key);
  }
}

/**
 * Writes the index entry of a published outcome unless it is there. Its key follows from when the version's `.info` was
 * stored: whoever does it again, after a crash or at the same time, makes no second entry.
 */
export async function writeIndexEntry(store: Store, { status, module, version }: Outcome): Promise<void> {
  if (status !== 'published' || module === undefined || version === undefined) return;
  const info = await store.stat(moduleKey(module, version, 'info'));
  if (!info) return;
  const unique = createHash('sha256').update(`${module}@${version}`).digest('hex').slice(0, 16);
  const key = indexKey(info.modified, unique);
  if (await store.stat(key)) return;
  await store.put(key, toJson({ Path: module, Version: version, Timestamp: info.modified.toISOString() }));
}

function toJson(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}
