import { LRUCache } from 'lru-cache';
import type { GitLabClient } from '../gitlab/client.ts';
import type { CommitId } from '../gitlab/schema.ts';
import { History, type HistoryPlace } from './history.ts';
import { formatHistories, MAX_TAGGED, parseHistories, type Verdict } from './known-history.ts';

/** Keeps what is known of the histories of a project, so that another process, or the next commit, need not find it. */
export interface HistoryMemory {
  /** Resolves to undefined if nothing is kept for the project. */
  read(projectId: number): Promise<Buffer | undefined>;
  write(projectId: number, histories: Buffer): Promise<void>;
}

/** The maximum number of verdicts in memory. */
const MAX_VERDICTS = 100_000;

const NO_MEMORY: HistoryMemory = { read: async () => undefined, write: async () => undefined };

/** Opens the histories of commits. Several requests about one commit share what they learn. */
export class Histories {
  readonly #gitlab: GitLabClient;
  readonly #memory: HistoryMemory;
  readonly #verdicts = new LRUCache<string, Map<CommitId, Verdict>>({
    maxSize: MAX_VERDICTS,
    sizeCalculation: (verdicts) => verdicts.size + 1,
  });
  /** The last work on each history that is open. */
  readonly #open = new Map<string, Promise<unknown>>();

  constructor(gitlab: GitLabClient, memory: HistoryMemory = NO_MEMORY) {
    this.#gitlab = gitlab;
    this.#memory = memory;
  }

  /**
   * Runs `work` with the history of a commit, in which it looks for `candidates`. `tags` are all tags of the repository.
   * Rejects as `work` does, and with an error of the memory.
   */
  async open<T>(
    projectId: number,
    commit: CommitId,
    candidates: readonly CommitId[],
    tags: HistoryPlace['tags'],
    work: (history: History) => Promise<T>,
  ): Promise<T> {
    const key = `${projectId} ${commit}`;
    const run = async (): Promise<T> => {
      const verdicts = this.#verdicts.get(key) ?? new Map<CommitId, Verdict>();
      const tagged = new Set([...candidates, ...tags.map((tag) => tag.commit)].slice(0, MAX_TAGGED));
      const readKnown = async () => parseHistories(await this.#memory.read(projectId));
      const history = new History({ gitlab: this.#gitlab, projectId, commit, tagged, tags, readKnown }, verdicts);
      try {
        return await work(history);
      } finally {
        this.#verdicts.set(key, verdicts);
        await this.#remember(projectId, history);
      }
    };
    // One after the other, because each of them would make the same calls.
    const result = (this.#open.get(key) ?? Promise.resolve()).then(run, run);
    const end = result
      .catch(() => undefined)
      .finally(() => {
        if (this.#open.get(key) === end) this.#open.delete(key);
      });
    this.#open.set(key, end);
    return await result;
  }

  async #remember(projectId: number, { learnt, hasLostCommits }: History): Promise<void> {
    if (!learnt) return;
    const known = hasLostCommits ? [] : parseHistories(await this.#memory.read(projectId));
    const others = known.filter(({ commit }) => commit !== learnt.commit);
    await this.#memory.write(projectId, formatHistories([learnt, ...others]));
  }
}
