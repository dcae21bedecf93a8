import type { IncomingMessage } from 'node:http';
import type { Request } from 'express';
import type { Group, Instance, ProjectRecord } from '../instance.ts';
import type { Scope, Token, Tokens } from '../tokens.ts';
import { ApiError, forbidden, notFound, unauthorized } from './error.ts';

/**
 * Reports a request for a project under a former path. GitLab responds with 301 (lib/api/helpers.rb, find_project!).
 */
export class Moved extends Error {
  override readonly name = 'Moved';
  readonly project: ProjectRecord;

  constructor(project: ProjectRecord) {
    super(`moved to ${project.fullPath}`);
    this.project = project;
  }
}

/** The credential of a request, and the way in which the request carried it. */
export interface Credential {
  readonly kind: 'private-token' | 'bearer' | 'basic';
  readonly value: string;
}

/**
 * Returns the credential of a request: a `PRIVATE-TOKEN`, a bearer token, or the password of Basic authentication with
 * any user name.
 */
export function credentialOf(request: IncomingMessage): Credential | undefined {
  const privateToken = request.headers['private-token'];
  if (typeof privateToken === 'string' && privateToken !== '') return { kind: 'private-token', value: privateToken };
  // The client of a forward proxy sends its credential in Proxy-Authorization. git and GitLab's own clients never send
  // this header.
  const authorization = request.headers.authorization ?? request.headers['proxy-authorization'] ?? '';
  const [, scheme, value] = /^(bearer|basic) +(\S+)$/i.exec(authorization) ?? [];
  if (scheme === undefined || value === undefined) return undefined;
  if (scheme.toLowerCase() === 'bearer') return { kind: 'bearer', value };
  const pair = Buffer.from(value, 'base64').toString();
  return { kind: 'basic', value: pair.slice(pair.indexOf(':') + 1) };
}

/** Identifies the caller of a request, and decides what the caller may see. */
export class Access {
  readonly #instance: Instance;
  readonly #tokens: Tokens;

  constructor(instance: Instance, tokens: Tokens) {
    this.#instance = instance;
    this.#tokens = tokens;
  }

  /**
   * Returns the token of an API request, or undefined if the request has none. `also` lists scopes that an endpoint
   * accepts in addition to the usual scopes. Throws for an invalid token.
   */
  token(request: Request, also: readonly Scope[] = []): Token | undefined {
    const credential = credentialOf(request);
    const parameter = request.query['private_token'];
    const value = typeof parameter === 'string' ? parameter : credential?.value;
    if (value === undefined) return undefined;
    const token = this.#tokens.find(value);
    if (token === undefined) throw unauthorized();
    if (token.expired) {
      throw oauthError(401, 'invalid_token', 'Token is expired. You can either do re-authorization or token refresh.');
    }
    const reading = request.method === 'GET' || request.method === 'HEAD';
    const accepted: readonly Scope[] = reading ? ['api', 'read_api', ...also] : ['api'];
    if (!token.scopes.some((scope) => accepted.includes(scope))) {
      throw oauthError(
        403,
        'insufficient_scope',
        'The request requires higher privileges than provided by the access token.',
        {
          scope: [...also, 'api', 'read_api'].join(' '),
        },
      );
    }
    return token;
  }

  /** Returns the token of a request to an endpoint that requires a token. Throws if the request has none. */
  requireToken(request: Request, also: readonly Scope[] = []): Token {
    const token = this.token(request, also);
    if (token === undefined) throw unauthorized();
    return token;
  }

  requireAdmin(request: Request): Token {
    const token = this.requireToken(request);
    if (token.role !== 'admin') throw forbidden();
    return token;
  }

  /** Returns the project that a path parameter names. Throws if the caller cannot see this project. */
  project(request: Request, id: string, also: readonly Scope[] = []): ProjectRecord {
    const token = this.token(request, also);
    const project = this.#instance.project(id);
    if (project === undefined || !this.#instance.sees(token, project)) throw notFound('Project');
    if (!/^\d+$/.test(id) && project.fullPath.toLowerCase() !== id.toLowerCase()) throw new Moved(project);
    return project;
  }

  /** Does the same as `project`, but requires the role of a maintainer. */
  administeredProject(request: Request, id: string): ProjectRecord {
    const token = this.requireToken(request);
    const project = this.project(request, id);
    if (token.role === 'reporter' || !this.#instance.isMember(token, project)) throw forbidden();
    return project;
  }

  group(request: Request, id: string): Group {
    const token = this.token(request);
    const group = this.#instance.group(id);
    if (group === undefined || !this.#instance.seesGroup(token, group)) throw notFound('Group');
    return group;
  }

  administeredGroup(request: Request, id: string): Group {
    const token = this.requireToken(request);
    const group = this.group(request, id);
    if (token.role === 'reporter') throw forbidden();
    return group;
  }
}

function oauthError(status: number, error: string, description: string, more: object = {}): ApiError {
  const challenge = `Bearer realm="The API", error="${error}", error_description="${description}"`;
  const headers = status === 401 ? { 'WWW-Authenticate': challenge } : {};
  return new ApiError(status, { error, error_description: description, ...more }, headers);
}
