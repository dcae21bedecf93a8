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

/** The settings of `modpress backfill` without --url. Throws ConfigError with all faults at once, as do the functions below. */
export function loadPublishConfig(env: NodeJS.ProcessEnv): PublishConfig {
  const reader = new SettingsReader(env);
  const config = readPublishConfig(reader);
  reader.throwFaults();
  return config;
}

/** The token of `modpress backfill --url`: ADMIN_TOKEN, or MODPRESS_ID_TOKEN of a CI job. */
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

/** MODPRESS_ID_TOKEN is not a setting: GitLab sets it in a job. */
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

/** The settings of `modpress verify`. It reads those of GitLab only with --from-gitlab. */
export function loadVerifyConfig(env: NodeJS.ProcessEnv, fromGitLab: boolean): VerifyConfig {
  const reader = new SettingsReader(env);
  const config = { store: readStore(reader), gitlab: fromGitLab ? readGitLabAndModules(reader) : undefined };
  reader.throwFaults();
  return config;
}

/** The settings of `modpress withdraw`. It does not call GitLab: GITLAB_URL only gives the default of MODULE_PREFIX. */
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

/** The settings of `modpress hooks`. */
export function loadHooksConfig(env: NodeJS.ProcessEnv): GitLabConfig & WebhookSecrets {
  const reader = new SettingsReader(env);
  const config = {
    ...readGitLab(reader),
    ...readWebhookSecrets(reader, 'a webhook needs the secret of the service, this or WEBHOOK_SIGNING_TOKEN'),
  };
  reader.throwFaults();
  return config;
}
