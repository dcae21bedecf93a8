import { decodeJwt, errors, jwtVerify, type JWTPayload } from 'jose';
import { z } from 'zod';
import type { HttpClient } from '../http-client/http-client.ts';
import { IssuerKeys } from './issuer-keys.ts';
import { Unauthorized } from './auth-errors.ts';

/** The CI job to which GitLab issued an id_token. */
export interface Job {
  /** Full path of the project, in the spelling of GitLab. */
  readonly project: string;
  /** The user who started the job, if GitLab reports it. */
  readonly user: string | undefined;
  /** The id of the job, if GitLab reports it. */
  readonly job: string | undefined;
  /** The branch or tag for which the job ran. */
  readonly ref: string;
}

/** A job from a valid id_token. `isProtected` says whether its branch or tag is protected. */
export interface SignedJob extends Job {
  readonly isProtected: boolean;
}

/** Gitlab::Ci::JwtV2 writes ids and booleans as strings. */
const claimsSchema = z
  .object({
    project_path: z.string().min(1),
    ref: z.string(),
    ref_protected: z.string(),
    user_login: z.string().nullish(),
    job_id: z.string().nullish(),
  })
  .transform((claims): SignedJob => ({
    project: claims.project_path,
    user: claims.user_login ?? undefined,
    job: claims.job_id ?? undefined,
    ref: claims.ref,
    isProtected: claims.ref_protected === 'true',
  }));

const CLOCK_TOLERANCE_SECONDS = 30;

/** Verifies id_tokens of GitLab CI: JWTs that were signed by one issuer, for one audience. */
export class IdTokens {
  readonly #issuer: string;
  readonly #audience: string;
  readonly #keys: IssuerKeys;

  constructor(http: HttpClient, { issuer, audience }: { readonly issuer: string; readonly audience: string }) {
    this.#issuer = issuer;
    this.#audience = audience;
    this.#keys = new IssuerKeys(http, issuer);
  }

  /**
   * Resolves to the job of an id_token. Rejects with Unauthorized if the token is invalid, and with Unavailable if it
   * cannot be checked.
   */
  async verify(token: string): Promise<SignedJob> {
    try {
      // The claim is not verified yet. This check only gives a better error for a token of another issuer, without
      // fetching keys.
      this.#checkIssuer(decodeJwt(token));
      const { payload } = await jwtVerify(token, this.#keys.find, {
        algorithms: ['RS256'],
        issuer: this.#issuer,
        audience: this.#audience,
        requiredClaims: ['iss', 'sub', 'aud', 'exp', 'iat', 'project_path'],
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
      });
      return jobOf(payload);
    } catch (error) {
      throw error instanceof errors.JOSEError ? new Unauthorized(this.#explain(error), { cause: error }) : error;
    }
  }

  #checkIssuer({ iss }: JWTPayload): void {
    if (iss === undefined || iss === this.#issuer) return;
    throw new Unauthorized(
      `the id_token is from the issuer ${quote(iss)}, but this service accepts only ${this.#issuer}: run the job in that GitLab, or change issuer= in ADMIN_OIDC`,
    );
  }

  #explain(error: errors.JOSEError): string {
    if (error instanceof errors.JWTExpired)
      return `the id_token expired at ${formatTime(error.payload.exp)}: start the job again`;
    if (error instanceof errors.JWTClaimValidationFailed) return this.#explainClaim(error);
    if (error instanceof errors.JOSEAlgNotAllowed)
      return 'the id_token is not signed with RS256: use an id_token that GitLab CI issued';
    if (error instanceof errors.JWSSignatureVerificationFailed)
      return 'the signature of the id_token is not valid: use an id_token that GitLab CI issued, and send it unchanged';
    return 'the token is not a readable id_token: use an id_token that GitLab CI issued, and send it unchanged';
  }

  #explainClaim({ claim, reason, payload }: errors.JWTClaimValidationFailed): string {
    if (reason === 'missing') return missing(claim);
    if (claim === 'nbf' && reason === 'check_failed')
      return `the id_token is not valid before ${formatTime(payload.nbf)}: correct the clocks of GitLab and of this service`;
    if (claim === 'aud')
      return `the id_token is for the audience ${quote(payload.aud)}, but this service needs ${this.#audience}: set aud: ${this.#audience} in id_tokens of the job`;
    return missing(claim);
  }
}

function jobOf(payload: JWTPayload): SignedJob {
  const claims = claimsSchema.safeParse(payload);
  if (!claims.success)
    throw new Unauthorized(missing(String(claims.error.issues[0]?.path[0])), { cause: claims.error });
  return claims.data;
}

function missing(claim: string): string {
  return `the id_token has no valid claim ${claim}: use an id_token that GitLab CI issued for the keyword id_tokens of the job`;
}

/** Returns a claim as one line of limited length. The author of a CI file controls its content. */
function quote(claim: unknown): string {
  return JSON.stringify(claim).slice(0, 200);
}

function formatTime(seconds: number | undefined): string {
  const date = new Date((seconds ?? Number.NaN) * 1000);
  return Number.isNaN(date.getTime()) ? 'an invalid time' : date.toISOString();
}
