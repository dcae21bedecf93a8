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
  /** Versions with an outcome whose tag is no longer in GitLab, and which are not marked as deleted yet. */
  readonly deleted: readonly TagAtCommit[];
  /** Tags that are marked as deleted and are in GitLab again. */
  readonly restored: readonly TagAtCommit[];
}

/** A tag without an outcome at its commit. */
export interface MissingTag {
  readonly name: string;
  readonly commit: CommitId;
  readonly committedAt: Date;
  /** When the tag was created. Undefined for a lightweight tag, which has no time. */
  readonly createdAt: Date | undefined;
  /** Whether the name ends in a valid version. */
  readonly isVersion: boolean;
  /** Whether other versions without an outcome are tagged on the same commit. */
  readonly sharesCommit: boolean;
}

/** A tag at a commit for which there is an outcome. */
export interface TagAtCommit {
  readonly name: string;
  readonly commit: string;
}

/**
 * Compares the tags of a project with its outcomes. Lists the tags once and the outcomes once; a tag with an outcome
 * costs no further call. Rejects with Retry when GitLab cannot be read, and with StoreUnavailable.
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
    if (!commit || !committedAt) continue;
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

/** Whether the store has all outcomes of a project with these keys. Rejects with StoreUnavailable. */
export async function hasAllOutcomes(store: ReadStore, projectId: number, keys: readonly string[]): Promise<boolean> {
  const outcomes = await outcomeKeys(store, projectId);
  return keys.every((key) => outcomes.has(key));
}

/**
 * Finds the deleted tags. `remaining` has the keys of the outcomes that belong to no tag at its present commit. A tag
 * that is `present` at another commit was moved, not deleted. Tags that are not versions do not matter, because nothing
 * is published for them.
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
 * Orders by time first, so that versions released together stay together, then by version. Tags that are not versions
 * come last.
 */
function newestFirst(a: MissingTag, b: MissingTag): number {
  if (a.isVersion !== b.isVersion) return a.isVersion ? -1 : 1;
  const byTime = b.committedAt.getTime() - a.committedAt.getTime();
  return byTime || compareVersions(versionOf(b.name) ?? '', versionOf(a.name) ?? '') || (a.name < b.name ? -1 : 1);
}

/** The part of a tag after its last slash, if that is a version. */
function versionOf(tag: string): string | undefined {
  return parseVersion(tag.slice(tag.lastIndexOf('/') + 1));
}
