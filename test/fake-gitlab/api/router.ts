import { Router, type ErrorRequestHandler, type RequestHandler } from 'express';
import { Moved } from './access.ts';
import { ApiError } from './error.ts';

/** Serves `/api/v4`, with the given routes and GitLab's error responses. `latencyMs` delays every response. */
export function apiRouter(parts: readonly Router[], externalUrl: string, latencyMs: number): Router {
  const router = Router();
  router.use(headers, latency(latencyMs), ...parts);
  router.use(() => {
    throw new ApiError(404, { error: '404 Not Found' });
  });
  router.use(failures(externalUrl));
  return router;
}

const headers: RequestHandler = (_request, response, next) => {
  response.setHeader('Cache-Control', 'max-age=0, private, must-revalidate');
  response.setHeader('Vary', 'Origin');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('X-Frame-Options', 'SAMEORIGIN');
  next();
};

function latency(milliseconds: number): RequestHandler {
  return (_request, _response, next) => {
    if (milliseconds > 0) setTimeout(next, milliseconds);
    else next();
  };
}

function failures(externalUrl: string): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    if (error instanceof Moved) {
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.status(405).json({ message: 'Non GET methods are not allowed for moved projects' });
        return;
      }
      const location =
        new URL(externalUrl).origin +
        request.originalUrl.replace(/(\/api\/v4\/projects\/)[^/?]+/, `$1${error.project.id}`);
      response.status(301).setHeader('Location', location);
      response.type('text/plain').send(`This resource has been moved permanently to ${location}`);
      return;
    }
    const answer = error instanceof ApiError ? error : badRequest(error);
    if (answer === undefined) {
      next(error);
      return;
    }
    response.status(answer.status).set(answer.headers).json(answer.body);
  };
}

/** Express itself rejects malformed percent-encoding and bodies that are not JSON. */
function badRequest(error: unknown): ApiError | undefined {
  const status = error instanceof Error && 'status' in error ? error.status : undefined;
  return status === 400 ? new ApiError(400, { error: '400 Bad Request' }) : undefined;
}
