import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { GitLabClient } from '../../src/gitlab/client.ts';
import type { CommitId, HistoryPage } from '../../src/gitlab/schema.ts';
import { Histories } from '../../src/resolve/histories.ts';
import { Memory } from '../resolve/history-fixtures.ts';
import { MAX_BLOCK_MS, measure } from './event-loop.ts';

const TAGS = 10_000;
const PAGES = 250;

const idOf = (kind: 'a' | 'b', number: number): CommitId => `${kind}${`${number}`.padStart(39, '0')}` as CommitId;

/** A GitLab with a long history and many tags, none of which is in the history. */
const gitlab = {
  mergeBase: async () => {
    await setImmediate();
    return undefined;
  },
  async *tagsContaining() {
    // No tag contains the commit.
  },
  historyPage: async (_project: number, _range: object, page: number): Promise<HistoryPage> => {
    await setImmediate();
    const commits = Array.from({ length: 100 }, (_, index) => {
      const number = (page - 1) * 100 + index;
      return { id: idOf('a', number), parents: number === PAGES * 100 - 1 ? [] : [idOf('a', number + 1)] };
    });
    return { commits, isLast: page === PAGES };
  },
} as unknown as GitLabClient;

test('ten thousand tags that are not in a long history do not block the event loop', async () => {
  const tags = Array.from({ length: TAGS }, (_, index) => ({ name: `v1.${index}.0`, commit: idOf('b', index) }));
  const candidates = tags.map(({ commit }) => commit);
  const { result, longestBlockMs } = await measure(() =>
    new Histories(gitlab, new Memory()).open(1, idOf('a', 0), candidates, tags, async (history) => {
      for (const [index, commit] of candidates.entries())
        if (await history.includes(commit, candidates.length - index)) return commit;
      return undefined;
    }),
  );
  expect(result).toBeUndefined();
  expect(longestBlockMs).toBeLessThan(MAX_BLOCK_MS);
});
