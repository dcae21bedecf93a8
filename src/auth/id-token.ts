import { decodeJwt, errors, jwtVerify, type JWTPayload } from 'jose';
import { z } from 'zod';
import { IssuerKeys } from './issuer-keys.ts';
import { Unauthorized } from './auth-errors.ts';

/** The CI job that an id_token was made for. */
export interface Job {
  /** Full path of the project, as GitLab writes it. */
  readonly project: string;
  /** Who started the job, where GitLab says so. */
  readonly user: string | undefined;
  /** The id of the job, where GitLab says so. */
  readonly job: string | undefined;
  /** The branch or tag it ran for. */
  readonly ref: string;
}

/** What an id_token says of its job; `isProtected` is whether its branch or tag is a protected one. */
export interface SignedJob extends Job {
  readonly isProtected: boolean;
}

/** Gitlab::Ci::JwtV2 writes ids and truth values as strings. */
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

/** Checks id_tokens of GitLab CI: JWTs that one issuer signed, for one audience. */
export class IdTokens {
  readonly #issuer: string;
  readonly #audience: string;
  readonly #keys: IssuerKeys;

  constructor({ issuer, audience }: { readonly issuer: string; readonly audience: string }) {
    this.#issuer = issuer;
    this.#audience = audience;
    this.#keys = new IssuerKeys(issuer);
  }

  /** The job of an id_token. Rejects with Unauthorized where the token is not good, Unavailable where it cannot be checked. */
  async verify(token: string): Promise<SignedJob> {
    try {
      // Not verified yet, but a token that says it is another's needs no look at the keys, and gets a better answer.
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
      throw error instanceof errors.JOSEError ? new Unauthorized(this.#sentence(error), { cause: error }) : error;
    }
  }

  #checkIssuer({ iss }: JWTPayload): void {
    if (iss === undefined || iss === this.#issuer) return;
    throw new Unauthorized(
      `the id_token is of the issuer ${shown(iss)}, this service takes those of ${this.#issuer}: use that GitLab, or set issuer= in ADMIN_OIDC`,
    );
  }

  #sentence(error: errors.JOSEError): string {
    if (error instanceof errors.JWTExpired)
      return `the id_token has expired at ${time(error.payload.exp)}: start the job again`;
    if (error instanceof errors.JWTClaimValidationFailed) return this.#claimSentence(error);
    if (error instanceof errors.JOSEAlgNotAllowed)
      return 'the id_token is not signed with RS256: take one that GitLab CI made';
    if (error instanceof errors.JWSSignatureVerificationFailed)
      return 'the signature of the id_token is not right: take one that GitLab CI made, and pass it as it is';
    return 'the token is no id_token that can be read: take one that GitLab CI made, and pass it as it is';
  }

  #claimSentence({ claim, reason, payload }: errors.JWTClaimValidationFailed): string {
    if (reason === 'missing') return lacking(claim);
    if (claim === 'nbf' && reason === 'check_failed')
      return `the id_token is not valid before ${time(payload.nbf)}: set the clocks of GitLab and of this service`;
    if (claim === 'aud')
      return `the id_token is for the audience ${shown(payload.aud)}, this service is ${this.#audience}: set aud: ${this.#audience} in id_tokens of the job`;
    return lacking(claim);
  }
}

function jobOf(payload: JWTPayload): SignedJob {
  const claims = claimsSchema.safeParse(payload);
  if (!claims.success)
    throw new Unauthorized(lacking(String(claims.error.issues[0]?.path[0])), { cause: claims.error });
  return claims.data;
}

function lacking(claim: string): string {
  return `the id_token has no proper claim ${claim}: take one that id_tokens of GitLab CI made`;
}

/** A claim in one line. Whoever writes a CI file decides what is in it. */
function shown(claim: unknown): string {
  return JSON.stringify(claim).slice(0, 200);
}

function time(seconds: number | undefined): string {
  const date = new Date((seconds ?? Number.NaN) * 1000);
  return Number.isNaN(date.getTime()) ? 'a time that is none' : date.toISOString();
}
