import { randomUUID } from 'node:crypto';
import type { RequestHandler, Response } from 'express';

/** The ids that are accepted from a client. They are restricted because they are written to logs, headers and error texts. */
const VALID_ID = /^[A-Za-z0-9._:-]{8,128}$/;

/**
 * Gives each request an id and returns it as `X-Request-Id`: the id from a proxy in front if it is valid, else a new one.
 * Must be registered before all routers that use `requestIdOf`.
 */
export function assignRequestIds(): RequestHandler {
  return (request, response, next) => {
    const receivedId = request.get('X-Request-Id') ?? '';
    response.setHeader('X-Request-Id', VALID_ID.test(receivedId) ? receivedId : randomUUID());
    next();
  };
}

/** Returns the id of the request of this response, for log lines and error texts. Empty without `assignRequestIds`. */
export function requestIdOf(response: Response): string {
  return String(response.getHeader('X-Request-Id') ?? '');
}

/**
 * Returns an error text for a client: `text`, which has no final newline, and a last line with the id that the log lines
 * have.
 */
export function withRequestId(text: string, response: Response): string {
  return `${text}\nrequest id: ${requestIdOf(response)}\n`;
}
