import { randomBytes } from 'node:crypto';

export type Scope = 'api' | 'read_api' | 'read_repository';

export interface TokenOptions {
  readonly scopes: readonly Scope[];
  /**
   * The full paths of the projects and groups of which the token is a member. Membership of a group includes all of its
   * projects. By default, the token is a member of everything.
   */
  readonly projects?: readonly string[];
  readonly expired?: boolean;
  /** The role of the member. Webhooks require `maintainer`, which is the default. */
  readonly role?: 'reporter' | 'maintainer';
}

/** An access token. Each token is a separate user, as with a project or group access token in GitLab. */
export interface Token {
  readonly id: number;
  readonly value: string;
  readonly scopes: readonly Scope[];
  readonly memberOf: readonly string[] | 'everything';
  readonly expired: boolean;
  readonly role: 'reporter' | 'maintainer' | 'admin';
  readonly createdAt: Date;
}

/** The tokens of an instance, by their values. */
export class Tokens {
  readonly root: Token;
  readonly #tokens = new Map<string, Token>();

  constructor() {
    this.root = this.#add({ scopes: ['api'] }, 'admin');
  }

  create(options: TokenOptions): Token {
    return this.#add(options, options.role ?? 'maintainer');
  }

  find(value: string): Token | undefined {
    return this.#tokens.get(value);
  }

  #add(options: TokenOptions, role: Token['role']): Token {
    const token: Token = {
      id: this.#tokens.size + 1,
      value: `glpat-${randomBytes(15).toString('base64url')}`,
      scopes: options.scopes,
      memberOf: options.projects ?? 'everything',
      expired: options.expired ?? false,
      role,
      createdAt: new Date(),
    };
    this.#tokens.set(token.value, token);
    return token;
  }
}
