import type { CommitId } from '../gitlab/schema.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import { compareVersions, parseVersion } from '../module/version.ts';
import { deletedTagKey, outcomeKey, outcomesPrefix, parseOutcomeKey } from '../store/layout.ts';
import type { ReadStore } from '../store/store.ts';

/** A project's tags, compared with the outcomes in the store. */
export interface ComparedTags {
  /** How many tags there are in GitLab. */
  readonly count: number;
  /** Those that have no outcome, newest first. */
  readonly missing: readonly MissingTag[];
  /** Published tags that are no longer in GitLab and not marked so, and marked ones that are back. */
  readonly gone: readonly VanishedTag[];
  readonly back: readonly VanishedTag[];
}

/** A tag without an outcome at its commit. */
export interface MissingTag {
  readonly name: string;
  readonly commit: CommitId;
  readonly committedAt: Date;
  /** When it was made, if GitLab knows: lightweight tags have no time. */
  readonly createdAt: Date | undefined;
  /** Whether it has the form of a version. */
  readonly isVersion: boolean;
  /** Whether other versions are missing at the same commit. */
  readonly sharesCommit: boolean;
}

/** A tag at a commit, of which there is an outcome. */
export interface VanishedTag {
  readonly name: string;
  readonly commit: string;
}

/**
 * Compares the tags of a project with the outcomes: one listing of either. What has an outcome costs no call. Rejects with
 * Retry when GitLab cannot be read, and with StoreUnavailable.
 */
export async function compareTags(
  { gitlab, store }: { gitlab: GitLabClient; store: ReadStore },
  projectId: number,
): Promise<ComparedTags> {
  const outcomes = await keysOf(store, projectId);
  const missing: (Omit<MissingTag, 'sharesCommit'> & { sharesCommit: boolean })[] = [];
  const back: VanishedTag[] = [];
  const present = new Set<string>();
  const versionsOn = new Map<string, number>();
  let count = 0;
  for await (const { name, commit, committedAt, createdAt } of gitlab.tags(projectId)) {
    count++;
    present.add(name);
    if (!commit || !committedAt) continue;
    if (outcomes.delete(outcomeKey(projectId, name, commit))) {
      if (outcomes.has(deletedTagKey(projectId, name, commit))) back.push({ name, commit });
      continue;
    }
    const isVersion = versionOf(name) !== undefined;
    if (isVersion) versionsOn.set(commit, (versionsOn.get(commit) ?? 0) + 1);
    missing.push({ name, commit, committedAt, createdAt, isVersion, sharesCommit: false });
  }
  for (const tag of missing) tag.sharesCommit = tag.isVersion && (versionsOn.get(tag.commit) ?? 0) > 1;
  return { count, missing: missing.toSorted(newestFirst), gone: goneFrom(outcomes, present, projectId), back };
}

/** Whether the outcomes of a project with these keys are all there. */
export async function areThere(store: ReadStore, projectId: number, keys: readonly string[]): Promise<boolean> {
  const outcomes = await keysOf(store, projectId);
  return keys.every((key) => outcomes.has(key));
}

/**
 * What is left of the outcomes when those of all present tags are taken out. A tag that has moved is not gone, and only
 * versions matter: nothing is served of others.
 */
function goneFrom(outcomes: ReadonlySet<string>, present: ReadonlySet<string>, projectId: number): VanishedTag[] {
  const gone: VanishedTag[] = [];
  for (const key of outcomes) {
    const tag = parseOutcomeKey(projectId, key);
    if (!tag || versionOf(tag.name) === undefined || present.has(tag.name)) continue;
    if (!outcomes.has(deletedTagKey(projectId, tag.name, tag.commit))) gone.push(tag);
  }
  return gone;
}

async function keysOf(store: ReadStore, projectId: number): Promise<Set<string>> {
  const keys = new Set<string>();
  for await (const { key } of store.list(outcomesPrefix(projectId))) keys.add(key);
  return keys;
}

/** In the order of time, so that what was released together stays together; then by version. Names that are none come last. */
function newestFirst(one: MissingTag, other: MissingTag): number {
  if (one.isVersion !== other.isVersion) return one.isVersion ? -1 : 1;
  const later = other.committedAt.getTime() - one.committedAt.getTime();
  return (
    later || compareVersions(versionOf(other.name) ?? '', versionOf(one.name) ?? '') || (one.name < other.name ? -1 : 1)
  );
}

/** What a tag has behind its last slash, if that is a version. */
function versionOf(tag: string): string | undefined {
  return parseVersion(tag.slice(tag.lastIndexOf('/') + 1));
}
