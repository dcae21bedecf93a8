import type { StandIn } from './stand-in.ts';

/** A response of the API. `json` is the body if it is JSON; `next` is the `Link` to the next page. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  readonly json: unknown;
  readonly next: string | undefined;
}

/** Sends a plain request to the API of a stand-in: a path under `/api/v4` or a whole URL, with a token, or null for none. */
export async function call(
  standIn: StandIn,
  path: string,
  options: { method?: string; token?: string | null; body?: object; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const token = options.token === undefined ? standIn.rootToken : options.token;
  const response = await fetch(path.startsWith('http') ? path : `${standIn.url}/api/v4${path}`, {
    method: options.method ?? 'GET',
    // Otherwise the hotlinking detector refuses archives.
    mode: 'same-origin',
    redirect: 'manual',
    headers: {
      ...(token === null ? {} : { 'PRIVATE-TOKEN': token }),
      ...(options.body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...options.headers,
    },
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
  return {
    status: response.status,
    headers: response.headers,
    bytes,
    json: isJson ? JSON.parse(bytes.toString()) : undefined,
    next: /<([^>]*)>; rel="next"/.exec(response.headers.get('link') ?? '')?.[1],
  };
}

/** Follows `Link: rel="next"` to the end. Returns all items and the number of pages. */
export async function all(standIn: StandIn, path: string): Promise<{ items: unknown[]; pages: number }> {
  const items: unknown[] = [];
  let pages = 0;
  for (let next: string | undefined = path; next !== undefined; pages += 1) {
    const answer: Answer = await call(standIn, next);
    if (!Array.isArray(answer.json)) throw new Error(`${next} answered ${answer.status}: ${answer.bytes.toString()}`);
    items.push(...(answer.json as unknown[]));
    next = answer.next;
  }
  return { items, pages };
}
