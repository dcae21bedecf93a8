/** An answer that GitLab's API gives instead of the thing asked for. `body` is what goes out as JSON. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly body: object;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, body: object, headers: Readonly<Record<string, string>> = {}) {
    super(JSON.stringify(body));
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

/** `404 Project Not Found` and its like: GitLab's texts name what is missing. */
export function notFound(what?: string): ApiError {
  return new ApiError(404, { message: what === undefined ? '404 Not Found' : `404 ${what} Not Found` });
}

/** A record that is not there, as opposed to a thing in a repository: GitLab spells this one with a small f. */
export function noRecord(): ApiError {
  return new ApiError(404, { message: '404 Not found' });
}

export function forbidden(): ApiError {
  return new ApiError(403, { message: '403 Forbidden' });
}

export function unauthorized(): ApiError {
  return new ApiError(401, { message: '401 Unauthorized' });
}

/** A parameter that does not fit: Grape answers these under `error`, not `message`. */
export function badParameter(text: string): ApiError {
  return new ApiError(400, { error: text });
}
