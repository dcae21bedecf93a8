import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type OidcRules, parseOidcRules } from './admin/oidc-rules.ts';
import { messageOf } from './errors.ts';
import { checkModulePath } from './module/path.ts';
import { parseGoproxy, type GoproxyEntry } from './proxy/goproxy.ts';
import { parseSumdbs, type SumdbEntry } from './proxy/sumdb.ts';
import type { PathMapping } from './resolve/ownership.ts';
import { settings, type SettingName } from './settings.ts';
import type { StoreLocation } from './store/open.ts';

/** What a process does. */
export type Role = 'webhook' | 'worker' | 'proxy';

/** All roles, which is what one process does by default. */
export const ROLES: readonly Role[] = ['webhook', 'worker', 'proxy'];

/** The settings, checked and typed. */
export interface Config {
  readonly gitlabUrl: string;
  readonly gitlabToken: string;
  /** Groups and projects to publish from; empty for all that the token is a member of. */
  readonly gitlabScope: readonly string[];
  /** Calls a second to GitLab, over all replicas. */
  readonly gitlabRate: number;
  readonly modulePrefix: string;
  readonly moduleMap: readonly PathMapping[];
  readonly webhookTokens: readonly string[];
  readonly webhookSigningTokens: readonly string[];
  /** Without host: all interfaces. */
  readonly listen: { readonly host: string | undefined; readonly port: number };
  readonly publicUrl: string | undefined;
  readonly store: StoreLocation;
  readonly redisUrl: string | undefined;
  readonly upstream: readonly GoproxyEntry[];
  readonly upstreamMode: 'cache' | 'redirect';
  /** The checksum databases to pass through; undefined lets the upstream decide. */
  readonly sumdb: readonly SumdbEntry[] | undefined;
  /** Whether branches, commits and unpublished tags are resolved when they are asked for. */
  readonly onDemand: boolean;
  readonly retag: 'refuse' | 'replace';
  /** The tokens that allow admin calls; empty for none. */
  readonly adminTokens: readonly string[];
  /** The CI jobs that may make admin calls; undefined for none. */
  readonly adminOidc: OidcRules | undefined;
  readonly sweepMinutes: number;
  readonly logLevel: string;
}

/** How to reach GitLab, and which modules its projects are. */
export type GitLabConfig = Pick<Config, 'gitlabUrl' | 'gitlabToken' | 'gitlabScope' | 'gitlabRate' | 'modulePrefix' | 'moduleMap' | 'redisUrl'>;

/** What `modpress verify` works with. */
export interface VerifyConfig {
  readonly store: StoreLocation;
  /** Undefined where the store alone is looked at. */
  readonly gitlab: GitLabConfig | undefined;
}

/** What `modpress withdraw` works with. */
export interface WithdrawConfig {
  readonly store: StoreLocation;
  readonly redisUrl: string | undefined;
  /** How private module paths begin; empty where no setting says so. */
  readonly privatePrefixes: readonly string[];
}

/** What `modpress hooks` works with. */
export type HooksConfig = Pick<Config, 'gitlabUrl' | 'gitlabToken' | 'gitlabScope' | 'gitlabRate' | 'redisUrl' | 'webhookTokens' | 'webhookSigningTokens'>;

/** What publishing works with, in whichever process. */
export type PublishConfig = GitLabConfig & Pick<Config, 'store' | 'retag'>;

/** Every fault of the settings, each a line that names its variable. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join('\n'));
    this.faults = faults;
  }
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** Reads the settings for these roles from environment variables. Throws ConfigError with all faults at once. */
export function loadConfig(env: NodeJS.ProcessEnv, roles: readonly Role[]): Config {
  const reader = new Reader(env);
  const gitlab = readGitLab(reader);
  const { redisUrl } = gitlab;
  const publicUrl = reader.optional('PUBLIC_URL', baseUrl);
  const config: Config = {
    ...gitlab,
    webhookTokens: reader.optional('WEBHOOK_TOKEN', list) ?? [],
    webhookSigningTokens: reader.optional('WEBHOOK_SIGNING_TOKEN', signingTokens) ?? [],
    listen: reader.optional('LISTEN', listenAddress) ?? { host: undefined, port: 8080 },
    publicUrl,
    store: readStore(reader),
    upstream: reader.optional('UPSTREAM', parseGoproxy) ?? upstreamOfEnvironment(env, reader),
    upstreamMode: reader.optional('UPSTREAM_MODE', oneOf('cache', 'redirect')) ?? 'cache',
    sumdb: reader.optional('SUMDB', parseSumdbs),
    onDemand: (reader.optional('ON_DEMAND', oneOf('on', 'off')) ?? 'on') === 'on',
    retag: readRetag(reader),
    adminTokens: reader.optional('ADMIN_TOKEN', adminTokens) ?? [],
    adminOidc: reader.optional('ADMIN_OIDC', (value) => parseOidcRules(value, { issuer: gitlab.gitlabUrl, audience: publicUrl })),
    sweepMinutes: reader.optional('SWEEP_MINUTES', positive) ?? 15,
    logLevel: reader.optional('LOG_LEVEL', oneOf(...LOG_LEVELS)) ?? 'info',
  };
  reader.refuseUnsupported(roles);
  const [first] = config.upstream;
  if (config.upstreamMode === 'redirect' && first?.kind === 'proxy' && first.authorization !== undefined) {
    reader.fault('UPSTREAM', 'has credentials in it, which UPSTREAM_MODE=redirect would give to every client');
  }
  if (roles.includes('webhook')) {
    if (config.webhookTokens.length + config.webhookSigningTokens.length === 0 && !reader.failed(/^WEBHOOK_/)) {
      reader.fault('WEBHOOK_TOKEN', 'is missing: the webhook role needs it, or WEBHOOK_SIGNING_TOKEN');
    }
    if (!roles.includes('worker') && redisUrl === undefined && !reader.failed(/^REDIS_URL/)) {
      reader.fault('REDIS_URL', 'is missing: a webhook without a worker in the same process hands its jobs over in Redis');
    }
  }
  const asksElsewhere = config.onDemand && roles.includes('proxy') && !roles.includes('worker');
  if (asksElsewhere && redisUrl === undefined && !reader.failed(/^(?:REDIS_URL|ON_DEMAND)/)) {
    reader.fault('REDIS_URL', 'is missing: a proxy without a worker in the same process asks for what is not published in Redis; ON_DEMAND=off does without');
  }
  if (reader.faults.length > 0) throw new ConfigError(reader.faults);
  return config;
}

/** Reads the settings that publishing needs, without those of a service. Throws ConfigError with all faults at once. */
export function loadPublishConfig(env: NodeJS.ProcessEnv): PublishConfig {
  const reader = new Reader(env);
  const config = { ...readGitLab(reader), store: readStore(reader), retag: readRetag(reader) };
  if (reader.faults.length > 0) throw new ConfigError(reader.faults);
  return config;
}

/** Reads the token for a service that is asked to do something: ADMIN_TOKEN, or MODPRESS_ID_TOKEN of a CI job. Throws ConfigError. */
export function loadAdminToken(env: NodeJS.ProcessEnv): string {
  const reader = new Reader(env);
  const [token = env['MODPRESS_ID_TOKEN']] = reader.optional('ADMIN_TOKEN', adminTokens) ?? [];
  if (!token && reader.faults.length === 0) {
    reader.fault('ADMIN_TOKEN', 'is missing: the service wants it, or in a CI job MODPRESS_ID_TOKEN, an id_token (see deploy/ci/backfill.yml)');
  }
  if (reader.faults.length > 0) throw new ConfigError(reader.faults);
  return token ?? '';
}

/** Reads the settings that `modpress verify` needs; those of GitLab only if it is asked. Throws ConfigError with all faults at once. */
export function loadVerifyConfig(env: NodeJS.ProcessEnv, fromGitLab: boolean): VerifyConfig {
  const reader = new Reader(env);
  const config = { store: readStore(reader), gitlab: fromGitLab ? readGitLab(reader) : undefined };
  if (reader.faults.length > 0) throw new ConfigError(reader.faults);
  return config;
}

/** Reads the settings that `modpress withdraw` needs; GitLab itself is not asked. Throws ConfigError with all faults at once. */
export function loadWithdrawConfig(env: NodeJS.ProcessEnv): WithdrawConfig {
  const reader = new Reader(env);
  const gitlabUrl = reader.optional('GITLAB_URL', baseUrl);
  const prefix = reader.optional('MODULE_PREFIX', modulePrefix) ?? (gitlabUrl === undefined ? undefined : defaultModulePrefix(gitlabUrl, reader));
  const mapped = (reader.optional('MODULE_MAP', moduleMap) ?? []).map((mapping) => mapping.modulePrefix);
  const config = {
    store: readStore(reader),
    redisUrl: reader.optional('REDIS_URL', redis),
    privatePrefixes: [...mapped, ...(prefix === undefined ? [] : [prefix])],
  };
  if (reader.faults.length > 0) throw new ConfigError(reader.faults);
  return config;
}

/** Reads the settings that `modpress hooks` needs. Throws ConfigError with all faults at once. */
export function loadHooksConfig(env: NodeJS.ProcessEnv): HooksConfig {
  const reader = new Reader(env);
  const config = {
    gitlabUrl: reader.required('GITLAB_URL', baseUrl) ?? '',
    gitlabToken: reader.required('GITLAB_TOKEN', text) ?? '',
    gitlabScope: reader.optional('GITLAB_SCOPE', list) ?? [],
    gitlabRate: reader.optional('GITLAB_RATE', positive) ?? 20,
    redisUrl: reader.optional('REDIS_URL', redis),
    webhookTokens: reader.optional('WEBHOOK_TOKEN', list) ?? [],
    webhookSigningTokens: reader.optional('WEBHOOK_SIGNING_TOKEN', signingTokens) ?? [],
  };
  if (config.webhookTokens.length + config.webhookSigningTokens.length === 0 && !reader.failed(/^WEBHOOK_/)) {
    reader.fault('WEBHOOK_TOKEN', 'is missing: a hook needs the secret of the service, this or WEBHOOK_SIGNING_TOKEN');
  }
  if (reader.faults.length > 0) throw new ConfigError(reader.faults);
  return config;
}

/** Reads variables, collecting faults. A value is never part of a fault: it may be a secret. */
class Reader {
  readonly #env: NodeJS.ProcessEnv;
  readonly faults: string[] = [];

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  fault(name: string, problem: string): void {
    this.faults.push(`${name} ${problem}`);
  }

  failed(name: RegExp): boolean {
    return this.faults.some((fault) => name.test(fault));
  }

  required<T>(name: SettingName, parse: (value: string) => T): T | undefined {
    const value = this.optional(name, parse);
    if (value === undefined && !this.failed(new RegExp(`^${name}(_FILE)? `))) {
      this.fault(name, `is missing: ${settings[name].expects}`);
    }
    return value;
  }

  optional<T>(name: SettingName, parse: (value: string) => T): T | undefined {
    const value = this.#raw(name);
    if (value === undefined) return undefined;
    try {
      return parse(value);
    } catch (error) {
      this.fault(name, messageOf(error));
      return undefined;
    }
  }

  /** Settings of the contract that this version does not have yet are refused, not ignored. */
  refuseUnsupported(roles: readonly Role[]): void {
    const access = this.optional('ACCESS', oneOf('open', 'basic', 'gitlab'));
    if (access === undefined && roles.includes('proxy') && !this.failed(/^ACCESS/)) {
      this.fault('ACCESS', 'is missing: say who may read the modules; open means everyone on the network');
    } else if (access !== undefined && access !== 'open') {
      this.fault('ACCESS', `cannot be ${access} yet: this version has only open`);
    }
    for (const name of ['ACCESS_USERS', 'FILTER'] as const) {
      if (this.#raw(name) !== undefined) this.fault(name, 'is not supported by this version yet: leave it out');
    }
  }

  /** The value of NAME, or the content of the file that NAME_FILE names. Empty is the same as absent. */
  #raw(name: SettingName): string | undefined {
    const file = this.#env[`${name}_FILE`];
    const value = this.#env[name];
    if (!settings[name].secret || file === undefined || file === '') return value === '' ? undefined : value;
    if (value !== undefined && value !== '') this.fault(name, `and ${name}_FILE are both set: keep one`);
    try {
      return readFileSync(file, 'utf8').trim() || undefined;
    } catch (error) {
      this.fault(`${name}_FILE`, `names a file that cannot be read: ${messageOf(error)}`);
      return undefined;
    }
  }
}

function readGitLab(reader: Reader): GitLabConfig {
  const gitlabUrl = reader.required('GITLAB_URL', baseUrl) ?? '';
  return {
    gitlabUrl,
    redisUrl: reader.optional('REDIS_URL', redis),
    gitlabToken: reader.required('GITLAB_TOKEN', text) ?? '',
    gitlabScope: reader.optional('GITLAB_SCOPE', list) ?? [],
    gitlabRate: reader.optional('GITLAB_RATE', positive) ?? 20,
    modulePrefix: reader.optional('MODULE_PREFIX', modulePrefix) ?? defaultModulePrefix(gitlabUrl, reader),
    moduleMap: reader.optional('MODULE_MAP', moduleMap) ?? [],
  };
}

function readRetag(reader: Reader): Config['retag'] {
  return reader.optional('RETAG', oneOf('refuse', 'replace')) ?? 'refuse';
}

function readStore(reader: Reader): StoreLocation {
  const location = reader.optional('STORE', storeLocation) ?? { kind: 'disk' as const, folder: resolve('data') };
  const s3 = location.kind === 's3';
  const endpoint = reader.optional('S3_ENDPOINT', baseUrl);
  const region = reader.optional('AWS_REGION', text) ?? 'us-east-1';
  const accessKey = s3 ? (reader.required('AWS_ACCESS_KEY_ID', text) ?? '') : '';
  const secretKey = s3 ? (reader.required('AWS_SECRET_ACCESS_KEY', text) ?? '') : '';
  return s3 ? { ...location, endpoint, region, accessKey, secretKey } : location;
}

function storeLocation(value: string): { kind: 'disk'; folder: string } | { kind: 's3'; bucket: string; prefix: string } {
  const folder = /^file:(?:\/\/(?=\/))?(.+)$/.exec(value)?.[1];
  if (folder !== undefined) return { kind: 'disk', folder: resolve(folder) };
  const [, bucket, prefix = ''] = /^s3:\/\/([^/]+)(?:\/(.*?)\/?)?$/.exec(value) ?? [];
  if (bucket !== undefined) return { kind: 's3', bucket, prefix };
  throw new Error(`must be ${settings.STORE.expects}`);
}

/** GitLab's host and path, which is how projects are named anyway; a port cannot be part of a module path. */
function defaultModulePrefix(gitlabUrl: string, reader: Reader): string {
  if (!URL.canParse(gitlabUrl)) return '';
  const { hostname, pathname } = new URL(gitlabUrl);
  const prefix = hostname + pathname.replace(/\/$/, '');
  const reason = checkModulePath(prefix);
  if (reason !== undefined && !reader.failed(/^MODULE_PREFIX/)) {
    reader.fault('MODULE_PREFIX', `is missing: GITLAB_URL gives ${prefix}, which cannot begin a module path (${reason})`);
  }
  return prefix;
}

function upstreamOfEnvironment(env: NodeJS.ProcessEnv, reader: Reader): GoproxyEntry[] {
  try {
    return parseGoproxy(env['GOPROXY'] || 'https://goproxy.io');
  } catch (error) {
    if (!reader.failed(/^UPSTREAM/)) reader.fault('UPSTREAM', `is missing, and GOPROXY of the environment ${messageOf(error)}`);
    return [];
  }
}

function text(value: string): string {
  return value;
}

function list(value: string): string[] {
  const items = value.split(',').map((item) => item.trim().replace(/^\/+|\/+$/g, ''));
  if (items.includes('')) throw new Error('has an empty entry: expected a list separated by commas');
  return items;
}

function signingTokens(value: string): string[] {
  const tokens = list(value);
  if (!tokens.every((token) => /^whsec_[A-Za-z0-9+/]+={0,2}$/.test(token))) {
    throw new Error('must be signing tokens as GitLab shows them: whsec_ and base64, separated by commas');
  }
  return tokens;
}

/** Not by `list`, which takes slashes off: a token in base64 may end with one. */
function adminTokens(value: string): string[] {
  const tokens = value.split(',').map((token) => token.trim());
  if (!tokens.every((token) => /^[!-~]{16,}$/.test(token))) {
    throw new Error('must be tokens of at least 16 characters, without spaces or letters beyond ASCII, separated by commas');
  }
  return tokens;
}

function positive(value: string): number {
  const number = Number(value);
  if (!Number.isFinite(number) || number <= 0) throw new Error('must be a number greater than 0');
  return number;
}

function oneOf<const T extends string>(...values: readonly T[]): (value: string) => T {
  return (value) => {
    const found = values.find((candidate) => candidate === value);
    if (found === undefined) throw new Error(`must be one of ${values.join(', ')}`);
    return found;
  };
}

/** An http or https URL without its final slash. Throws Error for every other text. */
export function baseUrl(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    throw new Error('must be an http:// or https:// URL without a query');
  }
  if (url.username !== '' || url.password !== '') throw new Error('must not contain credentials');
  return url.origin + url.pathname.replace(/\/+$/, '');
}

function redis(value: string): string {
  if (!URL.canParse(value) || !/^rediss?:$/.test(new URL(value).protocol)) throw new Error('must be a redis:// or rediss:// URL');
  return value;
}

function listenAddress(value: string): { host: string | undefined; port: number } {
  const [, host, port] = /^(?:\[([^\]]+)\]|[^:[\]]*):(\d{1,5})$/.exec(value) ?? [];
  if (port === undefined || Number(port) > 65_535) throw new Error('must be host:port, [address]:port or :port');
  return { host: (host ?? value.slice(0, value.lastIndexOf(':'))) || undefined, port: Number(port) };
}

function modulePrefix(value: string): string {
  const reason = checkModulePath(value);
  if (reason !== undefined) throw new Error(`must begin module paths, such as gitlab.example.com: ${reason}`);
  return value;
}

function moduleMap(value: string): PathMapping[] {
  return list(value).map((item) => {
    const [prefix = '', projectPrefix, ...rest] = item.split('=').map((part) => part.trim());
    const reason = checkModulePath(prefix);
    if (!projectPrefix || rest.length > 0) throw new Error('must be entries like go.corp.example=platform/go, separated by commas');
    if (reason !== undefined) throw new Error(`has a module prefix that is no module path: ${prefix} (${reason})`);
    return { modulePrefix: prefix, projectPrefix };
  });
}
