import { messageOf } from '../errors.ts';
import type { StoreLocation } from '../store/open-store.ts';
import { SettingsReader } from './reader.ts';
import {
  defaultModulePrefix,
  readGitLab,
  readGitLabAndModules,
  readPublishConfig,
  readStore,
  readWebhookSecrets,
  type GitLabConfig,
  type ModulesConfig,
  type PublishConfig,
  type WebhookSecrets,
} from './shared-config.ts';
import { adminTokens, baseUrl, headerToken, moduleMap, modulePrefix, redisUrl } from './value-parsers.ts';

/** The settings of `modpress verify`. */
export interface VerifyConfig {
  readonly store: StoreLocation;
  /** Undefined without --from-gitlab. */
  readonly gitlab: (GitLabConfig & ModulesConfig) | undefined;
}

/** The settings of `modpress withdraw`. */
export interface WithdrawConfig {
  readonly store: StoreLocation;
  readonly redisUrl: string | undefined;
  /** The prefixes of private module paths. Empty if no setting gives one. */
  readonly privatePrefixes: readonly string[];
}

/**
 * Reads the settings of `modpress backfill` without --url. Throws ConfigError with all faults at once, as the functions
 * below do.
 */
export function loadPublishConfig(env: NodeJS.ProcessEnv): PublishConfig {
  const reader = new SettingsReader(env);
  const config = readPublishConfig(reader);
  reader.throwFaults();
  return config;
}

/** Reads the token of `modpress backfill --url`: ADMIN_TOKEN, else MODPRESS_ID_TOKEN of a CI job. */
export function loadAdminToken(env: NodeJS.ProcessEnv): string {
  const reader = new SettingsReader(env);
  const [token = readIdToken(env, reader)] = reader.optional('ADMIN_TOKEN', adminTokens) ?? [];
  if (token === undefined && !reader.hasFault()) {
    reader.fault(
      'ADMIN_TOKEN',
      'is missing: the service requires it, or in a CI job MODPRESS_ID_TOKEN, an id_token (see deploy/ci/backfill.yml)',
    );
  }
  reader.throwFaults();
  return token ?? '';
}

/** MODPRESS_ID_TOKEN is not one of the settings: GitLab sets it in a CI job. */
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

/** Reads the settings of `modpress verify`, and those of GitLab only with --from-gitlab. */
export function loadVerifyConfig(env: NodeJS.ProcessEnv, fromGitLab: boolean): VerifyConfig {
  const reader = new SettingsReader(env);
  const config = { store: readStore(reader), gitlab: fromGitLab ? readGitLabAndModules(reader) : undefined };
  reader.throwFaults();
  return config;
}

/**
 * Reads the settings of `modpress withdraw`. The command does not call GitLab: GITLAB_URL only gives the default of
 * MODULE_PREFIX.
 */
export function loadWithdrawConfig(env: NodeJS.ProcessEnv): WithdrawConfig {
  const reader = new SettingsReader(env);
  const gitlabUrl = reader.optional('GITLAB_URL', baseUrl);
  const prefix =
    reader.optional('MODULE_PREFIX', modulePrefix) ??
    (gitlabUrl === undefined ? undefined : defaultModulePrefix(gitlabUrl, reader));
  const mapped = (reader.optional('MODULE_MAP', moduleMap) ?? []).map((mapping) => mapping.modulePrefix);
  const config = {
    store: readStore(reader),
    redisUrl: reader.optional('REDIS_URL', redisUrl),
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
    ...readWebhookSecrets(reader, 'set the secret that the service uses, here or in WEBHOOK_SIGNING_TOKEN'),
  };
  reader.throwFaults();
  return config;
}
