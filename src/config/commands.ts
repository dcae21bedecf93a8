import {
  defaultModulePrefix,
  readGitLab,
  readReach,
  readRetag,
  readStore,
  type Config,
  type GitLabConfig,
  type ReachConfig,
} from './service.ts';
import { messageOf } from '../errors.ts';
import { SettingsReader } from './reader.ts';
import { adminTokens, baseUrl, headerToken, list, moduleMap, modulePrefix, redis, signingTokens } from './values.ts';
import type { StoreLocation } from '../store/open-store.ts';

/** What publishing works with, in whichever process. */
export type PublishConfig = GitLabConfig & Pick<Config, 'store' | 'retag'>;

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
export type HooksConfig = ReachConfig & Pick<Config, 'webhookTokens' | 'webhookSigningTokens'>;

/** Reads the settings that publishing needs, without those of a service. Throws ConfigError with all faults at once. */
export function loadPublishConfig(env: NodeJS.ProcessEnv): PublishConfig {
  const reader = new SettingsReader(env);
  const config = { ...readGitLab(reader), store: readStore(reader), retag: readRetag(reader) };
  reader.throwFaults();
  return config;
}

/** Reads the token for a service that is asked to do something: ADMIN_TOKEN, or MODPRESS_ID_TOKEN of a CI job. Throws ConfigError. */
export function loadAdminToken(env: NodeJS.ProcessEnv): string {
  const reader = new SettingsReader(env);
  const [token = readIdToken(env, reader)] = reader.optional('ADMIN_TOKEN', adminTokens) ?? [];
  if (token === undefined && reader.faults.length === 0) {
    reader.fault(
      'ADMIN_TOKEN',
      'is missing: the service wants it, or in a CI job MODPRESS_ID_TOKEN, an id_token (see deploy/ci/backfill.yml)',
    );
  }
  reader.throwFaults();
  return token ?? '';
}

/** MODPRESS_ID_TOKEN is no setting: GitLab sets it in a job. */
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

/** Reads the settings that `modpress verify` needs; those of GitLab only if it is asked. Throws ConfigError with all faults at once. */
export function loadVerifyConfig(env: NodeJS.ProcessEnv, fromGitLab: boolean): VerifyConfig {
  const reader = new SettingsReader(env);
  const config = { store: readStore(reader), gitlab: fromGitLab ? readGitLab(reader) : undefined };
  reader.throwFaults();
  return config;
}

/** Reads the settings that `modpress withdraw` needs; GitLab itself is not asked. Throws ConfigError with all faults at once. */
export function loadWithdrawConfig(env: NodeJS.ProcessEnv): WithdrawConfig {
  const reader = new SettingsReader(env);
  const gitlabUrl = reader.optional('GITLAB_URL', baseUrl);
  const prefix =
    reader.optional('MODULE_PREFIX', modulePrefix) ??
    (gitlabUrl === undefined ? undefined : defaultModulePrefix(gitlabUrl, reader));
  const mapped = (reader.optional('MODULE_MAP', moduleMap) ?? []).map((mapping) => mapping.modulePrefix);
  const config = {
    store: readStore(reader),
    redisUrl: reader.optional('REDIS_URL', redis),
    privatePrefixes: [...mapped, ...(prefix === undefined ? [] : [prefix])],
  };
  reader.throwFaults();
  return config;
}

/** Reads the settings that `modpress hooks` needs. Throws ConfigError with all faults at once. */
export function loadHooksConfig(env: NodeJS.ProcessEnv): HooksConfig {
  const reader = new SettingsReader(env);
  const config = {
    ...readReach(reader),
    webhookTokens: reader.optional('WEBHOOK_TOKEN', list) ?? [],
    webhookSigningTokens: reader.optional('WEBHOOK_SIGNING_TOKEN', signingTokens) ?? [],
  };
  if (config.webhookTokens.length + config.webhookSigningTokens.length === 0 && !reader.failed(/^WEBHOOK_/)) {
    reader.fault('WEBHOOK_TOKEN', 'is missing: a hook needs the secret of the service, this or WEBHOOK_SIGNING_TOKEN');
  }
  reader.throwFaults();
  return config;
}
