import { Router } from 'express';
import { isWithin } from '../instance.ts';
import type { Token } from '../tokens.ts';
import type { ApiContext } from './context.ts';
import { notFound } from './error.ts';

/**
 * Serves information about the instance, the token and its memberships: `/version`, `/metadata`, `/user`,
 * `/personal_access_tokens/self`, and the members of a group.
 */
export function accountRoutes({ access, present }: ApiContext, version: string): Router {
  const router = Router();
  const revision = '5f9a2c41b7e';

  router.get('/version', (request, response) => {
    access.requireToken(request);
    response.json({ version, revision });
  });

  router.get('/metadata', (request, response) => {
    access.requireToken(request);
    const kas = { enabled: false, externalUrl: null, externalK8sProxyUrl: null, version: null };
    response.json({ version, revision, kas, enterprise: version.endsWith('-ee') });
  });

  router.get('/user', (request, response) => {
    const token = access.requireToken(request);
    response.json({
      id: token.id,
      username: userName(token),
      name: token.role === 'admin' ? 'Administrator' : `Bot ${token.id}`,
      state: 'active',
      avatar_url: null,
      web_url: `${present.externalUrl}/${userName(token)}`,
      created_at: token.createdAt.toISOString(),
      bot: token.role !== 'admin',
      ...(token.role === 'admin' ? { is_admin: true } : {}),
    });
  });

  // Here, a maintainer's token has the rights of a group's Owner.
  router.get('/groups/:id/members/all/:user_id', (request, response) => {
    const token = access.requireToken(request);
    const group = access.group(request, request.params.id);
    const isMember = token.memberOf === 'everything' || token.memberOf.some((path) => isWithin(group.fullPath, path));
    if (Number(request.params.user_id) !== token.id || !isMember || token.role === 'admin') throw notFound('Member');
    response.json({
      id: token.id,
      username: userName(token),
      state: 'active',
      access_level: token.role === 'reporter' ? 20 : 50,
    });
  });

  router.get('/personal_access_tokens/self', (request, response) => {
    // Any valid token may read its own data, whatever its scopes are.
    const token = access.requireToken(request, ['read_repository']);
    response.json({
      id: token.id,
      name: userName(token),
      revoked: false,
      created_at: token.createdAt.toISOString(),
      description: null,
      scopes: token.scopes,
      user_id: token.id,
      last_used_at: new Date().toISOString(),
      active: true,
      expires_at: new Date(token.createdAt.getTime() + 365 * 86_400_000).toISOString().slice(0, 10),
    });
  });

  return router;
}

function userName(token: Token): string {
  return token.role === 'admin' ? 'root' : `project_bot_${token.id}`;
}
