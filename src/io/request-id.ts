import { randomUUID } from 'node:crypto';
import type { RequestHandler, Response } from 'express';

/**
 * The format of an id that is accepted from a client. The format is restricted because ids appear in logs, headers and
 * error texts.
 */
const VALID_ID = /^[A-Za-z0-9._:-]{8,128}$/;

/**
 * Sets the `X-Request-Id` of each response to the id of the request. A valid `X-Request-Id` of the request is used as
 * the id, and otherwise a new id. This handler must be registered before all routers that use `requestIdOf`.
 */
export function assignRequestIds(): RequestHandler {
  return (request, response, next) => {
    const receivedId = request.get('X-Request-Id') ?? '';
    response.setHeader('X-Request-Id', VALID_ID.test(receivedId) ? receivedId : randomUUID());
    next();
  };
}

/**
 * Returns the request id of a response, for log lines and error texts. Returns an empty string without
 * `assignRequestIds`.
 */
export function requestIdOf(response: Response): string {
  return String(response.getHeader('X-Request-Id') ?? '');
}

/**
 * Returns an error text for a client: `text`, followed by a line with the request id, which is also in the log. `text`
 * must not end in a newline.
 */
export function withRequestId(text: string, response: Response): string {
  return `${text}\nrequest id: ${requestIdOf(response)}\n`;
}
