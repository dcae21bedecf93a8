import type { Logger } from 'pino';
import { parseCommit } from '../gitlab/schema.ts';
import { readOutcome } from '../store/outcome.ts';
import { deletedTagKey } from '../store/layout.ts';
import type { Store } from '../store/store.ts';
import type { ComparedTags } from './compare-tags.ts';

/**
 * Marks published tags that were deleted in GitLab. They stay served: builds depend on them. A mark goes when the tag is
 * back at the same commit.
 */
export async function markDeletedTags(
  { store, log }: { readonly store: Store; readonly log: Logger },
  projectId: number,
  { gone, back }: Pick<ComparedTags, 'gone' | 'back'>,
): Promise<void> {
  for (const { name, commit } of gone) {
    const id = parseCommit(commit);
    const outcome = id && (await readOutcome(store, projectId, name, id));
    await store.put(
      deletedTagKey(projectId, name, commit),
      Buffer.from(`${JSON.stringify({ seenAt: new Date().toISOString() })}\n`),
    );
    if (outcome?.status !== 'published') continue;
    const { module, version, project } = outcome;
    log.warn(
      { projectId, project, tag: name, commit, module, version },
      'a published tag was deleted in GitLab: the version stays served; modpress withdraw takes it out of service',
    );
  }
  for (const { name, commit } of back) await store.delete(deletedTagKey(projectId, name, commit));
}
