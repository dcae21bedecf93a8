import { STATUS_CODES } from 'node:http';
import type { ErrorRequestHandler, RequestHandler } from 'express';
import type { Logger } from 'pino';
import { requestIdOf, withRequestId } from '../io/request-id.ts';

/**
 * Answers requests that no route has answered with 404 and a line of text. `roles` are those of this process: a route
 * of another role is missing here too.
 */
export function answerUnknownRoutes(roles: readonly string[]): RequestHandler {
  return (request, response) => {
    const text = `not found: this process (${roles.join(', ')}) has no route ${request.method} ${request.path}`;
    response.status(404).type('text/plain').send(withRequestId(text, response));
  };
}

/**
 * Answers requests whose route failed with a line of text, where Express would send an HTML page. An error of the
 * client, such as a malformed URL, keeps its status. Every other error is logged, and its message is not sent.
 */
export function answerFailedRoutes(log: Logger): ErrorRequestHandler {
  // Express recognizes an error handler by its four parameters.
  return (error: unknown, request, response, _next) => {
    const status = clientErrorStatus(error);
    if (status === undefined)
      log.error(
        { event: 'request.failed', err: error, status: 500, requestId: requestIdOf(response), path: request.path },
        'request failed',
      );
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const text =
      status === undefined
        ? 'internal error: the log of the service says more'
        : `${(STATUS_CODES[status] ?? 'bad request').toLowerCase()}: the request is not valid`;
    response
      .status(status ?? 500)
      .type('text/plain')
      .send(withRequestId(text, response));
  };
}

/**
 * The status of an error of the client, as Express and its parsers set it (http-errors); undefined for all other
 * errors.
 */
function clientErrorStatus(error: unknown): number | undefined {
  const status = error instanceof Error && 'status' in error ? Number(error.status) : Number.NaN;
  return status >= 400 && status < 500 ? status : undefined;
}
