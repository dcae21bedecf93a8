import { z } from 'zod';

/**
 * An answer as Redis stores it. `job` is the job that produced the answer. The answer is valid for new requests for
 * `keepMs` milliseconds, and stays in Redis for `stayMs` milliseconds. `answer` is absent if the handler failed. The
 * age of the answer is computed from the expiry of the key, because the clocks of the machines may differ.
 */
export interface StoredAnswer<A> {
  readonly job: string;
  readonly keepMs: number;
  readonly stayMs: number;
  /** The time of the last change that the answer certainly contains, in microseconds of the clock of Redis. */
  readonly changedAt: number;
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
  const shape = {
    job: z.string(),
    keepMs: z.number(),
    stayMs: z.number(),
    changedAt: z.number().default(0),
    answer: answerSchema.optional(),
  };
  return json.pipe(z.object(shape));
}
