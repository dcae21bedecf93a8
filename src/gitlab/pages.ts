import type { z } from 'zod';
import { parseResponse } from './schema.ts';

/** The maximum number of items that GitLab returns in one page. */
export const MAX_PER_PAGE = 100;

/** One page of a list. Its `Link` header contains the URL of the next page. */
export interface Page {
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;
}

/** The query parameters of a page. */
export type PageQuery = Readonly<Record<string, string>>;

/**
 * Yields the items of a list, starting with the page `first`. Follows `Link: rel="next"`, which works for every kind of
 * pagination in GitLab. `read` reads the next page; its errors are thrown unchanged. Throws Retry if a page does not
 * match `schema`.
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
