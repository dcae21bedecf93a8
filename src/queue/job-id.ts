import type { TagJob } from './queue.ts';

/**
 * The thing that must not be worked on twice at once: one tag of one project. Percent-encoding leaves nothing
 * that has a meaning in a Redis key or in one of Bull's job ids (`:` above all), and `@` cannot occur inside a part.
 */
export function subjectOf(job: Pick<TagJob, 'projectId' | 'tag'>): string {
  return `${job.projectId}@${escape(job.tag)}`;
}

/** What makes two jobs the same one: project, tag and hint. */
export function idOf(job: TagJob): string {
  return `${subjectOf(job)}@${escape(job.hint)}`;
}

function escape(text: string): string {
  // A lone surrogate would make encodeURIComponent throw.
  return encodeURIComponent(text.toWellFormed());
}
