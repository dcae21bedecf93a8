import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { loadConfig, ROLES, type Role } from '../../src/config/service-config.ts';
import { ConfigError } from '../../src/config/reader.ts';
import { settings, settingsTable } from '../../src/config/settings.ts';

const GOOD = { GITLAB_URL: 'https://gitlab.example', GITLAB_TOKEN: 'glpat-x', WEBHOOK_TOKEN: 'secret', ACCESS: 'open' };
const folder = mkdtempSync(join(tmpdir(), 'modpress-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('settings', () => {
  test('have the documented defaults if only the required ones are set', () => {
    expect(loadConfig(GOOD, ROLES)).toMatchObject({
      gitlabUrl: 'https://gitlab.example',
      gitlabScope: [],
      gitlabRate: 20,
      modulePrefix: 'gitlab.example',
      webhookTokens: ['secret'],
      listen: { host: undefined, port: 8080 },
      store: { kind: 'disk' },
      redisLocation: undefined,
      upstream: [{ kind: 'proxy', url: 'https://goproxy.io' }],
      upstreamMode: 'cache',
      onDemand: true,
      retag: 'refuse',
      adminTokens: [],
      adminOidc: undefined,
      sweepMinutes: 15,
      logLevel: 'info',
    });
  });

  test('contain the hosts to which an upstream may redirect', () => {
    const { upstreamPrivateHosts } = loadConfig(
      { ...GOOD, UPSTREAM_PRIVATE_HOSTS: 'minio.corp, 10.0.0.0/8, [fd00::1]:9000, müller.example' },
      ROLES,
    );
    const hosts = ['minio.corp', '10.1.2.3', 'fd00::1', '[fd00::1]', 'xn--mller-kva.example', '11.0.0.1', 'corp'];
    expect(hosts.map((host) => upstreamPrivateHosts(host, 9000))).toEqual([true, true, true, true, true, false, false]);
    expect(loadConfig(GOOD, ROLES).upstreamPrivateHosts('127.0.0.1', 80)).toBe(false);
    for (const invalid of ['http://minio', 'minio/path', 'a b', '10.0.0.0/99', 'minio:port', ',minio'])
      expect(faultsOf({ ...GOOD, UPSTREAM_PRIVATE_HOSTS: invalid })).toEqual([
        expect.stringMatching(/^UPSTREAM_PRIVATE_HOSTS has an entry that is neither/),
      ]);
  });

  test('are all checked at once, and each fault is a line that begins with its variable', () => {
    const faults = faultsOf({
      GITLAB_URL: 'gitlab',
      WEBHOOK_SIGNING_TOKEN: 'x',
      LISTEN: '80',
      STORE: 's3:bucket',
      RETAG: 'maybe',
      SWEEP_MINUTES: '-1',
      ACCESS: 'everyone',
      UPSTREAM: 'ftp://x',
    });
    expect(new Set(faults.map((fault) => fault.split(' ')[0]))).toEqual(
      new Set([
        'ACCESS',
        'GITLAB_TOKEN',
        'GITLAB_URL',
        'LISTEN',
        'RETAG',
        'STORE',
        'SWEEP_MINUTES',
        'UPSTREAM',
        'WEBHOOK_SIGNING_TOKEN',
      ]),
    );
  });

  test.each([
    [{ ACCESS: 'basic' }, 'ACCESS cannot be basic yet'],
    [{ ACCESS: 'gitlab' }, 'ACCESS cannot be gitlab yet'],
    [{ ACCESS: '' }, 'ACCESS is missing'],
    [{ ON_DEMAND: 'yes' }, 'ON_DEMAND must be one of on, off'],
    [{ FILTER: 'x' }, 'FILTER is not supported'],
    [{ UPSTREAM_TIMEOUT: '1e9' }, 'UPSTREAM_TIMEOUT must be at most 3600 seconds'],
    [{ UPSTREAM: 'http://localhost:8080' }, 'UPSTREAM contains http://localhost:8080, the address of this service'],
    [
      { UPSTREAM: 'https://goproxy.example|http://127.0.0.1:81', LISTEN: '10.0.0.1:81' },
      'UPSTREAM contains http://127.0.0.1:81, the address of this service',
    ],
    [{ UPSTREAM: `http://${hostname()}:8080/` }, `UPSTREAM contains http://${hostname()}:8080, the address`],
    [
      { UPSTREAM: 'https://go.corp.example/go,direct', PUBLIC_URL: 'https://go.corp.example' },
      'UPSTREAM contains https://go.corp.example/go, the address of this service',
    ],
    [
      { GOPROXY: 'https://go.corp.example,direct', PUBLIC_URL: 'https://go.corp.example' },
      'UPSTREAM is missing, and GOPROXY of the environment contains https://go.corp.example, the address of this service',
    ],
    [{ SUMDB: 'sum.example=http://[::1]:8080' }, 'SUMDB contains http://[::1]:8080, the address of this service'],
    [{ ADMIN_TOKEN: 'fifteen-letters' }, 'ADMIN_TOKEN must be tokens of at least 16 ASCII characters'],
    [{ ADMIN_TOKEN: 'sixteen-letters-,' }, 'ADMIN_TOKEN must be tokens of at least 16 ASCII characters'],
    [{ ADMIN_OIDC: 'x' }, 'ADMIN_OIDC must be entries of the form issuer=…'],
    [{ ADMIN_OIDC: 'operators=platform' }, 'ADMIN_OIDC has no audience=, and PUBLIC_URL is not set'],
    [{ WEBHOOK_TOKEN: '' }, 'WEBHOOK_TOKEN is missing'],
    [{ WEBHOOK_TOKEN: 'new,,old' }, 'WEBHOOK_TOKEN must be secret tokens of one line each, separated by commas'],
    [{ WEBHOOK_TOKEN: 'new\nold' }, 'WEBHOOK_TOKEN must be secret tokens of one line each, separated by commas'],
    [{ GITLAB_TOKEN: ' glpat-x' }, 'GITLAB_TOKEN must be one token: a single line'],
    [{ GITLAB_URL: 'https://user:pass@gitlab.example' }, 'GITLAB_URL must not contain credentials'],
    [{ GITLAB_URL: 'http://localhost:3000' }, 'MODULE_PREFIX is missing'],
    [{ GITLAB_TOKEN: 'glpat-x\n# of the platform group' }, 'GITLAB_TOKEN must be one token: a single line'],
    [{ MODULE_PREFIX: 'gitlab' }, 'MODULE_PREFIX must be the beginning of module paths'],
    [{ MODULE_MAP: 'go.corp.example' }, 'MODULE_MAP must be entries'],
    [{ STORE: 's3://bucket', AWS_SECRET_ACCESS_KEY: 'x' }, 'AWS_ACCESS_KEY_ID is missing'],
    [{ UPSTREAM: 'https://user:pass@proxy.corp.example', UPSTREAM_MODE: 'redirect' }, 'UPSTREAM contains credentials'],
    [{ LISTEN: ':99999' }, 'LISTEN must be'],
    [{ REDIS_URL: 'http://x' }, 'REDIS_URL must be'],
    [{ HTTPS_PROXY: 'socks5://proxy.example' }, 'HTTPS_PROXY is a SOCKS proxy, which modpress does not support'],
    [{ http_proxy: 'ftp://proxy.example' }, 'HTTP_PROXY must be the URL of a forward proxy'],
    [{ HTTP_PROXY: 'http://user:50%@proxy.example' }, 'HTTP_PROXY has a user or password with an invalid percent'],
    [{ CA_FILE: '/nowhere/at/all' }, 'CA_FILE names a file that cannot be read'],
    [{ CA_FILE: 'package.json' }, 'CA_FILE names a file without a PEM certificate'],
    [{ GITLAB_TOKEN_FILE: '/nowhere/at/all', GITLAB_TOKEN: '' }, 'GITLAB_TOKEN_FILE names a file that cannot be read'],
    [{ GOPROXY: 'file:///x', UPSTREAM: '' }, 'UPSTREAM is missing, and GOPROXY'],
  ])('such as %j are refused with the reason', (env, sentence) => {
    expect(faultsOf({ ...GOOD, ...env })).toEqual([expect.stringContaining(sentence)]);
  });

  test('are required according to the roles of the process', () => {
    expect(faultsOf({ ...GOOD, ACCESS: '', WEBHOOK_TOKEN: '' }, ['worker'])).toEqual([]);
    expect(faultsOf({ ...GOOD, WEBHOOK_TOKEN: '' }, ['proxy'])).toEqual([
      expect.stringContaining('ON_DEMAND=off works without it'),
    ]);
    expect(faultsOf({ ...GOOD, WEBHOOK_TOKEN: '', ON_DEMAND: 'off' }, ['proxy'])).toEqual([]);
    expect(faultsOf({ ...GOOD, WEBHOOK_TOKEN: '', REDIS_URL: 'redis://127.0.0.1' }, ['proxy'])).toEqual([]);
    expect(faultsOf({ ...GOOD, ACCESS: '' }, ['webhook'])).toEqual([expect.stringContaining('REDIS_URL is missing')]);
    expect(faultsOf({ ...GOOD, ACCESS: '', REDIS_URL: 'redis://127.0.0.1' }, ['webhook'])).toEqual([]);
  });

  test('never appear in a fault with their value, which may be a secret', () => {
    // The path in CA_FILE is not a secret, and its fault is clearer with it.
    const names = Object.keys(settings).filter((name) => name !== 'CA_FILE');
    const values = Object.fromEntries(names.map((name) => [name, `hunter2 for ${name} \u0001`]));
    expect(faultsOf(values).join('\n')).not.toContain('hunter2');
  });

  test.each<[content: string, secret: string]>([
    ['/a b/\n', '/a b/'],
    ['/a b/\r\n', '/a b/'],
    [' a b ', ' a b '],
    ['a\n\n', 'a\n'],
  ])('lose only a final line break if they are secret and in a file: %j is %j', (content, secret) => {
    const file = join(folder, 'secret-key');
    writeFileSync(file, content);
    const env = { ...GOOD, STORE: 's3://bucket', AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY_FILE: file };
    expect(loadConfig(env, ROLES).store).toMatchObject({ secretKey: secret });
  });

  test('can be in a file if they are secret, but not in both places', () => {
    const file = join(folder, 'token');
    writeFileSync(file, 'from-file\n');
    expect(loadConfig({ ...GOOD, GITLAB_TOKEN: '', GITLAB_TOKEN_FILE: file }, ROLES).gitlabToken).toBe('from-file');
    expect(faultsOf({ ...GOOD, GITLAB_TOKEN_FILE: file })).toEqual([
      'GITLAB_TOKEN and GITLAB_TOKEN_FILE are both set: remove one of them',
    ]);
  });

  test.each([
    ['LISTEN', '127.0.0.1:0', { listen: { host: '127.0.0.1', port: 0 } }],
    ['LISTEN', '[::1]:8080', { listen: { host: '::1', port: 8080 } }],
    [
      'GITLAB_URL',
      'https://corp.example/gitlab/',
      { gitlabUrl: 'https://corp.example/gitlab', modulePrefix: 'corp.example/gitlab' },
    ],
    ['GITLAB_TOKEN', '/glpat-x=/', { gitlabToken: '/glpat-x=/' }],
    ['GITLAB_SCOPE', 'group, other/project/', { gitlabScope: ['group', 'other/project'] }],
    [
      'MODULE_MAP',
      'go.corp.example=platform/go',
      { moduleMap: [{ modulePrefix: 'go.corp.example', projectPrefix: 'platform/go' }] },
    ],
    ['STORE', 'file:///srv/modpress', { store: { kind: 'disk', folder: '/srv/modpress' } }],
    [
      'ADMIN_TOKEN',
      'new-token-in-base64/, old-token-in-base64=',
      { adminTokens: ['new-token-in-base64/', 'old-token-in-base64='] },
    ],
    [
      'ADMIN_OIDC',
      'audience=modpress projects=group',
      { adminOidc: { issuer: 'https://gitlab.example', audience: 'modpress', operators: [], projects: ['group'] } },
    ],
    ['UPSTREAM_TIMEOUT', '0.5', { upstreamTimeoutMs: 500 }],
    ['UPSTREAM', 'http://localhost:8081', { upstream: [{ url: 'http://localhost:8081' }] }],
    ['WEBHOOK_TOKEN', 'new,old', { webhookTokens: ['new', 'old'] }],
    ['WEBHOOK_TOKEN', 'abc/', { webhookTokens: ['abc/'] }],
    ['WEBHOOK_TOKEN', '/abc//, "d e" ', { webhookTokens: ['/abc//', '"d e"'] }],
    ['WEBHOOK_SIGNING_TOKEN', 'whsec_abc/,whsec_/abc=', { webhookSigningTokens: ['whsec_abc/', 'whsec_/abc='] }],
    [
      'GOPROXY',
      'https://proxy.corp.example,direct',
      { upstream: [{ url: 'https://proxy.corp.example' }, { kind: 'direct' }] },
    ],
  ])('are parsed from %s=%s', (name, value, expected) => {
    expect(loadConfig({ ...GOOD, [name]: value }, ROLES)).toMatchObject(expected);
  });

  test('take the audience of id_tokens from PUBLIC_URL', () => {
    const env = { ...GOOD, PUBLIC_URL: 'https://go.corp.example/', ADMIN_OIDC: 'operators=platform' };
    expect(loadConfig(env, ROLES).adminOidc).toMatchObject({ audience: 'https://go.corp.example' });
  });

  test('contain the prefix, the endpoint and the keys of a bucket', () => {
    const s3 = {
      STORE: 's3://bucket/some/prefix/',
      S3_ENDPOINT: 'http://minio:9000',
      AWS_ACCESS_KEY_ID: 'key',
      AWS_SECRET_ACCESS_KEY: 'secret',
    };
    expect(loadConfig({ ...GOOD, ...s3 }, ROLES).store).toEqual({
      kind: 's3',
      bucket: 'bucket',
      prefix: 'some/prefix',
      endpoint: 'http://minio:9000',
      accessKey: 'key',
      secretKey: 'secret',
      region: 'us-east-1',
    });
  });

  test('are all in the help', () => {
    expect(Object.keys(settings).filter((name) => !settingsTable().includes(`  ${name} `))).toEqual([]);
  });
});

function faultsOf(env: NodeJS.ProcessEnv, roles: readonly Role[] = ROLES): readonly string[] {
  try {
    loadConfig(env, roles);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}
