import { createRemoteJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import { Unauthorized, Unavailable } from './auth-errors.ts';

const TIMEOUT_MS = 5_000;
/** A key that GitLab no longer shows is believed this long. */
const CACHE_MS = 10 * 60_000;
/** Tokens with invented key ids make no more than one request in this time. */
const COOLDOWN_MS = 30_000;

const discoverySchema = z.object({ issuer: z.string(), jwks_uri: z.url() });

/**
 * The keys with which an issuer signs, by OpenID Connect Discovery: `<issuer>/.well-known/openid-configuration` says
 * where they are. Requests at the same time are one. While keys are kept, the issuer may be down.
 */
export class IssuerKeys {
  readonly #issuer: string;
  /** Kept as long as the process lives: in GitLab the address of the keys is part of its routes. */
  #keys: Promise<JWTVerifyGetKey> | undefined;

  constructor(issuer: string) {
    this.#issuer = issuer;
  }

  /** The key for a token's header. Rejects with Unauthorized where the issuer has none, Unavailable where it cannot be asked. */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    try {
      const keys = await this.#discovered();
      return await keys(header, token);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) {
        throw new Unauthorized(
          `the id_token is signed with a key that ${this.#issuer} does not have: take one that its CI made; if it just changed its keys, try again in 30 s`,
        );
      }
      throw new Unavailable(
        `the keys of ${this.#issuer} cannot be fetched, so the id_token cannot be checked: try again later`,
        { cause: error },
      );
    }
  };

  #discovered(): Promise<JWTVerifyGetKey> {
    this.#keys ??= discover(this.#issuer).catch((error: unknown) => {
      this.#keys = undefined;
      throw error;
    });
    return this.#keys;
  }
}

async function discover(issuer: string): Promise<JWTVerifyGetKey> {
  const url = `${issuer}/.well-known/openid-configuration`;
  const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`${url} answered ${response.status}`);
  }
  const { issuer: name, jwks_uri: address } = discoverySchema.parse(await response.json());
  // OpenID Connect Discovery, section 4.3: it has to be the very name, or one issuer could speak for another.
  if (name !== issuer)
    throw new Error(`${url} is the issuer ${name}: if that is GitLab, set issuer=${name} in ADMIN_OIDC`);
  const keys = new URL(address);
  if (keys.origin !== new URL(issuer).origin) throw new Error(`${url} has its keys at another origin: ${address}`);
  return createRemoteJWKSet(keys, {
    timeoutDuration: TIMEOUT_MS,
    cacheMaxAge: CACHE_MS,
    cooldownDuration: COOLDOWN_MS,
  });
}
