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
