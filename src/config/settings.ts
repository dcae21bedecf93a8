/** The description of an environment variable in `modpress serve --help` and in faults. */
interface Setting {
  /** The default, in words. */
  readonly fallback: string;
  /** What the value must be, in words. */
  readonly expects: string;
  /** Whether the value is a secret. A secret is never shown. It can also be in a file whose path is in NAME_FILE. */
  readonly secret: boolean;
}

function setting(fallback: string, expects: string): Setting {
  return { fallback, expects, secret: false };
}

function secret(fallback: string, expects: string): Setting {
  return { fallback, expects, secret: true };
}

/** All settings, in the order of the help. */
export const settings = {
  GITLAB_URL: setting('required', 'base URL of GitLab, with its path if it has one'),
  GITLAB_TOKEN: secret(
    'required',
    'a token with the scope read_api, preferably a group access token with the role Reporter',
  ),
  GITLAB_SCOPE: setting(
    'all that the token is a member of',
    'groups and projects to publish from, separated by commas',
  ),
  MODULE_PREFIX: setting('host and path of GITLAB_URL', 'first part of private module paths'),
  MODULE_MAP: setting(
    'none',
    'vanity paths: with go.corp.example=platform/go, the module go.corp.example/x is in the project platform/go/x',
  ),
  WEBHOOK_TOKEN: secret('one of these two for webhook', 'secret tokens of the webhooks, separated by commas'),
  WEBHOOK_SIGNING_TOKEN: secret(
    'one of these two for webhook',
    'signing tokens of the webhooks (whsec_…), separated by commas',
  ),
  LISTEN: setting(':8080', 'address to listen on'),
  PUBLIC_URL: setting('from the request', 'URL at which users reach the service'),
  STORE: setting('file:./data', 'file:FOLDER or s3://BUCKET[/PREFIX]'),
  S3_ENDPOINT: setting("Amazon's", 'URL of the S3 service, such as http://minio:9000'),
  AWS_ACCESS_KEY_ID: secret('required for s3', 'access key of the bucket'),
  AWS_SECRET_ACCESS_KEY: secret('required for s3', 'secret key of the bucket'),
  AWS_REGION: setting('us-east-1', 'region of the bucket'),
  REDIS_URL: secret(
    'none: queue in the process',
    'URL of a shared queue: redis://, redis+sentinel:// or redis+cluster://, or rediss… with TLS',
  ),
  UPSTREAM: secret(
    'GOPROXY of the environment, else https://goproxy.io',
    'sources of all other modules, in GOPROXY syntax',
  ),
  UPSTREAM_MODE: setting('cache', 'cache stores external modules, redirect sends clients to the upstream'),
  UPSTREAM_TIMEOUT: setting('100', 'seconds to wait for the first byte of an upstream response'),
  UPSTREAM_PRIVATE_HOSTS: setting(
    'none',
    'internal hosts to which an upstream may redirect: names, addresses, networks',
  ),
  SUMDB: setting(
    'all that the upstream supports',
    'checksum databases to pass through: NAME or NAME=URL, separated by commas',
  ),
  ACCESS: setting('required for proxy', 'who may read modules: open means everyone on the network'),
  ON_DEMAND: setting(
    'on',
    'on: also resolve branches, commits and unpublished tags; off: serve only published versions',
  ),
  RETAG: setting('refuse', 'what a moved tag does to a published version: refuse or replace'),
  ADMIN_TOKEN: secret('none', 'tokens for admin calls, at least 16 characters each, separated by commas'),
  ADMIN_OIDC: setting(
    'none',
    'CI jobs that may make admin calls: operators=PATHS projects=PATHS, optionally issuer=URL audience=TEXT',
  ),
  HTTP_PROXY: secret('none', 'forward proxy for http URLs, as the go command reads it; http_proxy too'),
  HTTPS_PROXY: secret('none', 'forward proxy for https URLs; https_proxy too'),
  NO_PROXY: setting('none', 'hosts to reach without a forward proxy: names, addresses, networks; no_proxy too'),
  CA_FILE: setting('none', 'PEM file with CAs to trust besides those of the machine'),
  GITLAB_RATE: setting('20', 'requests per second to GitLab, of all replicas together'),
  SWEEP_MINUTES: setting('15', 'minutes between two sweeps, which compare all tags with the store'),
  LOG_LEVEL: setting('info', 'fatal, error, warn, info, debug, trace or silent'),
} as const satisfies Record<string, Setting>;

/** Settings of a later version. A service that ignored them would be open to more people than its operator believes. */
export const LATER_SETTINGS = ['ACCESS_USERS', 'FILTER'] as const;

/** The name of a setting. */
export type SettingName = keyof typeof settings;

/** Returns the settings as a table of plain text. */
export function settingsTable(): string {
  const rows = Object.entries(settings).map(([name, { fallback, expects, secret: isSecret }]) => [
    isSecret ? `${name} *` : name,
    fallback,
    expects,
  ]);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [...lines, '', '* or NAME_FILE: the path of a file that contains the value']
    .map((line) => `  ${line}`.trimEnd())
    .join('\n');
}
