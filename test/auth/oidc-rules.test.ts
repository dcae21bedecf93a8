import { describe, expect, test } from 'vitest';
import { parseOidcRules } from '../../src/auth/oidc-rules.ts';

const defaults = { issuer: 'https://gitlab.example', audience: 'https://go.example' };

describe('ADMIN_OIDC', () => {
  test.each([
    ['operators=platform', { ...defaults, operators: ['platform'], projects: [] }],
    ['projects=d,e/f', { ...defaults, operators: [], projects: ['d', 'e/f'] }],
    [' operators=/a/b/\n\tprojects=c ', { ...defaults, operators: ['a/b'], projects: ['c'] }],
    [
      'issuer=http://gitlab.corp.example:8080/gitlab/ audience=modpress operators=a',
      { issuer: 'http://gitlab.corp.example:8080/gitlab', audience: 'modpress', operators: ['a'], projects: [] },
    ],
    ['audience=a=b operators=a', { ...defaults, audience: 'a=b', operators: ['a'], projects: [] }],
  ])('parses %j', (value, rules) => {
    expect(parseOidcRules(value, defaults)).toEqual(rules);
  });

  test.each([
    ['platform', 'must be entries of the form issuer=…'],
    ['groups=platform', 'must be entries of the form issuer=…'],
    ['operators=', 'must be entries of the form issuer=…'],
    ['operators=a operators=b', 'has operators= twice'],
    ['operators=a,,b', 'has an empty entry'],
    ['operators=/', 'has an empty entry'],
    ['audience=x', 'allows nobody'],
    ['issuer=gitlab.example operators=a', 'has an invalid issuer='],
    ['issuer=https://user:pass@gitlab.example operators=a', 'has an invalid issuer='],
    ['issuer=ftp://gitlab.example operators=a', 'has an invalid issuer='],
  ])('rejects %j', (value, sentence) => {
    expect(() => parseOidcRules(value, defaults)).toThrow(sentence);
  });

  test('requires an audience, from ADMIN_OIDC or from PUBLIC_URL', () => {
    expect(() => parseOidcRules('operators=a', { ...defaults, audience: undefined })).toThrow(
      'has no audience=, and PUBLIC_URL is not set',
    );
    expect(parseOidcRules('operators=a audience=x', { ...defaults, audience: undefined }).audience).toBe('x');
  });
});
