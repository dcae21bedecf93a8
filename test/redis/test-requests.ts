import { z } from 'zod';
import { BullRequests } from '../../src/requests/bull-requests.ts';
import type { BullOptions } from '../../src/redis/bull.ts';

const schema = z.object({ name: z.string() });
type Named = z.infer<typeof schema>;

/** Opens requests in Redis whose answers, like the requests, are only names. No answer is reused. */
export function openRequests(options: BullOptions): BullRequests<Named, Named> {
  return new BullRequests({
    ...options,
    requestSchema: schema,
    answerSchema: schema,
    keepMs: () => 0,
    groupOf: () => 'all',
    subjectsOf: ({ name }) => [name],
  });
}
