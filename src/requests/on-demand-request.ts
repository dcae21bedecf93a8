import { z } from 'zod';
import { comparablePath } from '../module/path-elements.ts';
import { parseModulePath, type ModulePath } from '../module/path.ts';
import { parseVersion, type Version } from '../module/version.ts';

/** The on-demand requests of the proxy to a worker, and their answers, in the form that the queue transports. */

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
 * - `info`: resolve a query, such as a branch, a commit or `latest`.
 * - `list`: list the versions that have a tag.
 * - `mod`: read the go.mod of a version.
 * - `publish`: build a version and store it.
 */
export const onDemandRequestSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('info'), module: modulePath, query: z.string() }),
  z.object({ kind: z.literal('list'), module: modulePath }),
  z.object({ kind: z.literal('mod'), module: modulePath, version }),
  z.object({ kind: z.literal('publish'), module: modulePath, version }),
]);

/**
 * - `info`: the text of the .info file.
 * - `list`: the versions; `complete` is true if all of them are published.
 * - `mod`: the bytes of go.mod.
 * - `published`: the version is in the store.
 * - `absent`: by the rules of the go command, the version does not exist or is not acceptable; `reason` says why.
 * - `later`: a temporary failure; the client should send the same request again after `afterMs` milliseconds.
 */
export const onDemandAnswerSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('info'), text: z.string() }),
  z.object({ kind: z.literal('list'), versions: z.array(version), complete: z.boolean() }),
  z.object({ kind: z.literal('mod'), base64: z.base64() }),
  z.object({ kind: z.literal('published') }),
  z.object({ kind: z.literal('absent'), reason: z.string() }),
  z.object({ kind: z.literal('later'), reason: z.string(), afterMs: z.number() }),
]);

/** A request about a private module that the store alone cannot answer. */
export type OnDemandRequest = z.output<typeof onDemandRequestSchema>;
/** The answer to an OnDemandRequest. */
export type OnDemandAnswer = z.output<typeof onDemandAnswerSchema>;

/** Returns the subject of a project whose root has this module path. */
export function projectSubject(rootPath: string): string {
  return comparablePath(rootPath);
}

/** Returns the group of a request, which is its module. */
export function groupOf({ module }: OnDemandRequest): string {
  return module;
}

/**
 * Returns how long an answer is valid for later equal requests, in milliseconds.
 *
 * Information about an existing version is kept for about as long as one go command runs, because a branch can move. A
 * complete list is kept longer: a worker publishes each later tag, and the proxy adds published versions to the list.
 * `absent` is kept because the go command requests every prefix of every package path.
 */
export function keepMs(answer: OnDemandAnswer): number {
  return answer.kind === 'list' && answer.complete ? COMPLETE_LIST_MS : KEEP_MS[answer.kind];
}

const COMPLETE_LIST_MS = 600_000;
const KEEP_MS: Readonly<Record<OnDemandAnswer['kind'], number>> = {
  info: 5_000,
  list: 5_000,
  mod: 5_000,
  published: 0,
  absent: 30_000,
  later: 2_000,
};
