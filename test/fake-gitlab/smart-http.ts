import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { Request, RequestHandler, Response } from 'express';
import { credentialOf } from './api/access.ts';
import { text } from './api/query.ts';
import type { Git } from './git.ts';
import type { Instance, ProjectRecord } from './instance.ts';
import type { PushEvents } from './push-events.ts';
import type { Token, Tokens } from './tokens.ts';

type Service = 'git-upload-pack' | 'git-receive-pack';

/** Serves fetches and pushes over HTTP: `<project path>.git/info/refs`, `/git-upload-pack` and `/git-receive-pack`. */
export class SmartHttp {
  readonly #instance: Instance;
  readonly #tokens: Tokens;
  readonly #git: Git;
  readonly #events: PushEvents;

  constructor(instance: Instance, tokens: Tokens, git: Git, events: PushEvents) {
    this.#instance = instance;
    this.#tokens = tokens;
    this.#git = git;
    this.#events = events;
  }

  handler(): RequestHandler {
    return async (request, response, next) => {
      const [, path, verb] = /^\/(.+?)\.git\/(info\/refs|git-upload-pack|git-receive-pack)$/.exec(request.path) ?? [];
      if (path === undefined || verb === undefined) {
        this.#addSuffix(request, response, next);
        return;
      }
      if (verb === 'info/refs' && request.method === 'HEAD') {
        response.status(403).end();
        return;
      }
      const service = verb === 'info/refs' ? text(request, 'service') : verb;
      const admitted = this.#admit(request, response, decodeURIComponent(path), service);
      if (admitted === undefined) return;
      if (verb === 'info/refs') await this.#advertise(request, response, admitted.project, admitted.service);
      else await this.#serve(request, response, admitted);
    };
  }

  /** Redirects a request without `.git` to the address with `.git`, as GitLab does. git can omit this suffix. */
  #addSuffix(request: Request, response: Response, next: () => void): void {
    const [, path] = /^(\/.+)\/info\/refs$/.exec(request.path) ?? [];
    const service = text(request, 'service');
    if (path === undefined || service === undefined) next();
    else response.redirect(301, `${request.baseUrl}${path}.git/info/refs?service=${encodeURIComponent(service)}`);
  }

  /**
   * Checks in GitLab's order that the credential is valid, that anonymous access is allowed, that the caller sees the
   * project, and that the command is allowed. An invalid credential is refused even for a public project. A former path
   * of a project still works.
   */
  #admit(request: Request, response: Response, path: string, service: string | undefined): Admitted | undefined {
    const project = this.#instance.project(path);
    const credential = credentialOf(request);
    const token = credential === undefined ? undefined : this.#tokens.find(credential.value);
    const forNobody = project?.visibility === 'public' && service === 'git-upload-pack';
    const refused = credential === undefined ? !forNobody : token === undefined || token.expired;
    if (refused) {
      response.setHeader('Www-Authenticate', 'Basic realm="GitLab"');
      plain(
        response,
        401,
        "HTTP Basic: Access denied. If a password was provided for Git authentication, the password was incorrect or you're required to use a token instead of a password.",
      );
    } else if (project === undefined || !this.#instance.sees(token, project)) {
      plain(
        response,
        404,
        "The project you were looking for could not be found or you don't have permission to view it.",
      );
    } else if (service !== 'git-upload-pack' && service !== 'git-receive-pack') {
      plain(response, 403, "The command you're trying to execute is not allowed.");
    } else if (service === 'git-receive-pack' && project.archived) {
      plain(response, 403, "You can't push code to this project: it is archived.");
    } else if (service === 'git-receive-pack' && !mayPush(this.#instance, token, project)) {
      plain(response, 403, 'You are not allowed to push code to this project.');
    } else {
      return { project, token, service };
    }
    return undefined;
  }

  async #advertise(request: Request, response: Response, project: ProjectRecord, service: Service): Promise<void> {
    noCache(response, `application/x-${service}-advertisement`);
    const line = `# service=${service}\n`;
    response.write(`${(line.length + 4).toString(16).padStart(4, '0')}${line}0000`);
    const child = this.#git.start(command(service, '--http-backend-info-refs', project), {
      environment: protocol(request),
    });
    child.stdin.end();
    child.stderr.resume();
    child.stdout.pipe(response);
    await once(child, 'close');
  }

  async #serve(request: Request, response: Response, { project, service, token }: Admitted): Promise<void> {
    if (service === 'git-upload-pack' || token === undefined) {
      await this.#exchange(request, response, project, service);
      response.end();
      return;
    }
    const { repository } = project;
    const changes = await repository.exclusive(async () => {
      // A push is compared with the refs before the push, so they must be in the cache.
      await repository.refs();
      await this.#exchange(request, response, project, service);
      const changed = await repository.reload();
      await adoptDefaultBranch(project);
      return changed;
    });
    updateActivity(project);
    // GitLab calls webhooks when the push is complete, so the response is sent first.
    response.end();
    this.#events.announce(project, changes, token);
  }

  /** Passes the request to git, and git's output to the response. The response stays open. */
  async #exchange(request: Request, response: Response, project: ProjectRecord, service: Service): Promise<void> {
    noCache(response, `application/x-${service}-result`);
    const child = this.#git.start(command(service, '--stateless-rpc', project), { environment: protocol(request) });
    const closed = once(child, 'close');
    const stop = (): void => void child.kill('SIGTERM');
    response.once('close', stop);
    child.stderr.resume();
    child.stdout.pipe(response, { end: false });
    unzipped(request).on('error', stop).pipe(child.stdin);
    await closed;
    response.off('close', stop);
  }
}

interface Admitted {
  readonly project: ProjectRecord;
  readonly token: Token | undefined;
  readonly service: Service;
}

function mayPush(instance: Instance, token: Token | undefined, project: ProjectRecord): boolean {
  if (token === undefined || token.role === 'reporter' || !token.scopes.includes('api')) return false;
  return instance.isMember(token, project);
}

/** Makes the first branch of an empty project the default branch, if the expected default branch does not exist. */
async function adoptDefaultBranch({ repository }: ProjectRecord): Promise<void> {
  const branches = [...(await repository.refs()).keys()].filter((name) => name.startsWith('refs/heads/'));
  const [first] = branches;
  if (first === undefined || branches.includes(`refs/heads/${await repository.defaultBranch()}`)) return;
  await repository.setDefaultBranch(first.replace('refs/heads/', ''));
}

function command(service: Service, mode: string, project: ProjectRecord): string[] {
  return [service.replace('git-', ''), '--strict', mode, project.repository.directory].filter(
    // Only upload-pack accepts --strict.
    (argument) => argument !== '--strict' || service === 'git-upload-pack',
  );
}

function protocol(request: Request): Record<string, string> {
  const version = request.headers['git-protocol'];
  return typeof version === 'string' ? { GIT_PROTOCOL: version } : {};
}

function unzipped(request: Request): Readable {
  return request.headers['content-encoding'] === 'gzip' ? request.pipe(createGunzip()) : request;
}

function noCache(response: Response, type: string): void {
  response.setHeader('Content-Type', type);
  response.setHeader('Cache-Control', 'no-cache');
}

function plain(response: Response, status: number, message: string): void {
  response.status(status).type('text/plain').send(message);
}

/**
 * Updates the time of the last activity, at most once an hour, as GitLab does (`RESET_PROJECT_ACTIVITY_INTERVAL` in
 * app/models/event.rb).
 */
function updateActivity(project: ProjectRecord): void {
  if (Date.now() - project.lastActivityAt.getTime() >= 3_600_000) project.lastActivityAt = new Date();
}
