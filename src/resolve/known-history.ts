import { z } from 'zod';
import { parseCommit, type CommitId } from '../gitlab/schema.ts';
import { parseJson } from '../io/json.ts';

/**
 * What is known of the history of a commit, which never changes. It is stored, because finding it can take many calls to
 * GitLab, and because it is the start for the next commit of the same branch.
 */

/**
 * Whether a tagged commit is in a history: `ancestor` or `other`. An `open` commit is in the history if and only if it is
 * in the rest of its listing.
 */
export type Verdict = 'ancestor' | 'other' | 'open';

/** A history in which not all commits are known. */
export interface KnownHistory {
  /** The newest commit of the history. */
  readonly commit: CommitId;
  /** The verdicts on tagged commits. A commit without a verdict was not looked for. */
  readonly verdicts: ReadonlyMap<CommitId, Verdict>;
  /** The part of the history that was not read yet: the listing of a commit, after a number of pages. */
  readonly rest: ListingRest | undefined;
}

/** A listing of a commit and its ancestors whose first pages were read. */
export interface ListingRest {
  readonly commit: CommitId;
  readonly pages: number;
}

/** The maximum number of histories that are stored for a project: about one for each branch that is in use. */
const MAX_HISTORIES = 8;
/** The maximum number of tagged commits that are stored for a project. */
export const MAX_TAGGED = 10_000;

const LETTERS: Readonly<Record<Verdict, string>> = { ancestor: 'a', other: 'o', open: '?' };
const VERDICTS = new Map(Object.entries(LETTERS).map(([verdict, letter]) => [letter, verdict as Verdict]));
/** Stands for a commit without a verdict. */
const NONE = '-';

const commitSchema = z.string().transform((text, context): CommitId => {
  const commit = parseCommit(text);
  if (commit !== undefined) return commit;
  context.addIssue('not a commit id');
  return z.NEVER;
});

/** Each verdict is a letter at the place of its commit in `tagged`. */
const storedSchema = z.object({
  tagged: z.array(commitSchema).max(MAX_TAGGED),
  histories: z
    .array(
      z.object({
        commit: commitSchema,
        verdicts: z.string(),
        rest: z.object({ commit: commitSchema, pages: z.number().int() }).optional(),
      }),
    )
    .max(MAX_HISTORIES),
});

/** Parses the stored histories of a project. Returns an empty list if the store has no histories, or damaged ones. */
export function parseHistories(bytes: Buffer | undefined): KnownHistory[] {
  const { data } = storedSchema.safeParse(bytes && parseJson(bytes));
  return (data?.histories ?? []).map(({ commit, verdicts, rest }) => ({
    commit,
    rest,
    verdicts: new Map(
      (data?.tagged ?? []).flatMap((tagged, index) => {
        const verdict = VERDICTS.get(verdicts[index] ?? NONE);
        return verdict ? [[tagged, verdict] as const] : [];
      }),
    ),
  }));
}

/** Returns the histories of a project in the form in which they are stored. The first ones are the most important. */
export function formatHistories(histories: readonly KnownHistory[]): Buffer {
  const kept = histories.slice(0, MAX_HISTORIES);
  const tagged = [...new Set(kept.flatMap(({ verdicts }) => [...verdicts.keys()]))].slice(0, MAX_TAGGED);
  const stored: z.input<typeof storedSchema> = {
    tagged,
    histories: kept.map(({ commit, verdicts, rest }) => ({
      commit,
      rest,
      verdicts: tagged.map((id) => letterOf(verdicts.get(id))).join(''),
    })),
  };
  return Buffer.from(JSON.stringify(stored));
}

function letterOf(verdict: Verdict | undefined): string {
  return verdict === undefined ? NONE : LETTERS[verdict];
}
