import { hostname } from 'node:os';
import { parseOidcRules, type OidcRules } from '../auth/oidc-rules.ts';
import { messageOf } from '../errors.ts';
import { portOf } from '../http-client/host.ts';
import type { MatchesHost } from '../http-client/host-list.ts';
import { parseGoproxy, type GoproxyEntry } from '../proxy/goproxy.ts';
import { parseSumdbs, type SumdbEntry } from '../proxy/sumdb.ts';
import { SettingsReader } from './reader.ts';
import { LATER_SETTINGS } from './settings.ts';
import { readPublishConfig, readWebhookSecrets, type PublishConfig, type WebhookSecrets } from './shared-config.ts';
import {
  adminTokens,
  baseUrl,
  hostList,
  listenAddress,
  oneOf,
  positiveNumber,
  timeoutSeconds,
} from './value-parsers.ts';

/** A part of the service that a process runs. */
export type Role = 'webhook' | 'worker' | 'proxy';

/** All roles. A process has all of them unless --roles selects some. */
export const ROLES: readonly Role[] = ['webhook', 'worker', 'proxy'];

/** The settings of the service, checked and typed. */
export interface Config extends PublishConfig, WebhookSecrets {
  /** Without a host, the service listens on all interfaces. */
  readonly listen: { readonly host: string | undefined; readonly port: number };
  readonly publicUrl: string | undefined;
  readonly upstream: readonly GoproxyEntry[];
  readonly upstreamMode: 'cache' | 'redirect';
  /** How long to wait for the first byte of an upstream response, in milliseconds. */
  readonly upstreamTimeoutMs: number;
  /** The hosts to which an upstream may redirect although their addresses do not belong to the internet. */
  readonly upstreamPrivateHosts: MatchesHost;
  /** The checksum databases to pass through. Undefined means all that the upstream supports. */
  readonly sumdb: readonly SumdbEntry[] | undefined;
  /** Whether the proxy resolves branches, commits and unpublished tags on request. */
  readonly onDemand: boolean;
  /** The tokens that allow admin calls. If empty, no token allows them. */
  readonly adminTokens: readonly string[];
  /** The rules for CI jobs that may make admin calls. If undefined, no job may. */
  readonly adminOidc: OidcRules | undefined;
  readonly sweepMinutes: number;
  readonly logLevel: string;
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** Reads the settings of a service with these roles. Throws one ConfigError that contains all faults. */
export function loadConfig(env: NodeJS.ProcessEnv, roles: readonly Role[]): Config {
  const reader = new SettingsReader(env);
  const publishConfig = readPublishConfig(reader);
  const publicUrl = reader.optional('PUBLIC_URL', baseUrl);
  const config: Config = {
    ...publishConfig,
    ...readWebhookSecrets(
      reader,
      roles.includes('webhook') ? 'the webhook role needs it or WEBHOOK_SIGNING_TOKEN' : undefined,
    ),
    listen: reader.optional('LISTEN', listenAddress) ?? { host: undefined, port: 8080 },
    publicUrl,
    upstream: reader.optional('UPSTREAM', parseGoproxy) ?? upstreamOfEnvironment(env, reader),
    upstreamMode: reader.optional('UPSTREAM_MODE', oneOf('cache', 'redirect')) ?? 'cache',
    upstreamTimeoutMs: (reader.optional('UPSTREAM_TIMEOUT', timeoutSeconds) ?? 100) * 1000,
    upstreamPrivateHosts: reader.optional('UPSTREAM_PRIVATE_HOSTS', hostList) ?? (() => false),
    sumdb: reader.optional('SUMDB', parseSumdbs),
    onDemand: (reader.optional('ON_DEMAND', oneOf('on', 'off')) ?? 'on') === 'on',
    adminTokens: reader.optional('ADMIN_TOKEN', adminTokens) ?? [],
    adminOidc: reader.optional('ADMIN_OIDC', (value) =>
      parseOidcRules(value, { issuer: publishConfig.gitlabUrl, audience: publicUrl }),
    ),
    sweepMinutes: reader.optional('SWEEP_MINUTES', positiveNumber) ?? 15,
    logLevel: reader.optional('LOG_LEVEL', oneOf(...LOG_LEVELS)) ?? 'info',
  };
  checkAccess(reader, roles);
  checkUpstream(reader, config);
  checkRedis(reader, config, roles);
  reader.throwFaults();
  return config;
}

function upstreamOfEnvironment(env: NodeJS.ProcessEnv, reader: SettingsReader): GoproxyEntry[] {
  try {
    return parseGoproxy(env['GOPROXY'] || 'https://goproxy.io');
  } catch (error) {
    if (!reader.hasFault('UPSTREAM'))
      reader.fault('UPSTREAM', `is missing, and GOPROXY of the environment ${messageOf(error)}`);
    return [];
  }
}

/**
 * Records a fault if ACCESS is missing, and for each setting that this version does not support yet. Such a setting
 * must not be ignored silently.
 */
function checkAccess(reader: SettingsReader, roles: readonly Role[]): void {
  const access = reader.optional('ACCESS', oneOf('open', 'basic', 'gitlab'));
  if (access === undefined && roles.includes('proxy') && !reader.hasFault('ACCESS'))
    reader.fault('ACCESS', 'is missing: set who may read the modules; open means everyone on the network');
  if (access !== undefined && access !== 'open')
    reader.fault('ACCESS', `cannot be ${access} yet: this version supports only open`);
  for (const name of LATER_SETTINGS)
    if (reader.isSet(name)) reader.fault(name, 'is not supported by this version yet: remove it');
}

function checkUpstream(reader: SettingsReader, config: Config): void {
  const { upstream, upstreamMode, sumdb = [] } = config;
  const [first] = upstream;
  if (upstreamMode === 'redirect' && first?.kind === 'proxy' && first.authorization !== undefined)
    reader.fault('UPSTREAM', 'contains credentials, which UPSTREAM_MODE=redirect would send to every client');
  const itself = upstream.find((entry) => entry.kind === 'proxy' && isThisService(entry.url, config));
  if (itself?.kind === 'proxy')
    reader.fault(
      'UPSTREAM',
      reader.isSet('UPSTREAM')
        ? `contains ${itself.url}, the address of this service, which would wait for itself`
        : `is missing, and GOPROXY of the environment contains ${itself.url}, the address of this service: set UPSTREAM`,
    );
  const database = sumdb.find(({ server }) => server && isThisService(server.url, config));
  if (database?.server)
    reader.fault('SUMDB', `contains ${database.server.url}, the address of this service, which would wait for itself`);
}

/**
 * Whether a URL certainly leads to this service: it is PUBLIC_URL or a path below it, or it has the port of LISTEN on
 * this machine. Another name of the service cannot be recognized here: src/proxy/via.ts ends such loops.
 */
function isThisService(url: string, { publicUrl, listen }: Pick<Config, 'publicUrl' | 'listen'>): boolean {
  if (publicUrl !== undefined && `${url}/`.startsWith(`${publicUrl}/`)) return true;
  const target = new URL(url);
  const isThisMachine =
    /^(?:localhost|127(?:\.\d+){3}|\[::1\]|0\.0\.0\.0|\[::\])$/.test(target.hostname) ||
    target.hostname === hostname().toLowerCase();
  return isThisMachine && portOf(target) === listen.port;
}

/**
 * Records a fault if REDIS_URL is missing but required. Roles in different processes exchange their work through Redis.
 */
function checkRedis(reader: SettingsReader, { redisLocation, onDemand }: Config, roles: readonly Role[]): void {
  if (redisLocation !== undefined || roles.includes('worker')) return;
  if (roles.includes('webhook') && !reader.hasFault('REDIS_URL'))
    reader.fault(
      'REDIS_URL',
      'is missing: without the worker role in the same process, the webhook role sends its jobs through Redis',
    );
  if (roles.includes('proxy') && onDemand && !reader.hasFault('REDIS_URL', 'ON_DEMAND'))
    reader.fault(
      'REDIS_URL',
      'is missing: without the worker role in the same process, the proxy role sends on-demand requests through Redis; ON_DEMAND=off works without it',
    );
}
