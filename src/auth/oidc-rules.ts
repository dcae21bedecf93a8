/** The rules of ADMIN_OIDC. They determine which CI jobs may make admin calls. */
export interface OidcRules {
  /** The required `iss` of their id_tokens: the URL of GitLab, without a trailing slash. */
  readonly issuer: string;
  /** The required `aud` of their id_tokens, which names this service. */
  readonly audience: string;
  /** Projects and groups, with their subgroups, whose jobs may act for every project. */
  readonly operators: readonly string[];
  /** Projects and groups, with their subgroups, whose jobs may act for their own project. */
  readonly projects: readonly string[];
}

/** The defaults of issuer= and audience= in ADMIN_OIDC: GITLAB_URL and PUBLIC_URL. */
export interface OidcDefaults {
  readonly issuer: string;
  readonly audience: string | undefined;
}

const KEYS = ['issuer', 'audience', 'operators', 'projects'] as const;
type Key = (typeof KEYS)[number];

/**
 * Parses ADMIN_OIDC, which has entries of the form `key=value`, separated by white space. Throws an Error if the value
 * is invalid. The message says what to change, and does not contain the value.
 */
export function parseOidcRules(value: string, defaults: OidcDefaults): OidcRules {
  const entries = readEntries(value);
  const issuer = entries.get('issuer') ?? defaults.issuer;
  const audience = entries.get('audience') ?? defaults.audience;
  const operators = paths(entries.get('operators'));
  const projects = paths(entries.get('projects'));
  if (entries.has('issuer') && !isIssuer(issuer))
    throw new Error('has an invalid issuer=: it must be an http:// or https:// URL without query and credentials');
  if (audience === undefined)
    throw new Error(
      'has no audience=, and PUBLIC_URL is not set: set one of them to the aud that jobs use for this service',
    );
  if (operators.length + projects.length === 0)
    throw new Error('allows nobody: add operators= or projects= with projects or groups, separated by commas');
  return { issuer: issuer.replace(/(?<!\/)\/+$/, ''), audience, operators, projects };
}

function readEntries(value: string): Map<Key, string> {
  const entries = new Map<Key, string>();
  for (const entry of value.split(/\s+/).filter((part) => part !== '')) {
    const [, name, text] = /^([a-z]+)=(.+)$/.exec(entry) ?? [];
    const key = KEYS.find((candidate) => candidate === name);
    if (key === undefined || text === undefined)
      throw new Error(
        `must be entries of the form ${KEYS.map((allowed) => `${allowed}=…`).join(', ')}, separated by spaces`,
      );
    if (entries.has(key)) throw new Error(`has ${key}= twice: keep one`);
    entries.set(key, text);
  }
  return entries;
}

function paths(value: string | undefined): string[] {
  if (value === undefined) return [];
  const list = value.split(',').map((path) => path.replace(/^\/+|(?<!\/)\/+$/g, ''));
  if (list.includes(''))
    throw new Error('has an empty entry in operators= or projects=: expected paths separated by commas');
  return list;
}

function isIssuer(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, username, password, search, hash } = new URL(value);
  return /^https?:$/.test(protocol) && username + password + search + hash === '';
}
