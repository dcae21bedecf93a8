import type { IncomingMessage } from 'node:http';
import express, { type Express, type Request } from 'express';
import { accountRoutes } from './api/account.ts';
import { Access } from './api/access.ts';
import { commitRoutes } from './api/commits.ts';
import type { ApiContext } from './api/context.ts';
import { fileRoutes } from './api/files.ts';
import { hookRoutes, type GroupHooks } from './api/hooks.ts';
import { Pagination } from './api/pagination.ts';
import { Present } from './api/present.ts';
import { projectRoutes } from './api/projects.ts';
import { refRoutes } from './api/refs.ts';
import { apiRouter } from './api/router.ts';
import { treeRoutes } from './api/tree.ts';
import { Archives } from './archive.ts';
import type { Git } from './git.ts';
import { goImport, vanityImport } from './go-import.ts';
import { HookList } from './hook.ts';
import type { HookDelivery } from './hook-delivery.ts';
import { HookPayload } from './hook-payload.ts';
import type { Instance } from './instance.ts';
import type { StandInOptions } from './options.ts';
import { PushEvents } from './push-events.ts';
import { SmartHttp } from './smart-http.ts';
import type { Tokens } from './tokens.ts';

/** The scheme and the host that the client of the forward proxy has requested. */
const proxiedHosts = new WeakMap<IncomingMessage, string>();

/**
 * Creates the handler for everything that a GitLab serves. `base` is the path of `url`, and is empty without a relative
 * URL. `archives` is the folder for the cache of archives.
 */
export function createSite(parts: {
  instance: Instance;
  tokens: Tokens;
  git: Git;
  delivery: HookDelivery;
  archives: string;
  url: string;
  base: string;
  options: StandInOptions;
}): Express {
  const { instance, tokens, git, delivery, url, base, options } = parts;
  const present = new Present(instance, url);
  const payload = new HookPayload(present, git);
  const hooks = new HookList();
  const groupHooks = options.groupHooks ?? true;
  const events = new PushEvents({ instance, hooks, payload, delivery, groupHooks: groupHooks === true });
  const context: ApiContext = {
    instance,
    access: new Access(instance, tokens),
    pagination: new Pagination(url, options.perPageMax ?? 100),
    present,
  };
  const edition = groupHooks === 'community' ? '' : '-ee';
  const hookKind: GroupHooks = groupHooks === 'community' ? 'community' : groupHooks ? 'licensed' : 'unlicensed';

  const app = express();
  app.disable('x-powered-by');
  const site = express.Router({ caseSensitive: true });
  site.use(
    '/api/v4',
    apiRouter(
      [
        accountRoutes(context, `19.0.1${edition}`),
        hookRoutes(context, hooks, payload, delivery, hookKind),
        new Archives(context, git, parts.archives, options.archiveLimit ?? 5).routes(),
        projectRoutes(context),
        refRoutes(context),
        commitRoutes(context, git),
        treeRoutes(context),
        fileRoutes(context, git),
      ],
      url,
      options.latencyMs ?? 0,
    ),
  );
  site.use(vanityImport(options.vanity ?? new Map(), url, (request) => proxiedHosts.get(request)));
  site.use(goImport(instance, tokens, (request: Request) => (proxiedHosts.get(request) ?? new URL(url).origin) + base));
  site.use(new SmartHttp(instance, tokens, git, events).handler());
  site.use((request, response) => {
    const signIn = request.path === '/users/sign_in';
    response
      .status(signIn ? 200 : 404)
      .type('html')
      .send(`<html><body>${signIn ? 'Sign in' : 'Not found'}</body></html>`);
  });
  app.use(base === '' ? '/' : base, site);
  return app;
}

/**
 * Removes the host from the URL of a request. The client of a forward proxy sends the whole URL, and other clients send
 * only the path.
 */
export function unproxy(request: IncomingMessage): void {
  const [, host, target] = /^(https?:\/\/[^/?]+)(.*)$/is.exec(request.url ?? '') ?? [];
  if (host === undefined) return;
  proxiedHosts.set(request, host);
  request.url = target === undefined || target === '' ? '/' : target;
}
