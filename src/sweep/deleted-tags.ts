import type { Logger } from 'pino';
import { Retry } from '../errors.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import { parseCommit } from '../gitlab/schema.ts';
import { jsonLine } from '../io/json.ts';
import { deletedTagKey } from '../store/layout.ts';
import { readOutcome } from '../store/outcome.ts';
import type { Store } from '../store/store.ts';
import type { ComparedTags } from './compare-tags.ts';

/** The dependencies of `markDeletedTags`. */
export interface DeletedTagsParts {
  readonly gitlab: Pick<GitLabClient, 'hasTag'>;
  readonly store: Store;
  readonly log: Logger;
}

/**
 * GitLab must confirm the deletion of this many tags, one by one, before all tags that are missing in its list count as
 * deleted. A list can be empty or incomplete by mistake, for example after a failed restore of the repository.
 */
const MAX_CONFIRMED = 10;

/**
 * Marks the tags that were deleted in GitLab, and removes the marks of tags that were restored at the same commit. A
 * published version stays in service after its tag was deleted, because builds may depend on it. Rejects with
 * StoreUnavailable.
 */
export async function markDeletedTags(
  { gitlab, store, log }: DeletedTagsParts,
  projectId: number,
  { deleted, restored }: Pick<ComparedTags, 'deleted' | 'restored'>,
): Promise<void> {
  for (const { name } of deleted.slice(0, MAX_CONFIRMED)) await assertDeleted(gitlab, projectId, name);
  for (const { name, commit } of deleted) {
    const id = parseCommit(commit);
    const outcome = id && (await readOutcome(store, projectId, name, id));
    await store.put(deletedTagKey(projectId, name, commit), jsonLine({ seenAt: new Date().toISOString() }));
    if (outcome?.status !== 'published') continue;
    const { module, version, project } = outcome;
    log.warn(
      { event: 'tag.deleted', projectId, project, tag: name, commit, module, version },
      'the tag of a published version was deleted in GitLab; the version stays in service until you run modpress withdraw',
    );
  }
  for (const { name, commit } of restored) await store.delete(deletedTagKey(projectId, name, commit));
}

async function assertDeleted(gitlab: DeletedTagsParts['gitlab'], projectId: number, tag: string): Promise<void> {
  if (await gitlab.hasTag(projectId, tag))
    throw new Retry(`GitLab has tag ${tag} of project ${projectId}, but does not list it`);
}
