import type { Logger } from 'pino';
import { parseCommit } from '../gitlab/schema.ts';
import { jsonLine } from '../io/json.ts';
import { deletedTagKey } from '../store/layout.ts';
import { readOutcome } from '../store/outcome.ts';
import type { Store } from '../store/store.ts';
import type { ComparedTags } from './compare-tags.ts';

/**
 * Marks the tags that were deleted in GitLab, and removes the marks of tags that were restored at the same commit. A
 * published version stays in service after its tag was deleted, because builds may depend on it. Rejects with
 * StoreUnavailable.
 */
export async function markDeletedTags(
  { store, log }: { readonly store: Store; readonly log: Logger },
  projectId: number,
  { deleted, restored }: Pick<ComparedTags, 'deleted' | 'restored'>,
): Promise<void> {
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
