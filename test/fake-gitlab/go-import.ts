import type { RequestHandler } from 'express';
import { credentialOf } from './api/access.ts';
import type { Instance, ProjectRecord } from './instance.ts';
import type { Token, Tokens } from './tokens.ts';

/**
 * Responds to `?go-get=1` with the location of the repository of an import path (lib/gitlab/middleware/go.rb). For a
 * project that the caller may not see, the response contains the first two elements of the path, so that it does not
 * reveal which projects exist. For this reason, private projects in subgroups need a credential. `addressOf` returns
 * the base URL to which the request was sent.
 */
export function goImport(
  instance: Instance,
  tokens: Tokens,
  addressOf: (request: Parameters<RequestHandler>[0]) => string,
): RequestHandler {
  return (request, response, next) => {
    if (Number(request.query['go-get']) !== 1) {
      next();
      return;
    }
    const parts = decodeURIComponent(request.path)
      .split('/')
      .filter((part) => part !== '');
    if (parts.length < 2) {
      // The page of a group requires the user to sign in.
      response.redirect(302, `${request.baseUrl}/users/sign_in`);
      return;
    }
    const value = credentialOf(request)?.value;
    const found = projectAt(instance, tokens.find(value ?? ''), parts);
    const path = found?.fullPath ?? parts.slice(0, 2).join('/');
    const url = `${addressOf(request)}/${path}`;
    const prefix = url.replace(/^https?:\/\//, '');
    const source = `${prefix} ${url} ${url}/-/tree/HEAD{/dir} ${url}/-/blob/HEAD{/dir}/{file}#L{line}`;
    const head = `<meta name="go-import" content="${escaped(`${prefix} git ${url}.git`)}"><meta name="go-source" content="${escaped(source)}">`;
    response.type('html').send(`<html><head>${head}</head><body>go get ${escaped(url)}</body></html>`);
  };
}

/**
 * Responds to `?go-get=1` for import paths of other hosts, as another web server does in reality. `vanity` maps the
 * import path of each repository root to the full path of the project. `url` is the base URL of the repositories.
 * `hostOf` returns the scheme and the host that the client of the forward proxy has requested.
 */
export function vanityImport(
  vanity: ReadonlyMap<string, string>,
  url: string,
  hostOf: (request: Parameters<RequestHandler>[0]) => string | undefined,
): RequestHandler {
  return (request, response, next) => {
    const host = hostOf(request)?.replace(/^https?:\/\//, '');
    const root =
      host === undefined
        ? undefined
        : longestRoot(vanity, `${host}${decodeURIComponent(request.path)}`.replace(/\/$/, ''));
    if (Number(request.query['go-get']) !== 1 || root === undefined) {
      next();
      return;
    }
    const content = `${root} git ${url}/${vanity.get(root)}.git`;
    response.type('html').send(`<html><head><meta name="go-import" content="${escaped(content)}"></head></html>`);
  };
}

/** Returns the longest root that is the import path itself or one of its parents. */
function longestRoot(vanity: ReadonlyMap<string, string>, importPath: string): string | undefined {
  return [...vanity.keys()]
    .filter((root) => `${importPath}/`.startsWith(`${root}/`))
    .toSorted((a, b) => b.length - a.length)[0];
}

/**
 * Returns the project with the longest path that is a prefix of the given path. Former paths of projects do not count.
 */
function projectAt(instance: Instance, token: Token | undefined, parts: readonly string[]): ProjectRecord | undefined {
  // A token that has only the repository scope may fetch the repository, but may not read the project.
  const reader =
    token !== undefined && !token.expired && token.scopes.some((scope) => scope !== 'read_repository')
      ? token
      : undefined;
  for (let length = parts.length; length >= 2; length -= 1) {
    const path = parts.slice(0, length).join('/');
    const project = instance.project(path);
    if (project?.fullPath.toLowerCase() === path.toLowerCase())
      return instance.sees(reader, project) ? project : undefined;
  }
  return undefined;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
