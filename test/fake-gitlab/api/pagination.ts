import type { Request, Response } from 'express';
import { integer } from './query.ts';

/** GitLab does not count lists with more items: it omits `X-Total`, `X-Total-Pages` and the `last` link. */
const MAX_COUNTED_ITEMS = 10_000;

/** Divides lists into pages, and writes the headers that link to the next page. */
export class Pagination {
  readonly #externalUrl: string;
  readonly #perPageMax: number;

  constructor(externalUrl: string, perPageMax: number) {
    this.#externalUrl = externalUrl;
    this.#perPageMax = perPageMax;
  }

  perPage(request: Request): number {
    return Math.max(1, Math.min(integer(request, 'per_page', 20), this.#perPageMax));
  }

  /**
   * Returns one page of a list by its number. `gitaly` is for lists whose first page comes from Gitaly. For these
   * lists, the first page always links to page 2, and a full last page counts as two pages
   * (lib/gitlab/pagination/gitaly_keyset_pager.rb). `countless` omits the totals, as for commits. A full last page of such
   * a list links to an empty one, because GitLab does not look ahead (lib/api/commits.rb).
   */
  page<T>(
    request: Request,
    response: Response,
    items: readonly T[],
    style: 'plain' | 'gitaly' | 'countless' = 'plain',
  ): readonly T[] {
    const perPage = this.perPage(request);
    const page = Math.max(1, integer(request, 'page', 1));
    const byGitaly = style === 'gitaly' && page === 1;
    const pages = byGitaly ? Math.floor(items.length / perPage) + 1 : Math.max(1, Math.ceil(items.length / perPage));
    const isFull = items.length >= page * perPage;
    const hasNext = byGitaly || (style === 'countless' ? isFull : page < pages);
    const next = hasNext ? page + 1 : undefined;
    const previous = page > 1 ? page - 1 : undefined;
    const counted = style !== 'countless' && items.length <= MAX_COUNTED_ITEMS;

    const links = [
      ...(previous === undefined ? [] : [this.#link(request, { page: `${previous}` }, 'prev')]),
      ...(next === undefined ? [] : [this.#link(request, { page: `${next}` }, 'next')]),
      this.#link(request, { page: '1' }, 'first'),
      ...(counted ? [this.#link(request, { page: `${pages}` }, 'last')] : []),
    ];
    response.setHeader('Link', links.join(', '));
    response.setHeader('X-Next-Page', next ?? '');
    response.setHeader('X-Page', page);
    response.setHeader('X-Per-Page', perPage);
    response.setHeader('X-Prev-Page', previous ?? '');
    if (counted) {
      response.setHeader('X-Total', items.length);
      response.setHeader('X-Total-Pages', pages);
    }
    return items.slice((page - 1) * perPage, page * perPage);
  }

  /**
   * Returns the first page of the remaining list. The only header is the `next` link. Every full page has this link,
   * even the last, because GitLab does not look ahead. `token` returns the parameters that continue after an item.
   */
  keyset<T>(
    request: Request,
    response: Response,
    rest: readonly T[],
    token: (last: T) => Record<string, string>,
  ): readonly T[] {
    const perPage = this.perPage(request);
    const items = rest.slice(0, perPage);
    const last = items.at(-1);
    if (items.length === perPage && last !== undefined) {
      response.setHeader('Link', this.#link(request, token(last), 'next'));
    }
    return items;
  }

  /** Returns one link. GitLab repeats all parameters in a link, including those of the path, in alphabetical order. */
  #link(request: Request, changed: Record<string, string>, relation: string): string {
    const parameters: Record<string, string> = {
      page: '1',
      per_page: `${this.perPage(request)}`,
      ...(request.query as Record<string, string>),
      ...(request.params as Record<string, string>),
      ...changed,
    };
    const query = new URLSearchParams(parameters);
    query.sort();
    const path = request.originalUrl.replace(/\?.*$/s, '');
    return `<${new URL(this.#externalUrl).origin}${path}?${query.toString()}>; rel="${relation}"`;
  }
}
