import { z } from 'zod';
import { InvalidResponse } from './invalid-response.ts';
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
 * Reads what it can of an item that does not match its schema. `reason` says what is wrong with the item. If the result
 * is undefined, the item is left out of the list. If it throws, reading the list ends with this error.
 */
export type ReadInvalidItem<T> = (item: unknown, reason: string) => T | undefined;

/**
 * Yields the items of a list, starting with the page `first`. Follows `Link: rel="next"`, which works for every kind of
 * pagination in GitLab. `read` reads the next page; its errors are thrown unchanged. Throws Retry if a page is not a
 * list. By default, throws InvalidResponse for an item that does not match `schema`.
 */
export async function* itemsFrom<T>(
  first: Page,
  schema: z.ZodType<T>,
  endpoint: string,
  read: (query: PageQuery) => Promise<Page>,
  readInvalid: ReadInvalidItem<T> = rejectItem,
): AsyncGenerator<T> {
  for (let page = first; ;) {
    for (const item of parseResponse(z.array(z.unknown()), page.body, endpoint) ?? []) {
      const result = schema.safeParse(item);
      const value = result.success
        ? result.data
        : readInvalid(item, `GitLab's list ${endpoint} has an invalid item: ${z.prettifyError(result.error)}`);
      if (value !== undefined) yield value;
    }
    const query = nextQuery(page);
    if (!query) return;
    page = await read(query);
  }
}

function rejectItem(_item: unknown, reason: string): never {
  throw new InvalidResponse(reason);
}

/** Returns the query of the page after this one; undefined for the last page. */
export function nextQuery({ headers }: Page): PageQuery | undefined {
  const next = /<([^<>]+)>;\s*rel="next"/.exec(headers['link'] ?? '')?.[1];
  return next === undefined ? undefined : Object.fromEntries(new URL(next).searchParams);
}
