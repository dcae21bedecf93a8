import { z } from 'zod';
import { retryIfNotFound, undefinedIfNotFound, type MissingThing } from './error-response.ts';
import { itemsFrom, MAX_PER_PAGE, type Page, type PageQuery, type ReadInvalidItem } from './pages.ts';

/**
 * Called for each project in a list that cannot be read. `id` is undefined if even its id cannot be read. A project that
 * cannot be read now is not a project that no longer exists.
 */
export type OnUnreadableProject = (id: number | undefined, reason: string) => void;

/** The part of @gitbeaker that reads a page. */
interface Requester {
  get(endpoint: string, options: { searchParams: PageQuery }): Promise<Page>;
}

/** Reads lists of GitLab page by page. */
export class Lists {
  readonly #requester: Requester;
  readonly #onInvalidItem: (reason: string) => void;

  /** `onInvalidItem` is called for each item that is left out or read in part, with the reason. */
  constructor(requester: Requester, onInvalidItem: (reason: string) => void = () => undefined) {
    this.#requester = requester;
    this.#onInvalidItem = onInvalidItem;
  }

  /** Yields the items of a list. The list is empty if GitLab responds with 404 for one of `absent`. */
  async *items<T>(
    endpoint: string,
    query: PageQuery,
    schema: z.ZodType<T>,
    readInvalid: ReadInvalidItem<T>,
    ...absent: readonly MissingThing[]
  ): AsyncGenerator<T> {
    const first = await undefinedIfNotFound(this.firstPage(endpoint, query), ...absent);
    if (first) yield* this.itemsFrom(first, schema, endpoint, readInvalid);
  }

  /**
   * Yields the items of a list, starting with the page `first`. Throws Retry if a later page is missing, because an
   * incomplete list must not look complete.
   */
  itemsFrom<T>(
    first: Page,
    schema: z.ZodType<T>,
    endpoint: string,
    readInvalid: ReadInvalidItem<T>,
  ): AsyncGenerator<T> {
    return itemsFrom(first, schema, endpoint, (query) => retryIfNotFound(this.page(endpoint, query)), readInvalid);
  }

  /** Returns a function that leaves invalid items out of a list, and reports them. */
  leaveOut(onUnreadable?: OnUnreadableProject): ReadInvalidItem<never> {
    return (item, reason) => {
      this.report(reason);
      onUnreadable?.(z.object({ id: z.number().int() }).safeParse(item).data?.id, reason);
      return undefined;
    };
  }

  /** Reports an item that is left out or read in part. */
  report(reason: string): void {
    this.#onInvalidItem(reason);
  }

  firstPage(endpoint: string, query: PageQuery): Promise<Page> {
    return this.page(endpoint, { ...query, per_page: `${MAX_PER_PAGE}` });
  }

  page(endpoint: string, query: PageQuery): Promise<Page> {
    return this.#requester.get(endpoint, { searchParams: query });
  }
}
