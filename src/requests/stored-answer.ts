import { z } from 'zod';

/**
 * An answer as Redis stores it. `job` is the job that produced it. It is valid for new requests for `keepMs` milliseconds,
 * and stays in Redis for `stayMs`. `answer` is absent if the handler failed. There is no time stamp, because the clocks of
 * the machines differ: the age follows from the expiry of the key.
 */
export interface StoredAnswer<A> {
  readonly job: string;
  readonly keepMs: number;
  readonly stayMs: number;
  readonly answer?: A | undefined;
}

/** Parses the JSON text of a stored answer. */
export function storedAnswerSchema<A>(answerSchema: z.ZodType<A>): z.ZodType<StoredAnswer<A>> {
  const json = z.string().transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch (error) {
      context.addIssue(String(error));
      return z.NEVER;
    }
  });
  const shape = { job: z.string(), keepMs: z.number(), stayMs: z.number(), answer: answerSchema.optional() };
  return json.pipe(z.object(shape));
}
