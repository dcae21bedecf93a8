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

/** Creates a 404 such as `404 Project Not Found`, where GitLab's text names the missing object. */
export function notFound(what?: string): ApiError {
  return new ApiError(404, { message: what === undefined ? '404 Not Found' : `404 ${what} Not Found` });
}

/**
 * Creates a 404 for a missing database record. For records, unlike for objects of a repository, GitLab writes "found"
 * in lower case.
 */
export function noRecord(): ApiError {
  return new ApiError(404, { message: '404 Not found' });
}

export function forbidden(): ApiError {
  return new ApiError(403, { message: '403 Forbidden' });
}

export function unauthorized(): ApiError {
  return new ApiError(401, { message: '401 Unauthorized' });
}

/** Creates a 400 for an invalid parameter. Grape returns the text in `error`, not in `message`. */
export function badParameter(text: string): ApiError {
  return new ApiError(400, { error: text });
}
