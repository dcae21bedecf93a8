import { resolve } from 'node:path';
import type { SecureContext } from 'node:tls';
import { lazyTrust, readCertificates } from '../http-client/certificates.ts';
import { parseForwardProxy, type ForwardProxies } from '../http-client/forward-proxy.ts';
import { parseNoProxy } from '../http-client/no-proxy.ts';
import { checkModulePath } from '../module/path.ts';
import { parseRedisUrl, type RedisLocation } from '../redis/location.ts';
import type { PathMapping } from '../resolve/ownership.ts';
import type { StoreLocation } from '../store/open-store.ts';
import type { SettingsReader } from './reader.ts';
import {
  anyText,
  baseUrl,
  headerToken,
  list,
  moduleMap,
  modulePrefix,
  oneOf,
  positiveNumber,
  signingTokens,
  storeLocation,
  secretTokens,
} from './value-parsers.ts';

/** The settings for outgoing connections. */
export interface NetworkConfig {
  readonly forwardProxies: ForwardProxies;
  /** Returns the TLS context of all outgoing connections. Creates it on the first call, which takes 50 ms. */
  readonly trust: () => SecureContext;
}

/** The settings for calls to GitLab. */
export interface GitLabConfig extends NetworkConfig {
  readonly gitlabUrl: string;
  readonly gitlabToken: string;
  /** Groups and projects to publish from. If empty, all projects that the token is a member of. */
  readonly gitlabScope: readonly string[];
  /** The maximum number of requests per second to GitLab, of all processes together. */
  readonly gitlabRate: number;
  readonly redisLocation: RedisLocation | undefined;
}

/** The settings that determine the module paths of GitLab projects. */
export interface ModulesConfig {
  readonly modulePrefix: string;
  readonly moduleMap: readonly PathMapping[];
}

/** The settings for publishing versions. */
export interface PublishConfig extends GitLabConfig, ModulesConfig {
  readonly store: StoreLocation;
  readonly retag: 'refuse' | 'replace';
}

/** The secrets of webhooks. */
export interface WebhookSecrets {
  readonly webhookTokens: readonly string[];
  readonly webhookSigningTokens: readonly string[];
}

/** Reads the settings for outgoing connections. */
export function readNetwork(reader: SettingsReader): NetworkConfig {
  return {
    forwardProxies: {
      http: reader.optional('HTTP_PROXY', parseForwardProxy),
      https: reader.optional('HTTPS_PROXY', parseForwardProxy),
      isDirect: parseNoProxy(reader.optional('NO_PROXY', anyText) ?? ''),
    },
    trust: lazyTrust(reader.optional('CA_FILE', readCertificates) ?? [], reader.env),
  };
}

/** Reads the settings for publishing versions. */
export function readPublishConfig(reader: SettingsReader): PublishConfig {
  return {
    ...readGitLabAndModules(reader),
    store: readStore(reader),
    retag: reader.optional('RETAG', oneOf('refuse', 'replace')) ?? 'refuse',
  };
}

/** Reads the settings for calls to GitLab and for module paths. */
export function readGitLabAndModules(reader: SettingsReader): GitLabConfig & ModulesConfig {
  const gitlab = readGitLab(reader);
  return {
    ...gitlab,
    modulePrefix: reader.optional('MODULE_PREFIX', modulePrefix) ?? defaultModulePrefix(gitlab.gitlabUrl, reader),
    moduleMap: reader.optional('MODULE_MAP', moduleMap) ?? [],
  };
}

/** Reads the settings for calls to GitLab. */
export function readGitLab(reader: SettingsReader): GitLabConfig {
  const network = readNetwork(reader);
  return {
    ...network,
    gitlabUrl: reader.required('GITLAB_URL', baseUrl) ?? '',
    gitlabToken: reader.required('GITLAB_TOKEN', headerToken) ?? '',
    gitlabScope: reader.optional('GITLAB_SCOPE', list) ?? [],
    gitlabRate: reader.optional('GITLAB_RATE', positiveNumber) ?? 20,
    redisLocation: readRedisLocation(reader, network),
  };
}

/** Reads REDIS_URL. Undefined if it is not set. */
export function readRedisLocation(
  reader: SettingsReader,
  { trust }: Pick<NetworkConfig, 'trust'>,
): RedisLocation | undefined {
  return reader.optional('REDIS_URL', (url) => parseRedisUrl(url, trust));
}

/** Reads the location of the store. */
export function readStore(reader: SettingsReader): StoreLocation {
  const location = reader.optional('STORE', storeLocation) ?? { kind: 'disk' as const, folder: resolve('data') };
  const isBucket = location.kind === 's3';
  const endpoint = reader.optional('S3_ENDPOINT', baseUrl);
  const region = reader.optional('AWS_REGION', anyText) ?? 'us-east-1';
  const accessKey = isBucket ? (reader.required('AWS_ACCESS_KEY_ID', anyText) ?? '') : '';
  const secretKey = isBucket ? (reader.required('AWS_SECRET_ACCESS_KEY', anyText) ?? '') : '';
  return isBucket ? { ...location, endpoint, region, accessKey, secretKey } : location;
}

/**
 * Reads the secrets of webhooks. If there is no secret, records the fault `ifMissing`. If `ifMissing` is undefined, no
 * secret is required.
 */
export function readWebhookSecrets(reader: SettingsReader, ifMissing: string | undefined): WebhookSecrets {
  const webhookTokens = reader.optional('WEBHOOK_TOKEN', secretTokens) ?? [];
  const webhookSigningTokens = reader.optional('WEBHOOK_SIGNING_TOKEN', signingTokens) ?? [];
  const isMissing = webhookTokens.length + webhookSigningTokens.length === 0;
  if (ifMissing !== undefined && isMissing && !reader.hasFault('WEBHOOK_TOKEN', 'WEBHOOK_SIGNING_TOKEN'))
    reader.fault('WEBHOOK_TOKEN', `is missing: ${ifMissing}`);
  return { webhookTokens, webhookSigningTokens };
}

/**
 * Returns the host and path of GitLab. Leaves out the port, which a module path cannot contain. If no module path can
 * begin with the result, records a fault of MODULE_PREFIX.
 */
export function defaultModulePrefix(gitlabUrl: string, reader: SettingsReader): string {
  if (!URL.canParse(gitlabUrl)) return '';
  const { hostname, pathname } = new URL(gitlabUrl);
  const prefix = hostname + pathname.replace(/\/$/, '');
  const problem = checkModulePath(prefix);
  if (problem !== undefined && !reader.hasFault('MODULE_PREFIX')) {
    reader.fault(
      'MODULE_PREFIX',
      `is missing: its default from GITLAB_URL is ${prefix}, which cannot begin a module path (${problem})`,
    );
  }
  return prefix;
}
