import { z } from 'zod';
import { parseModulePath, type ModulePath } from '../module/path.ts';
import { parseVersion, type Version } from '../module/version.ts';

/** What the proxy asks a worker, and what it is answered, as they pass through a queue. */

const modulePath = z.string().transform((text, context): ModulePath => {
  const path = parseModulePath(text);
  if (typeof path === 'string') return path;
  context.addIssue(path.reason);
  return z.NEVER;
});
const version = z.string().transform((text, context): Version => {
  const parsed = parseVersion(text);
  if (parsed !== undefined) return parsed;
  context.addIssue('not a canonical version');
  return z.NEVER;
});

/**
 * `info`: what does this query mean, such as a branch, a commit or `latest`. `list`: which versions do tags name. `mod`: what
 * is this version's go.mod. `publish`: have this version built and stored.
 */
export const onDemandRequestSchema = z.discriminatedUnion('ask', [
  z.object({ ask: z.literal('info'), module: modulePath, query: z.string() }),
  z.object({ ask: z.literal('list'), module: modulePath }),
  z.object({ ask: z.literal('mod'), module: modulePath, version }),
  z.object({ ask: z.literal('publish'), module: modulePath, version }),
]);

/**
 * A list is `complete` if all of it is published. `absent` is what the go command would not find or not accept, with the reason; `later` what cannot be told or done now,
 * and in how many milliseconds it is worth asking again.
 */
export const onDemandAnswerSchema = z.discriminatedUnion('is', [
  z.object({ is: z.literal('info'), text: z.string() }),
  z.object({ is: z.literal('list'), versions: z.array(version), complete: z.boolean() }),
  z.object({ is: z.literal('mod'), base64: z.base64() }),
  z.object({ is: z.literal('published') }),
  z.object({ is: z.literal('absent'), reason: z.string() }),
  z.object({ is: z.literal('later'), reason: z.string(), afterMs: z.number() }),
]);

/** A question about a private module that the store alone cannot answer. */
export type OnDemandRequest = z.output<typeof onDemandRequestSchema>;
/** The answer to a question. */
export type OnDemandAnswer = z.output<typeof onDemandAnswerSchema>;

/**
 * For how long an answer goes for everybody who asks the same, in milliseconds. What exists is kept for the moment that one
 * command takes, since a branch moves; a complete list for longer, since what is tagged later comes into the store, and so
 * into the list, by itself. What does not exist is kept because the go command asks for every prefix of every path.
 */
export function keepMs(answer: OnDemandAnswer): number {
  return answer.is === 'list' && answer.complete ? COMPLETE_LIST_MS : KEEP_MS[answer.is];
}

const COMPLETE_LIST_MS = 600_000;
const KEEP_MS: Readonly<Record<OnDemandAnswer['is'], number>> = {
  info: 5_000,
  list: 5_000,
  mod: 5_000,
  published: 0,
  absent: 30_000,
  later: 2_000,
};
