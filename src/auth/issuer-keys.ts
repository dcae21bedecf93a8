import { createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import type { HttpClient, OutgoingRequest } from '../http-client/http-client.ts';
import { readBody, type BodyLimits } from '../http-client/read-body.ts';
import { Unauthorized, Unavailable } from './auth-errors.ts';

const TIMEOUT_MS = 5_000;
/** An issuer has a few keys, of less than 2 KB each. */
const BODY_LIMITS: BodyLimits = { maxBytes: 1024 * 1024, timeoutMs: TIMEOUT_MS };
/** How long keys are cached. A key that GitLab has removed is still accepted for this long. */
const CACHE_MS = 10 * 60_000;
/** For tokens with unknown key ids, the keys are fetched again at most once in this time. */
const COOLDOWN_MS = 30_000;

const discoverySchema = z.object({ issuer: z.string(), jwks_uri: z.url() });

/**
 * The keys with which an issuer signs. OpenID Connect Discovery finds them: `<issuer>/.well-known/openid-configuration`
 * contains their URL. Concurrent requests for the keys share one call. An outage of the issuer has no effect while the
 * keys are cached.
 */
export class IssuerKeys {
  readonly #http: HttpClient;
  readonly #issuer: string;
  /** Kept until the process ends, because the URL of the keys is a fixed route in GitLab. */
  #keys: Promise<JWTVerifyGetKey> | undefined;

  constructor(http: HttpClient, issuer: string) {
    this.#http = http;
    this.#issuer = issuer;
  }

  /**
   * Finds the key for the header of a token. Rejects with Unauthorized if the issuer has no such key, and with
   * Unavailable if its keys cannot be fetched.
   */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    try {
      const keys = await this.#discovered();
      return await keys(header, token);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) {
        throw new Unauthorized(
          `the id_token is signed with a key that ${this.#issuer} does not have: use an id_token that its CI issued; if its keys have just changed, try again in 30 s`,
        );
      }
      throw new Unavailable(
        `the keys of ${this.#issuer} cannot be fetched, so the id_token cannot be checked: try again later`,
        { cause: error },
      );
    }
  };

  #discovered(): Promise<JWTVerifyGetKey> {
    this.#keys ??= discover(this.#http, this.#issuer).catch((error: unknown) => {
      this.#keys = undefined;
      throw error;
    });
    return this.#keys;
  }
}

async function discover(http: HttpClient, issuer: string): Promise<JWTVerifyGetKey> {
  const url = `${issuer}/.well-known/openid-configuration`;
  const response = await fetchWhole(http, url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (response.status !== 200) throw new Error(`${url} answered ${response.status}`);
  const { issuer: name, jwks_uri: address } = discoverySchema.parse(await response.json());
  // OpenID Connect Discovery, section 4.3: the two issuers must be identical. Otherwise, one issuer could act for
  // another.
  if (name !== issuer)
    throw new Error(`${url} names the issuer ${name}: if this is your GitLab, set issuer=${name} in ADMIN_OIDC`);
  const keys = new URL(address);
  if (keys.origin !== new URL(issuer).origin) throw new Error(`${url} names keys at another origin: ${address}`);
  return createRemoteJWKSet(keys, {
    timeoutDuration: TIMEOUT_MS,
    cacheMaxAge: CACHE_MS,
    cooldownDuration: COOLDOWN_MS,
    [customFetch]: (keysUrl, { headers, signal }) =>
      fetchWhole(http, keysUrl, { headers: Object.fromEntries(headers), signal }),
  });
}

/** Resolves to a response whose body is in memory, because jose reads a body without a limit. */
async function fetchWhole(http: HttpClient, url: string, request: OutgoingRequest): Promise<Response> {
  const response = await http.fetch(new URL(url), request);
  const { status, headers } = response;
  if (status === 200) return new Response(new Uint8Array(await readBody(response, BODY_LIMITS)), { status, headers });
  await response.body?.cancel();
  return new Response(null, { status, headers });
}
