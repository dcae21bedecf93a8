import type { StandIn } from './stand-in.ts';

/**
 * A response of the API. `json` is the body if the body is JSON. `next` is the URL of the next page in the `Link`
 * header.
 */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  readonly json: unknown;
  readonly next: string | undefined;
}

/**
 * Sends a request to the API of a stand-in. `path` is a path below `/api/v4` or a whole URL. The default token is the
 * token of the administrator. With the token null, the request has no token.
 */
export async function call(
  standIn: StandIn,
  path: string,
  options: { method?: string; token?: string | null; body?: object; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const token = options.token === undefined ? standIn.rootToken : options.token;
  const response = await fetch(path.startsWith('http') ? path : `${standIn.url}/api/v4${path}`, {
    method: options.method ?? 'GET',
    // GitLab's hotlinking detector would refuse archives in another mode.
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

/** Requests all pages by `Link: rel="next"`. Returns all items and the number of pages. */
export async function all(standIn: StandIn, path: string): Promise<{ items: unknown[]; pages: number }> {
  const items: unknown[] = [];
  let pages = 0;
  for (let next: string | undefined = path; next !== undefined; pages += 1) {
    const answer: Answer = await call(standIn, next);
    if (!Array.isArray(answer.json))
      throw new Error(`${next} responded with ${answer.status}: ${answer.bytes.toString()}`);
    items.push(...(answer.json as unknown[]));
    next = answer.next;
  }
  return { items, pages };
}
