import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test as base } from 'vitest';
import { loadRemoteConfig } from '../../src/config/command-config.ts';

const HOSTS = [
  'localhost',
  'localhost:8080',
  'sub.localhost',
  '127.0.0.1',
  '127.9.9.9:3000',
  '[::1]',
  '[::ffff:127.0.0.1]',
  '10.1.2.3',
  '10.1.2.3:8443',
  '11.1.2.3',
  '192.168.7.9',
  '[fd00::1]',
  '[fd00::1]:8443',
  '[fe80::1]',
  'corp.example',
  'corp.example:8443',
  'CORP.example',
  'git.corp.example',
  'a.b.corp.example:8443',
  'notcorp.example',
  'corp.example.org',
  'corp',
  'xn--mnchen-3ya.example',
];

const VALUES = [
  '',
  '*',
  ' corp.example , 10.0.0.0/8 ',
  'corp.example',
  '.corp.example',
  '*.corp.example',
  'CORP.Example:8443',
  '.corp.example:8443',
  'corp.example:443',
  'corp.example:80',
  'corp.example:',
  ':8443',
  ',,',
  'example',
  '.',
  '*.',
  '*corp.example',
  '10.1.2.3',
  '10.1.2.3:8443',
  '10.1.2.3:80',
  '10.0.0.0/8',
  '10.9.9.9/8',
  '10.0.0.0/33',
  '10.0.0.0/08',
  '10.0.0.0/8:443',
  '10.1',
  '0.0.0.0/0',
  '::/0',
  'fd00::/8',
  'fd00::1',
  '[fd00::1]',
  '[fd00::1]:8443',
  'fd00::1:8443',
  '::ffff:10.1.2.3',
  '::ffff:10.0.0.0/104',
  'a:b:c',
  'corp.example/8',
  'münchen.example',
  'not corp.example,corp.example',
  '*,corp.example',
  'http://corp.example',
];

const test = base
  /** The proxies that Go uses for URLs with these variables. */
  .extend('proxiesOfGo', { scope: 'file' }, async ({}, { onCleanup }) => {
    const folder = await mkdtemp(join(tmpdir(), 'modpress-oracle-'));
    onCleanup(() => rm(folder, { recursive: true }));
    const binary = join(folder, 'oracle');
    execFileSync('go', ['build', '-o', binary, fileURLToPath(new URL('oracle/main.go', import.meta.url))]);
    return (urls: readonly string[], env: NodeJS.ProcessEnv) =>
      execFileSync(binary, { env, input: urls.join('\n'), encoding: 'utf8' })
        .trim()
        .split('\n');
  });

function proxiesOfModpress(urls: readonly string[], env: NodeJS.ProcessEnv): string[] {
  const { forwardProxies } = loadRemoteConfig({ ...env, ADMIN_TOKEN: 'a-token-of-the-test' });
  return urls.map((text) => {
    const { protocol, hostname, port } = new URL(text);
    const proxy = protocol === 'https:' ? forwardProxies.https : forwardProxies.http;
    const isDirect = forwardProxies.isDirect(hostname, Number(port || (protocol === 'https:' ? 443 : 80)));
    return proxy === undefined || isDirect ? 'direct' : `${proxy.host}:${proxy.port}`;
  });
}

const URLS = HOSTS.flatMap((host) => [`http://${host}/x`, `https://${host}/x`]);

test.for(VALUES)('NO_PROXY=%s leads to the same hosts directly as in Go', (NO_PROXY, { proxiesOfGo }) => {
  const env = { HTTP_PROXY: 'http://plain.example:3128', HTTPS_PROXY: 'secure.example:3129', NO_PROXY };
  const pairs = (proxies: string[]): string[] => URLS.map((url, index) => `${url} ${proxies[index]}`);
  expect(pairs(proxiesOfModpress(URLS, env))).toEqual(pairs(proxiesOfGo(URLS, env)));
});

test.for([
  { http_proxy: 'http://lower.example:1', https_proxy: 'lower.example:2', no_proxy: 'git.corp.example' },
  { HTTP_PROXY: 'http://upper.example:1', http_proxy: 'http://lower.example:1' },
  { HTTP_PROXY: '', http_proxy: 'http://user:p%40ss@lower.example:1' },
  { NO_PROXY: 'corp.example', no_proxy: '*', HTTPS_PROXY: 'http://upper.example:2' },
  { HTTPS_PROXY: 'https://upper.example:443' },
])('the variables %j mean the same as in Go', (env, { proxiesOfGo }) => {
  expect(proxiesOfModpress(URLS, env)).toEqual(proxiesOfGo(URLS, env));
});
