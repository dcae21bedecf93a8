import type { z } from 'zod';
import { parseResponse } from './schema.ts';

/** The largest page that GitLab returns. */
export const MAX_PER_PAGE = 100;

/** One page of a list. Its header `Link` leads to the next one. */
export interface Page {
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;
}

/** The query parameters of a page. */
export type PageQuery = Readonly<Record<string, string>>;

/**
 * The items of a list from page `first` on. Follows `Link: rel="next"`, so it works for every kind of pagination in
 * GitLab. `read` gets the next page, and its errors are passed on. Rejects with Retry if a page does not fit `schema`.
 */
export async function* itemsFrom<T>(
  first: Page,
  schema: z.ZodType<T[]>,
  endpoint: string,
  read: (query: PageQuery) => Promise<Page>,
): AsyncGenerator<T> {
  for (let page = first; ;) {
    yield* parseResponse(schema, page.body, endpoint) ?? [];
    const query = nextQuery(page);
    if (!query) return;
    page = await read(query);
  }
}

function nextQuery({ headers }: Page): PageQuery | undefined {
  const next = /<([^>]+)>;\s*rel="next"/.exec(headers['link'] ?? '')?.[1];
  return next === undefined ? undefined : Object.fromEntries(new URL(next).searchParams);
}
