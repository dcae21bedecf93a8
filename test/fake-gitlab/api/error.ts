/** An error response of GitLab's API. `body` is sent as JSON. */
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

/** A 404 such as `404 Project Not Found`: GitLab's text names the missing object. */
export function notFound(what?: string): ApiError {
  return new ApiError(404, { message: what === undefined ? '404 Not Found' : `404 ${what} Not Found` });
}

/** A 404 for a missing database record. For these, unlike for objects of a repository, GitLab writes "found" in lower case. */
export function noRecord(): ApiError {
  return new ApiError(404, { message: '404 Not found' });
}

export function forbidden(): ApiError {
  return new ApiError(403, { message: '403 Forbidden' });
}

export function unauthorized(): ApiError {
  return new ApiError(401, { message: '401 Unauthorized' });
}

/** A 400 for an invalid parameter: Grape puts the text under `error`, not `message`. */
export function badParameter(text: string): ApiError {
  return new ApiError(400, { error: text });
}
