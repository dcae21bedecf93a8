import { z } from 'zod';
import type { BullOptions } from '../redis/bull.ts';
import type { QueueOptions } from './job-failure.ts';
import { tagJobSchema } from './tag-job.ts';

/** The options of BullQueue. */
export type BullQueueOptions = BullOptions & QueueOptions;

/**
 * Parses a job as Redis stores it. `nonce` identifies the `add` call that stored the job. `failures` is the number of
 * its failed attempts.
 */
export const storedJobSchema = tagJobSchema.extend({ failures: z.number(), nonce: z.string() });

/** A job as Redis stores it. */
export type StoredJob = z.infer<typeof storedJobSchema>;

/** Places beyond this one are equal, so that pushed tags stay before listed tags. */
const MAX_PLACE = 1_000_000;

/** Returns the name of the line in which the jobs of a project wait. */
export function lineOf(projectId: number): string {
  return `project:${projectId}`;
}

/**
 * Returns the priority in Bull of a job that has this place in the line of its project, where 1 runs first. Pushed tags
 * run before listed tags.
 */
export function bullPriority(priority: StoredJob['priority'], place: number): number {
  return (priority === 'pushed' ? 0 : MAX_PLACE) + Math.min(place, MAX_PLACE);
}
