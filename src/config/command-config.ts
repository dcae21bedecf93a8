import { messageOf } from '../errors.ts';
import type { RedisLocation } from '../redis/location.ts';
import type { StoreLocation } from '../store/open-store.ts';
import { SettingsReader } from './reader.ts';
import {
  defaultModulePrefix,
  readGitLab,
  readGitLabAndModules,
  readNetwork,
  readPublishConfig,
  readRedisLocation,
  readStore,
  readWebhookSecrets,
  type GitLabConfig,
  type ModulesConfig,
  type NetworkConfig,
  type PublishConfig,
  type WebhookSecrets,
} from './shared-config.ts';
import { adminTokens, baseUrl, headerToken, moduleMap, modulePrefix } from './value-parsers.ts';

/** The settings of `modpress verify`. */
export interface VerifyConfig extends NetworkConfig {
  readonly store: StoreLocation;
  /** Undefined without --from-gitlab. */
  readonly gitlab: (GitLabConfig & ModulesConfig) | undefined;
}

/** The settings of `modpress withdraw`. */
export interface WithdrawConfig extends NetworkConfig {
  readonly store: StoreLocation;
  readonly redisLocation: RedisLocation | undefined;
  /** The prefixes of private module paths. Empty if no setting determines a prefix. */
  readonly privatePrefixes: readonly string[];
}

/**
 * Reads the settings of `modpress backfill` without --url. Like the other functions of this file, throws one
 * ConfigError that contains all faults.
 */
export function loadPublishConfig(env: NodeJS.ProcessEnv): PublishConfig {
  const reader = new SettingsReader(env);
  const config = readPublishConfig(reader);
  reader.throwFaults();
  return config;
}

/**
 * Reads the settings of `modpress backfill --url`. The token is ADMIN_TOKEN, or MODPRESS_ID_TOKEN of a CI job if
 * ADMIN_TOKEN is not set.
 */
export function loadRemoteConfig(env: NodeJS.ProcessEnv): NetworkConfig & { readonly token: string } {
  const reader = new SettingsReader(env);
  const [token = readIdToken(env, reader)] = reader.optional('ADMIN_TOKEN', adminTokens) ?? [];
  if (token === undefined && !reader.hasFault()) {
    reader.fault(
      'ADMIN_TOKEN',
      'is missing: set it to an admin token of the service; in a CI job, set MODPRESS_ID_TOKEN instead (see deploy/ci/backfill.yml)',
    );
  }
  const network = readNetwork(reader);
  reader.throwFaults();
  return { ...network, token: token ?? '' };
}

/** Reads MODPRESS_ID_TOKEN. It is not in the table of settings, because GitLab sets it in a CI job. */
function readIdToken(env: NodeJS.ProcessEnv, reader: SettingsReader): string | undefined {
  const value = env['MODPRESS_ID_TOKEN'];
  if (!value) return undefined;
  try {
    return headerToken(value);
  } catch (error) {
    reader.fault('MODPRESS_ID_TOKEN', messageOf(error));
    return undefined;
  }
}

/** Reads the settings of `modpress verify`. Reads those of GitLab only if `fromGitLab` is true. */
export function loadVerifyConfig(env: NodeJS.ProcessEnv, fromGitLab: boolean): VerifyConfig {
  const reader = new SettingsReader(env);
  const config = {
    ...readNetwork(reader),
    store: readStore(reader),
    gitlab: fromGitLab ? readGitLabAndModules(reader) : undefined,
  };
  reader.throwFaults();
  return config;
}

/**
 * Reads the settings of `modpress withdraw`. The command does not call GitLab. GITLAB_URL only determines the default
 * of MODULE_PREFIX.
 */
export function loadWithdrawConfig(env: NodeJS.ProcessEnv): WithdrawConfig {
  const reader = new SettingsReader(env);
  const gitlabUrl = reader.optional('GITLAB_URL', baseUrl);
  const prefix =
    reader.optional('MODULE_PREFIX', modulePrefix) ??
    (gitlabUrl === undefined ? undefined : defaultModulePrefix(gitlabUrl, reader));
  const mapped = (reader.optional('MODULE_MAP', moduleMap) ?? []).map((mapping) => mapping.modulePrefix);
  const network = readNetwork(reader);
  const config = {
    ...network,
    store: readStore(reader),
    redisLocation: readRedisLocation(reader, network),
    privatePrefixes: [...mapped, ...(prefix === undefined ? [] : [prefix])],
  };
  reader.throwFaults();
  return config;
}

/** Reads the settings of `modpress hooks`. */
export function loadHooksConfig(env: NodeJS.ProcessEnv): GitLabConfig & WebhookSecrets {
  const reader = new SettingsReader(env);
  const config = {
    ...readGitLab(reader),
    ...readWebhookSecrets(reader, 'set it or WEBHOOK_SIGNING_TOKEN to the secret that the service uses'),
  };
  reader.throwFaults();
  return config;
}
