import { randomUUID } from 'node:crypto';
import type { RequestHandler, Response } from 'express';

/** What an id from outside may look like: it goes into logs, headers and error texts. */
const SANE = /^[A-Za-z0-9._:-]{8,128}$/;

/**
 * Gives each request an id and sends it back as `X-Request-Id`: that of a proxy in front if it is sane, else a new one.
 * Has to come before all routers that use `requestIdOf`.
 */
export function assignRequestIds(): RequestHandler {
  return (request, response, next) => {
    const given = request.get('X-Request-Id') ?? '';
    response.setHeader('X-Request-Id', SANE.test(given) ? given : randomUUID());
    next();
  };
}

/** The id of the request that is being answered, for log lines and error texts. Empty without `assignRequestIds`. */
export function requestIdOf(response: Response): string {
  return String(response.getHeader('X-Request-Id') ?? '');
}

/** An error text for a client: `text`, which has no final newline, and a last line with the id that the log lines carry. */
export function withRequestId(text: string, response: Response): string {
  return `${text}\nrequest id: ${requestIdOf(response)}\n`;
}
