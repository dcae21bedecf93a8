import { type CryptoKey, exportSPKI, importJWK, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { AdminAccess } from '../../src/auth/admin-access.ts';
import { Forbidden, Unauthorized, Unavailable } from '../../src/auth/auth-errors.ts';
import { type Claims, Issuer } from './issuer.ts';

const AUDIENCE = 'https://go.corp.example';
const TOKEN = 'a-token-of-some-length/';

describe('admin access with ADMIN_TOKEN', () => {
  const access = new AdminAccess({
    http: new HttpClient(),
    tokens: [TOKEN, 'the-token-of-last-year'],
    oidc: undefined,
  });

  test.each([`Bearer ${TOKEN}`, `bearer  ${TOKEN}`, 'Bearer the-token-of-last-year'])('accepts %s', async (header) => {
    expect(await access.authorize(header)).toEqual({ kind: 'token' });
  });

  test.each([undefined, '', TOKEN, 'Bearer', `Basic ${TOKEN}`])(
    'requires a bearer token, and refuses %s',
    async (header) => {
      await expect(access.authorize(header)).rejects.toThrow(
        new Unauthorized('no token: send the header "Authorization: Bearer TOKEN" with an ADMIN_TOKEN'),
      );
    },
  );

  test.each([`Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(0, -1)}`, 'Bearer a.b.c'])(
    'refuses another token: %s',
    async (header) => {
      await expect(access.authorize(header)).rejects.toThrow(
        new Unauthorized('the token is not valid here: send an ADMIN_TOKEN'),
      );
    },
  );

  test('refuses every caller if no token is set', async () => {
    const closed = new AdminAccess({ http: new HttpClient(), tokens: [], oidc: undefined });
    await expect(closed.authorize('Bearer x')).rejects.toThrow('after the operator has set ADMIN_TOKEN or ADMIN_OIDC');
  });
});

describe('an id_token', () => {
  let issuer: Issuer;
  let access: AdminAccess;

  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    issuer = await Issuer.start();
    access = accessBy({});
  });
  afterEach(async () => {
    await issuer.close();
    vi.useRealTimers();
  });

  function accessBy(rules: {
    readonly operators?: readonly string[];
    readonly projects?: readonly string[];
  }): AdminAccess {
    return new AdminAccess({
      http: new HttpClient(),
      tokens: [TOKEN],
      oidc: { issuer: issuer.url, audience: AUDIENCE, operators: [], projects: ['group'], ...rules },
    });
  }

  /** Returns the caller or the error. Expects that no error shows the token. */
  async function outcome(token: string, by = access): Promise<unknown> {
    return by.authorize(`Bearer ${token}`).catch((error: unknown) => {
      const { message } = error as Error;
      for (const part of token.split('.')) if (part.length > 8) expect(message).not.toContain(part);
      expect(message).not.toContain('\n');
      return error;
    });
  }

  test('identifies the calling job', async () => {
    expect(await outcome(await issuer.sign())).toEqual({
      kind: 'job',
      project: 'group/lib',
      may: 'own project',
      user: 'ada',
      job: '5',
      ref: 'main',
    });
  });

  test.each(['discovery', 'keys'] as const)(
    'cannot be checked if the response with the %s is too large, which is not read to its end',
    async (kind) => {
      issuer.large = kind;
      expect(await outcome(await issuer.sign())).toBeInstanceOf(Unavailable);
      expect(issuer.sent).toBeLessThan(50 * 2 ** 20);
      issuer.large = undefined;
      expect(await outcome(await issuer.sign())).toMatchObject({ kind: 'job' });
    },
  );

  test('can be replaced by an ADMIN_TOKEN', async () => {
    expect(await outcome(TOKEN)).toEqual({ kind: 'token' });
    expect(issuer.requests).toEqual({ discovery: 0, keys: 0 });
  });

  test.each([
    [{ operators: ['group/lib'] }, 'everything'],
    [{ operators: ['group'] }, 'everything'],
    [{ operators: ['GROUP/Lib'], projects: ['group'] }, 'everything'],
    [{ operators: ['other'], projects: ['Group'] }, 'own project'],
    [{ projects: ['group/lib'] }, 'own project'],
  ])('under the rules %j grants access to %s', async (rules, may) => {
    expect(await outcome(await issuer.sign(), accessBy(rules))).toMatchObject({ may });
  });

  test.each([['gro'], ['group/li'], ['group/lib/sub'], ['lib'], ['other']])(
    'is refused if only the project %s may make admin calls',
    async (path) => {
      const error = await outcome(await issuer.sign(), accessBy({ operators: [path], projects: [path] }));
      expect(error).toEqual(
        new Forbidden(
          'jobs of group/lib may not make admin calls: add the project or its group to operators= or projects= of ADMIN_OIDC',
        ),
      );
    },
  );

  test.each(['false', 'TRUE', ''])('of an unprotected ref (ref_protected: %j) is refused', async (protectedRef) => {
    expect(await outcome(await issuer.sign({ ref_protected: protectedRef, ref: 'feature' }))).toEqual(
      new Forbidden(
        'the job ran for feature, which is not protected in group/lib: run it for a protected branch or tag',
      ),
    );
  });

  const wrong: [string, () => Claims, RegExp][] = [
    ['expired', () => ({ exp: seconds(-31) }), /^the id_token expired at 20\S+Z: start the job again$/],
    ['not valid yet', () => ({ nbf: seconds(60) }), /^the id_token is not valid before 20\S+Z: correct the clocks/],
    [
      'for another audience',
      () => ({ aud: 'https://vault.example\nx' }),
      /^the id_token is for the audience "https:\/\/vault\.example\\nx", but this service needs https:\/\/go\.corp\.example: set aud: https:/,
    ],
    [
      'for several other audiences',
      () => ({ aud: ['https://a.example', 'https://b.example'] }),
      /^the id_token is for the audience \["https:\/\/a\.example",/,
    ],
    [
      'of another issuer',
      () => ({ iss: 'https://gitlab.example' }),
      /^the id_token is from the issuer "https:\/\/gitlab\.example", but this service accepts only http/,
    ],
    ['of an issuer below this one', () => ({ iss: `${issuer.url}/x` }), /is from the issuer/],
    ...['iss', 'sub', 'aud', 'exp', 'iat', 'project_path', 'ref_protected', 'ref'].map(
      (claim): [string, () => Claims, RegExp] => [
        `without ${claim}`,
        () => ({ [claim]: undefined }),
        new RegExp(`^the id_token has no valid claim ${claim}: `),
      ],
    ),
    ['with a project that is not a path', () => ({ project_path: ['group/lib'] }), /no valid claim project_path/],
    ['with a boolean that is not a string', () => ({ ref_protected: true }), /no valid claim ref_protected/],
    ['with an expiry that is not a time', () => ({ exp: 'never' }), /no valid claim exp/],
  ];
  test.each(wrong)('that is %s is refused', async (_, claims, message) => {
    const error = await outcome(await issuer.sign(claims()));
    expect(error).toBeInstanceOf(Unauthorized);
    expect((error as Error).message).toMatch(message);
  });

  test('is accepted up to 30 s after it expires and 30 s before it is valid', async () => {
    expect(await outcome(await issuer.sign({ exp: seconds(-25), nbf: seconds(25) }))).toMatchObject({ kind: 'job' });
  });

  test('that another key has signed is refused', async () => {
    expect(await outcome(await issuer.forge())).toEqual(
      new Unauthorized(
        'the signature of the id_token is not valid: use an id_token that GitLab CI issued, and send it unchanged',
      ),
    );
  });

  test('with changed claims is refused', async () => {
    const [header, , signature] = (await issuer.sign()).split('.');
    const [, claims] = (await issuer.sign({ project_path: 'root/everything' })).split('.');
    expect(await outcome(`${header}.${claims}.${signature}`)).toMatchObject({ name: 'Unauthorized' });
  });

  test('without a signature, or signed with the public key as a secret, is refused', async () => {
    const payload = JSON.parse(
      Buffer.from((await issuer.sign()).split('.')[1] ?? '', 'base64url').toString(),
    ) as JWTPayload;
    const none = new UnsecuredJWT(payload).encode();
    const spki = await exportSPKI((await importJWK(issuer.publicKey, 'RS256', { extractable: true })) as CryptoKey);
    const symmetric = await new SignJWT(payload)
      .setProtectedHeader({ alg: 'HS256', kid: issuer.publicKey.kid ?? '' })
      .sign(Buffer.from(spki));
    for (const token of [none, `${none}AAAA`, symmetric]) {
      expect(await outcome(token)).toEqual(
        new Unauthorized('the id_token is not signed with RS256: use an id_token that GitLab CI issued'),
      );
    }
    expect(issuer.requests.keys).toBe(0);
  });

  test.each(['a.b.c', '..', 'eyJhbGciOiJSUzI1NiJ9.e30.'])('that is not a JWT is refused: %s', async (token) => {
    expect(await outcome(token)).toBeInstanceOf(Unauthorized);
  });

  test('shares one fetch of the keys with other id_tokens', async () => {
    const tokens = await Promise.all(Array.from({ length: 20 }, () => issuer.sign()));
    for (const result of await Promise.all(tokens.map((token) => outcome(token))))
      expect(result).toMatchObject({ kind: 'job' });
    await outcome(await issuer.sign());
    expect(issuer.requests).toEqual({ discovery: 1, keys: 1 });
  });

  test('signed with a new key is accepted 30 s after the last fetch of the keys', async () => {
    const old = await issuer.sign();
    await outcome(old);
    await issuer.rotate();
    expect(await outcome(await issuer.sign())).toMatchObject({
      name: 'Unauthorized',
      message: expect.stringContaining('try again in 30 s'),
    });
    vi.setSystemTime(Date.now() + 31_000);
    expect(await outcome(await issuer.sign())).toMatchObject({ kind: 'job' });
    expect(await outcome(old)).toMatchObject({ name: 'Unauthorized' });
    expect(issuer.requests).toEqual({ discovery: 1, keys: 2 });
  });

  test('is accepted while the issuer is down, as long as the keys are cached', async () => {
    await outcome(await issuer.sign());
    issuer.down();
    vi.setSystemTime(Date.now() + 9 * 60_000);
    expect(await outcome(await issuer.sign())).toMatchObject({ kind: 'job' });
    vi.setSystemTime(Date.now() + 2 * 60_000);
    expect(await outcome(await issuer.sign())).toBeInstanceOf(Unavailable);
  });

  test('cannot be checked while the issuer is down, and is accepted after the outage', async () => {
    issuer.down();
    expect(await outcome(await issuer.sign())).toMatchObject({
      name: 'Unavailable',
      message: `the keys of ${issuer.url} cannot be fetched, so the id_token cannot be checked: try again later`,
      cause: expect.any(Error),
    });
    issuer.up();
    expect(await outcome(await issuer.sign())).toMatchObject({ kind: 'job' });
  });

  test.each([
    [{ issuer: 'https://other.example' }, 'names the issuer https://other.example'],
    [{ jwks_uri: 'http://127.0.0.1:9/keys' }, 'names keys at another origin'],
    [{ jwks_uri: 5 }, 'jwks_uri'],
  ])('cannot be checked with a discovery document that contains %j', async (discovery, reason) => {
    issuer.discovery = discovery;
    expect(await outcome(await issuer.sign())).toMatchObject({
      name: 'Unavailable',
      cause: { message: expect.stringContaining(reason) },
    });
    expect(issuer.requests.keys).toBe(0);
  });
});

/** Returns the time `fromNow` seconds from now, in seconds since the epoch, as a claim contains it. */
function seconds(fromNow: number): number {
  return Math.floor(Date.now() / 1000) + fromNow;
}
