import type { GitLabClient } from '../gitlab/client.ts';
import { ErrorResponse } from '../gitlab/error-response.ts';
import { InvalidResponse } from '../gitlab/invalid-response.ts';
import type { CommitId } from '../gitlab/schema.ts';
import { CallBudget } from './call-budget.ts';
import type { KnownHistory, ListingRest, Verdict } from './known-history.ts';

/**
 * Up to this number, tagged commits are only compared with the commit one by one. In most repositories the first one is
 * in the history.
 */
const FEW_COMPARISONS = 4;
/** The maximum number of pages that are read from a commit back to a commit whose history is known. */
const MAX_PAGES_TO_KNOWN = 50;
/** The number of names on a page. */
const NAMES_PER_PAGE = 100;

/** The repository and the commit of a history. */
export interface HistoryPlace {
  readonly gitlab: GitLabClient;
  readonly projectId: number;
  readonly commit: CommitId;
  /** All commits that the caller may look for, the most important ones first. */
  readonly tagged: ReadonlySet<CommitId>;
  /** The names of all tags, with their commits. */
  readonly tags: readonly { readonly name: string; readonly commit: CommitId }[];
  /** Reads the histories that are known of the project. Called only if there are many commits to look for. */
  readonly readKnown: () => Promise<readonly KnownHistory[]>;
}

/**
 * A commit with all its ancestors, in which tagged commits are looked for (`git merge-base --is-ancestor`). It is learnt
 * from GitLab as far as necessary, by three kinds of calls:
 *
 * - A comparison with one commit (`merge_base`), which decides about this commit only.
 * - The tags that contain the commit. They are newer, so they are not in the history.
 * - A page of the history, with a hundred commits. Each commit on it is in the history. After the last page, all others
 *   are not. For the next commit of a branch, only the pages back to the known commit are read.
 *
 * The number of pages is at most that of the comparisons that they may save, so a history takes at most twice as many
 * calls as the cheaper of the two ways.
 */
export class History {
  readonly #place: HistoryPlace;
  readonly #verdicts: Map<CommitId, Verdict>;
  readonly #budget: CallBudget;
  #rest: ListingRest | undefined;
  #comparisons = 0;
  #hasReadNewerTags = false;
  #hasReadKnown = false;
  #hasLearnt = false;
  #hasLostCommits = false;
  /** Whether the last commit of the last page has no parents. Then a page without a successor is the end. */
  #endsInRoot = false;

  /** `verdicts` are the verdicts that are known already. The history adds its own. */
  constructor(place: HistoryPlace, verdicts: Map<CommitId, Verdict>) {
    this.#place = place;
    this.#verdicts = verdicts;
    // Without the rest of the listing, which is not read yet, these verdicts mean nothing.
    for (const [commit, verdict] of verdicts) if (verdict === 'open') verdicts.delete(commit);
    this.#budget = new CallBudget(`comparing the ${place.tags.length} tags with the history`);
  }

  /** What is known now, if it is worth storing: it took more than a few calls, and was not stored before. */
  get learnt(): KnownHistory | undefined {
    if (!this.#hasLearnt) return undefined;
    return { commit: this.#place.commit, verdicts: this.#verdicts, rest: this.#rest };
  }

  /** Whether the repository lacks a commit whose history is known, for example after a forced push. */
  get hasLostCommits(): boolean {
    return this.#hasLostCommits;
  }

  /**
   * Returns whether a commit is in the history. `remaining` is the number of commits that the caller may still look for,
   * including this one. Rejects with Retry if GitLab fails, and with Postponed if this takes too many calls for one
   * request.
   */
  async includes(commit: CommitId, remaining: number): Promise<boolean> {
    if (commit === this.#place.commit) return true;
    for (;;) {
      const verdict = this.#verdicts.get(commit);
      if (verdict === 'ancestor' || verdict === 'other') return verdict === 'ancestor';
      await this.#learn(commit, remaining);
    }
  }

  async #learn(commit: CommitId, remaining: number): Promise<void> {
    if (this.#comparisons === 0) return await this.#compare(commit);
    if (!this.#hasReadNewerTags) return await this.#readNewerTags();
    if (this.#comparisons < FEW_COMPARISONS || remaining <= FEW_COMPARISONS) return await this.#compare(commit);
    if (!this.#hasReadKnown) return await this.#readKnown();
    if (this.#rest && this.#rest.pages < Math.min(remaining, this.#undecided)) return await this.#readPage(this.#rest);
    await this.#compare(commit);
  }

  /** The number of tagged commits without a final verdict. */
  get #undecided(): number {
    let count = 0;
    for (const commit of this.#place.tagged) if (!this.#isDecided(commit)) count++;
    return count;
  }

  #isDecided(commit: CommitId): boolean {
    const verdict = this.#verdicts.get(commit);
    return verdict === 'ancestor' || verdict === 'other';
  }

  async #compare(commit: CommitId): Promise<void> {
    const { gitlab, projectId } = this.#place;
    this.#budget.spend();
    this.#comparisons++;
    const base = await gitlab.mergeBase(projectId, commit, this.#place.commit);
    this.#verdicts.set(commit, base === commit ? 'ancestor' : 'other');
    this.#hasLearnt ||= this.#hasReadKnown;
  }

  async #readNewerTags(): Promise<void> {
    const { gitlab, projectId, commit, tags } = this.#place;
    this.#hasReadNewerTags = true;
    const newer = new Set<string>();
    for await (const name of gitlab.tagsContaining(projectId, commit)) {
      if (newer.size % NAMES_PER_PAGE === 0) this.#budget.spend();
      newer.add(name);
    }
    for (const tag of tags) if (tag.commit !== commit && newer.has(tag.name)) this.#verdicts.set(tag.commit, 'other');
  }

  /** Continues with what is known of this history, or of the history of an ancestor. */
  async #readKnown(): Promise<void> {
    const { commit, tagged, readKnown } = this.#place;
    this.#hasReadKnown = true;
    const known = await readKnown();
    const own = known.find((history) => history.commit === commit);
    if (own) this.#adopt(own);
    else await this.#continueFrom(known);
    const unknown = [...tagged].filter((each) => !this.#verdicts.has(each));
    if (unknown.length <= FEW_COMPARISONS) return;
    this.#hasLearnt = true;
    // Tags that were added since may be on pages that were read before.
    this.#rest = { commit, pages: 0 };
    for (const each of tagged) if (!this.#isDecided(each)) this.#verdicts.set(each, 'open');
  }

  /** Looks for an ancestor whose history is known, and reads the commits after it. */
  async #continueFrom(known: readonly KnownHistory[]): Promise<void> {
    const { gitlab, projectId, commit } = this.#place;
    if (known.length === 0) return;
    this.#budget.spend();
    // With several commits, this is the newest common ancestor of the commit and any of them (git merge-base). If it is
    // one of them, it is an ancestor of the commit.
    const base = await gitlab
      .mergeBase(projectId, commit, ...known.map((history) => history.commit))
      .catch((error: unknown) => this.#undefinedIfLost(error));
    const ancestor = known.find((history) => history.commit === base);
    if (!ancestor) return;
    this.#hasLearnt = true;
    let isConnected = false;
    for (let number = 1; number <= MAX_PAGES_TO_KNOWN; number++) {
      this.#budget.spend();
      const page = await gitlab.historyPage(projectId, { from: ancestor.commit, to: commit }, number);
      for (const { id, parents } of page.commits) {
        this.#meet(id);
        isConnected ||= parents.includes(ancestor.commit);
      }
      if (!page.isLast) continue;
      // A listing that was truncated ends before the ancestor.
      if (isConnected) this.#adopt(ancestor);
      return;
    }
  }

  #undefinedIfLost(error: unknown): undefined {
    // GitLab responds with 400 if one of the commits does not exist (lib/api/repositories.rb).
    if (!(error instanceof ErrorResponse) || error.status !== 400) throw error;
    this.#hasLostCommits = true;
  }

  /** Takes over the verdicts of a known history, after the commits that it lacks were met. */
  #adopt({ verdicts, rest }: KnownHistory): void {
    for (const [commit, verdict] of verdicts) if (!this.#isDecided(commit)) this.#verdicts.set(commit, verdict);
    this.#rest = rest;
  }

  /** Reads the next page of the rest of the history. */
  async #readPage(rest: ListingRest): Promise<void> {
    const { gitlab, projectId } = this.#place;
    this.#budget.spend();
    const { commits, isLast } = await gitlab.historyPage(projectId, { to: rest.commit }, rest.pages + 1);
    if (rest.pages === 0 && commits[0]?.id !== rest.commit)
      throw new InvalidResponse(`GitLab's history of ${rest.commit} does not begin with this commit`);
    for (const { id } of commits) this.#meet(id);
    const last = commits.at(-1);
    if (last) this.#endsInRoot = last.parents.length === 0;
    this.#rest = isLast ? undefined : { ...rest, pages: rest.pages + 1 };
    this.#hasLearnt = true;
    if (isLast) this.#closeListing();
  }

  /**
   * Decides about the open commits after the last page. If the history does not end in a commit without parents, it may
   * be truncated, and the open commits are compared one by one.
   */
  #closeListing(): void {
    for (const [commit, verdict] of this.#verdicts) {
      if (verdict !== 'open') continue;
      if (this.#endsInRoot) this.#verdicts.set(commit, 'other');
      else this.#verdicts.delete(commit);
    }
  }

  #meet(commit: CommitId): void {
    if (this.#place.tagged.has(commit)) this.#verdicts.set(commit, 'ancestor');
  }
}
