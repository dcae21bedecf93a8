import { listedTag, type ListedTag, type TagJob } from '../queue/tag-job.ts';

/** A tag in GitLab's list. `committedAt` is undefined if the list does not contain it in a form that can be read. */
type TagInList = Omit<ListedTag, 'committedAt'> & { readonly committedAt: Date | undefined };

/**
 * Returns the job for a tag of a listing that was read at `readAt`. `path` is the project's full path, if the listing
 * has it. If the listing contains no time for the tag, the job has to read the tag again.
 */
export function jobOf(
  project: { readonly id: number; readonly path?: string | undefined },
  { committedAt, ...tag }: TagInList,
  readAt: Date,
): TagJob {
  const { cachedTag, ...job } = listedTag(project, { ...tag, committedAt: committedAt ?? readAt }, readAt);
  return committedAt === undefined ? job : { ...job, cachedTag };
}
