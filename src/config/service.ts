import { resolve } from 'node:path';
import { type OidcRules, parseOidcRules } from '../auth/oidc-rules.ts';
import { messageOf } from '../errors.ts';
import { checkModulePath } from '../module/path.ts';
import { parseGoproxy, type GoproxyEntry } from '../proxy/goproxy.ts';
import { parseSumdbs, type SumdbEntry } from '../proxy/sumdb.ts';
import type { PathMapping } from '../resolve/ownership.ts';
import { SettingsReader } from './reader.ts';
import {
  adminTokens,
  baseUrl,
  headerToken,
  list,
  listenAddress,
  moduleMap,
  modulePrefix,
  oneOf,
  positive,
  redis,
  signingTokens,
  storeLocation,
  text,
} from './values.ts';
import type { StoreLocation } from '../store/open-store.ts';

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

/** How to reach GitLab, together with all who share its limits. */
export type ReachConfig = Pick<Config, 'gitlabUrl' | 'gitlabToken' | 'gitlabScope' | 'gitlabRate' | 'redisUrl'>;

/** How to reach GitLab, and which modules its projects are. */
export type GitLabConfig = ReachConfig & Pick<Config, 'modulePrefix' | 'moduleMap'>;

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** Reads the settings for these roles from environment variables. Throws ConfigError with all faults at once. */
export function loadConfig(env: NodeJS.ProcessEnv, roles: readonly Role[]): Config {
  const reader = new SettingsReader(env);
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
    adminOidc: reader.optional('ADMIN_OIDC', (value) =>
      parseOidcRules(value, { issuer: gitlab.gitlabUrl, audience: publicUrl }),
    ),
    sweepMinutes: reader.optional('SWEEP_MINUTES', positive) ?? 15,
    logLevel: reader.optional('LOG_LEVEL', oneOf(...LOG_LEVELS)) ?? 'info',
  };
  refuseUnsupported(reader, roles);
  const [first] = config.upstream;
  if (config.upstreamMode === 'redirect' && first?.kind === 'proxy' && first.authorization !== undefined) {
    reader.fault('UPSTREAM', 'has credentials in it, which UPSTREAM_MODE=redirect would give to every client');
  }
  if (roles.includes('webhook')) {
    if (config.webhookTokens.length + config.webhookSigningTokens.length === 0 && !reader.failed(/^WEBHOOK_/)) {
      reader.fault('WEBHOOK_TOKEN', 'is missing: the webhook role needs it, or WEBHOOK_SIGNING_TOKEN');
    }
    if (!roles.includes('worker') && redisUrl === undefined && !reader.failed(/^REDIS_URL/)) {
      reader.fault(
        'REDIS_URL',
        'is missing: a webhook without a worker in the same process hands its jobs over in Redis',
      );
    }
  }
  const asksElsewhere = config.onDemand && roles.includes('proxy') && !roles.includes('worker');
  if (asksElsewhere && redisUrl === undefined && !reader.failed(/^(?:REDIS_URL|ON_DEMAND)/)) {
    reader.fault(
      'REDIS_URL',
      'is missing: a proxy without a worker in the same process asks for what is not published in Redis; ON_DEMAND=off does without',
    );
  }
  reader.throwFaults();
  return config;
}

/** Reads how to reach GitLab, and which modules its projects are. */
export function readGitLab(reader: SettingsReader): GitLabConfig {
  const reach = readReach(reader);
  return {
    ...reach,
    modulePrefix: reader.optional('MODULE_PREFIX', modulePrefix) ?? defaultModulePrefix(reach.gitlabUrl, reader),
    moduleMap: reader.optional('MODULE_MAP', moduleMap) ?? [],
  };
}

/** Reads how to reach GitLab. */
export function readReach(reader: SettingsReader): ReachConfig {
  return {
    gitlabUrl: reader.required('GITLAB_URL', baseUrl) ?? '',
    gitlabToken: reader.required('GITLAB_TOKEN', headerToken) ?? '',
    gitlabScope: reader.optional('GITLAB_SCOPE', list) ?? [],
    gitlabRate: reader.optional('GITLAB_RATE', positive) ?? 20,
    redisUrl: reader.optional('REDIS_URL', redis),
  };
}

/** Reads RETAG. */
export function readRetag(reader: SettingsReader): Config['retag'] {
  return reader.optional('RETAG', oneOf('refuse', 'replace')) ?? 'refuse';
}

/** Reads where the store is. */
export function readStore(reader: SettingsReader): StoreLocation {
  const location = reader.optional('STORE', storeLocation) ?? { kind: 'disk' as const, folder: resolve('data') };
  const s3 = location.kind === 's3';
  const endpoint = reader.optional('S3_ENDPOINT', baseUrl);
  const region = reader.optional('AWS_REGION', text) ?? 'us-east-1';
  const accessKey = s3 ? (reader.required('AWS_ACCESS_KEY_ID', text) ?? '') : '';
  const secretKey = s3 ? (reader.required('AWS_SECRET_ACCESS_KEY', text) ?? '') : '';
  return s3 ? { ...location, endpoint, region, accessKey, secretKey } : location;
}

/** GitLab's host and path, which is how projects are named anyway; a port cannot be part of a module path. */
export function defaultModulePrefix(gitlabUrl: string, reader: SettingsReader): string {
  if (!URL.canParse(gitlabUrl)) return '';
  const { hostname, pathname } = new URL(gitlabUrl);
  const prefix = hostname + pathname.replace(/\/$/, '');
  const reason = checkModulePath(prefix);
  if (reason !== undefined && !reader.failed(/^MODULE_PREFIX/)) {
    reader.fault(
      'MODULE_PREFIX',
      `is missing: GITLAB_URL gives ${prefix}, which cannot begin a module path (${reason})`,
    );
  }
  return prefix;
}

function upstreamOfEnvironment(env: NodeJS.ProcessEnv, reader: SettingsReader): GoproxyEntry[] {
  try {
    return parseGoproxy(env['GOPROXY'] || 'https://goproxy.io');
  } catch (error) {
    if (!reader.failed(/^UPSTREAM/))
      reader.fault('UPSTREAM', `is missing, and GOPROXY of the environment ${messageOf(error)}`);
    return [];
  }
}

/** Settings of the contract that this version does not have yet are refused, not ignored. */
function refuseUnsupported(reader: SettingsReader, roles: readonly Role[]): void {
  const access = reader.optional('ACCESS', oneOf('open', 'basic', 'gitlab'));
  if (access === undefined && roles.includes('proxy') && !reader.failed(/^ACCESS/)) {
    reader.fault('ACCESS', 'is missing: say who may read the modules; open means everyone on the network');
  } else if (access !== undefined && access !== 'open') {
    reader.fault('ACCESS', `cannot be ${access} yet: this version has only open`);
  }
  for (const name of ['ACCESS_USERS', 'FILTER'] as const) {
    if (reader.has(name)) reader.fault(name, 'is not supported by this version yet: leave it out');
  }
}
