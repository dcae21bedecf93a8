import type { CommitId } from '../gitlab/schema.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import { compareVersions, parseVersion } from '../module/version.ts';
import { deletedTagKey, outcomeKey, outcomesPrefix, parseOutcomeKey } from '../store/layout.ts';
import type { ReadStore } from '../store/store.ts';

/** A project's tags, compared with the outcomes in the store. */
export interface ComparedTags {
  /** Number of tags in GitLab. */
  readonly count: number;
  /** Tags without an outcome, newest first. */
  readonly missing: readonly MissingTag[];
  /** Version tags that have an outcome, are no longer in GitLab, and are not yet marked as deleted. */
  readonly deleted: readonly TagAtCommit[];
  /** Tags that are marked as deleted but are in GitLab again at the same commit. */
  readonly restored: readonly TagAtCommit[];
}

/** A tag without an outcome at its commit. */
export interface MissingTag {
  readonly name: string;
  readonly commit: CommitId;
  /** Undefined if GitLab's list does not contain it in a form that can be read. The tag has to be read again then. */
  readonly committedAt: Date | undefined;
  /** When the tag was created. Undefined for a lightweight tag, which has no creation time. */
  readonly createdAt: Date | undefined;
  /** Whether the tag name ends in a valid version. */
  readonly isVersion: boolean;
  /** Whether the same commit has another version tag without an outcome. */
  readonly sharesCommit: boolean;
}

/** A tag that has an outcome at this commit. */
export interface TagAtCommit {
  readonly name: string;
  readonly commit: string;
}

/**
 * Compares the tags of a project with its outcomes. Lists the tags and the outcomes only once, so a tag with an outcome
 * needs no call of its own. Rejects with Retry if GitLab cannot be read, and with StoreUnavailable if the store cannot
 * be read.
 */
export async function compareTags(
  { gitlab, store }: { gitlab: GitLabClient; store: ReadStore },
  projectId: number,
): Promise<ComparedTags> {
  const outcomes = await outcomeKeys(store, projectId);
  const missing: (Omit<MissingTag, 'sharesCommit'> & { sharesCommit: boolean })[] = [];
  const restored: TagAtCommit[] = [];
  const present = new Set<string>();
  const versionsAt = new Map<string, number>();
  let count = 0;
  for await (const { name, commit, committedAt, createdAt } of gitlab.tags(projectId)) {
    count++;
    present.add(name);
    if (!commit) continue;
    if (outcomes.delete(outcomeKey(projectId, name, commit))) {
      if (outcomes.has(deletedTagKey(projectId, name, commit))) restored.push({ name, commit });
      continue;
    }
    const isVersion = versionOf(name) !== undefined;
    if (isVersion) versionsAt.set(commit, (versionsAt.get(commit) ?? 0) + 1);
    missing.push({ name, commit, committedAt, createdAt, isVersion, sharesCommit: false });
  }
  for (const tag of missing) tag.sharesCommit = tag.isVersion && (versionsAt.get(tag.commit) ?? 0) > 1;
  return {
    count,
    missing: missing.toSorted(newestFirst),
    deleted: deletedTags(outcomes, present, projectId),
    restored,
  };
}

/** Whether the store has the outcomes of a project under all these keys. Rejects with StoreUnavailable. */
export async function hasAllOutcomes(store: ReadStore, projectId: number, keys: readonly string[]): Promise<boolean> {
  const outcomes = await outcomeKeys(store, projectId);
  return keys.every((key) => outcomes.has(key));
}

/**
 * Returns the version tags that have an outcome but were deleted in GitLab. `remaining` contains the keys of outcomes
 * that match no tag at its current commit, and the keys of deletion marks. A tag in `present` was moved to another
 * commit, not deleted. Tags that are not versions are left out, because nothing is published for them.
 */
function deletedTags(remaining: ReadonlySet<string>, present: ReadonlySet<string>, projectId: number): TagAtCommit[] {
  const deleted: TagAtCommit[] = [];
  for (const key of remaining) {
    const tag = parseOutcomeKey(projectId, key);
    if (!tag || versionOf(tag.name) === undefined || present.has(tag.name)) continue;
    if (!remaining.has(deletedTagKey(projectId, tag.name, tag.commit))) deleted.push(tag);
  }
  return deleted;
}

async function outcomeKeys(store: ReadStore, projectId: number): Promise<Set<string>> {
  const keys = new Set<string>();
  for await (const { key } of store.list(outcomesPrefix(projectId))) keys.add(key);
  return keys;
}

/**
 * Sorts by commit time first, so that versions released together stay together, and then by version. Newer tags come
 * first. Tags that are not versions come last.
 */
function newestFirst(a: MissingTag, b: MissingTag): number {
  if (a.isVersion !== b.isVersion) return a.isVersion ? -1 : 1;
  const byTime = (b.committedAt?.getTime() ?? 0) - (a.committedAt?.getTime() ?? 0);
  return byTime || compareVersions(versionOf(b.name) ?? '', versionOf(a.name) ?? '') || (a.name < b.name ? -1 : 1);
}

/** Returns the part of a tag name after its last slash if this part is a valid version. */
function versionOf(tag: string): string | undefined {
  return parseVersion(tag.slice(tag.lastIndexOf('/') + 1));
}
