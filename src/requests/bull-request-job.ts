import { z } from 'zod';
import type { BullOptions } from '../redis/bull.ts';
import type { RedisConnection } from '../redis/connection.ts';
import type { RequestsOptions } from './requests.ts';

/**
 * The options of BullRequests. A request is put into the queue again if its worker does not renew the lease for
 * `lockMs`.
 */
export interface BullRequestsOptions<R, A> extends BullOptions, RequestsOptions<R, A> {
  readonly requestSchema: z.ZodType<R>;
  readonly answerSchema: z.ZodType<A>;
}

/**
 * Parses a request in the queue. Equal requests have the same `id`. If several clients wait for one of them, it is in
 * the queue once for each client, with the same `job`. The first worker that takes it removes `job` from the lease, so
 * the others are dropped.
 */
export const requestJobSchema = z.object({
  id: z.string(),
  job: z.string(),
  request: z.unknown(),
  client: z.string().default(''),
  group: z.string().default(''),
});
/** A request in the queue. */
export type RequestJob = z.infer<typeof requestJobSchema>;

/** Returns the key of the time of the last change of a subject. */
export function changeKey(redis: RedisConnection, subject: string): string {
  return redis.key(`changed:${subject}`);
}

/** Returns the key of the answer to the request with this id. */
export function answerKey(redis: RedisConnection, id: string): string {
  return redis.key(`answer:${id}`);
}

/** Returns the key of the lease of the request with this id. Its value names the holder, or the waiting job. */
export function leaseKey(redis: RedisConnection, id: string): string {
  return redis.key(`request-lease:${id}`);
}
