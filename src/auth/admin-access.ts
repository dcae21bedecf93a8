import { below } from '../module/path-elements.ts';
import { isToken } from './token.ts';
import { IdTokens, type Job } from './id-token.ts';
import type { OidcRules } from './oidc-rules.ts';
import { Forbidden, Unauthorized } from './auth-errors.ts';

/** Who makes an admin call. Whoever has ADMIN_TOKEN may do everything. */
export type Caller = { readonly kind: 'token' } | JobCaller;

/** A CI job. With `own project`, it may act for `project` alone, the full path as GitLab writes it. */
export interface JobCaller extends Job {
  readonly kind: 'job';
  readonly may: 'everything' | 'own project';
}

/** What admin calls are checked against: ADMIN_TOKEN and ADMIN_OIDC. */
export interface AdminAccessOptions {
  readonly tokens: readonly string[];
  readonly oidc: OidcRules | undefined;
}

/** Says who may make admin calls: those who have a token, and CI jobs that GitLab vouches for. */
export class AdminAccess {
  readonly #tokens: readonly string[];
  readonly #oidc: OidcRules | undefined;
  readonly #idTokens: IdTokens | undefined;

  constructor({ tokens, oidc }: AdminAccessOptions) {
    this.#tokens = tokens;
    this.#oidc = oidc;
    this.#idTokens = oidc && new IdTokens(oidc);
  }

  /**
   * Who is calling, by the `Authorization` header. Rejects with Unauthorized, Forbidden or Unavailable (`refusal.ts`),
   * whose message is for the caller.
   */
  async authorize(authorization: string | undefined): Promise<Caller> {
    const token = bearerToken(authorization);
    if (token === undefined)
      throw new Unauthorized(`no token: send the header "Authorization: Bearer TOKEN" with ${this.#accepted()}`);
    if (isToken(token, this.#tokens)) return { kind: 'token' };
    if (!this.#oidc || !this.#idTokens || token.split('.').length !== 3) {
      throw new Unauthorized(`the token is not known here: send ${this.#accepted()}`);
    }
    const { isProtected, ...job } = await this.#idTokens.verify(token);
    // Else everyone who may push a branch could speak for the project.
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
    return kinds.join(' or ') || 'what ADMIN_TOKEN or ADMIN_OIDC allow, once one of them is set';
  }
}

/** The token of an `Authorization` header, if it has one. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
}

function allowed(project: string, rules: OidcRules): JobCaller['may'] {
  if (isBelow(project, rules.operators)) return 'everything';
  if (isBelow(project, rules.projects)) return 'own project';
  throw new Forbidden(
    `jobs of ${project} may not make admin calls: add it or its group to operators= or projects= of ADMIN_OIDC`,
  );
}

/** Whether a project is one of these, or in one of these groups. GitLab ignores the case of paths. */
function isBelow(project: string, paths: readonly string[]): boolean {
  return paths.some((path) => below(project.toLowerCase(), path.toLowerCase()) !== undefined);
}
