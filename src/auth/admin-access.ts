import type { HttpClient } from '../http-client/http-client.ts';
import { below } from '../module/path-elements.ts';
import { isToken } from './token.ts';
import { IdTokens, type Job } from './id-token.ts';
import type { OidcRules } from './oidc-rules.ts';
import { Forbidden, Unauthorized } from './auth-errors.ts';

/** The caller of an admin route: an administrator with ADMIN_TOKEN, who may do everything, or a CI job. */
export type Caller = { readonly kind: 'token' } | JobCaller;

/** A CI job. With `own project`, it may act only for `project`, the full path in the spelling of GitLab. */
export interface JobCaller extends Job {
  readonly kind: 'job';
  readonly may: 'everything' | 'own project';
}

/** The settings for admin calls: ADMIN_TOKEN and ADMIN_OIDC. */
export interface AdminAccessOptions {
  /** Fetches the keys of the issuer. */
  readonly http: HttpClient;
  readonly tokens: readonly string[];
  readonly oidc: OidcRules | undefined;
}

/** Determines who may make admin calls: callers with an ADMIN_TOKEN, and CI jobs with an id_token of GitLab. */
export class AdminAccess {
  readonly #tokens: readonly string[];
  readonly #oidc: OidcRules | undefined;
  readonly #idTokens: IdTokens | undefined;

  constructor({ http, tokens, oidc }: AdminAccessOptions) {
    this.#tokens = tokens;
    this.#oidc = oidc;
    this.#idTokens = oidc && new IdTokens(http, oidc);
  }

  /**
   * Identifies the caller by the `Authorization` header. Rejects with Unauthorized, Forbidden or Unavailable from
   * `auth-errors.ts`. The messages of these errors are for the caller.
   */
  async authorize(authorization: string | undefined): Promise<Caller> {
    const token = bearerToken(authorization);
    if (token === undefined)
      throw new Unauthorized(`no token: send the header "Authorization: Bearer TOKEN" with ${this.#accepted()}`);
    if (isToken(token, this.#tokens)) return { kind: 'token' };
    if (!this.#oidc || !this.#idTokens || token.split('.').length !== 3) {
      throw new Unauthorized(`the token is not valid here: send ${this.#accepted()}`);
    }
    const { isProtected, ...job } = await this.#idTokens.verify(token);
    // Without this check, everyone who may push a branch could act for the project.
    if (!isProtected)
      throw new Forbidden(
        `the job ran for ${job.ref}, which is not protected in ${job.project}: run it for a protected branch or tag`,
      );
    return { kind: 'job', ...job, may: allowed(job.project, this.#oidc) };
  }

  #accepted(): string {
    const kinds = [
      ...(this.#tokens.length > 0 ? ['an ADMIN_TOKEN'] : []),
      ...(this.#oidc ? ['an id_token of a CI job'] : []),
    ];
    return kinds.join(' or ') || 'a token, after the operator has set ADMIN_TOKEN or ADMIN_OIDC';
  }
}

/** Returns the token of an `Authorization` header with the scheme Bearer. Returns undefined without such a header. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
}

function allowed(project: string, rules: OidcRules): JobCaller['may'] {
  if (isBelow(project, rules.operators)) return 'everything';
  if (isBelow(project, rules.projects)) return 'own project';
  throw new Forbidden(
    `jobs of ${project} may not make admin calls: add the project or its group to operators= or projects= of ADMIN_OIDC`,
  );
}

/** Whether a project is one of `paths`, or is in a group of `paths`. GitLab ignores the case of paths. */
function isBelow(project: string, paths: readonly string[]): boolean {
  return paths.some((path) => below(project.toLowerCase(), path.toLowerCase()) !== undefined);
}
