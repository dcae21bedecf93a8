import { createHash } from 'node:crypto';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import express from 'express';
import { expect, test } from 'vitest';
import { createHomeRouter, type HomeParts } from '../../src/web/home.ts';
import { listen } from '../services/http-stub.ts';

interface Page {
  readonly html: string;
  readonly headers: Record<string, string | string[] | undefined>;
}

async function home(
  parts: Partial<HomeParts>,
  headers: Record<string, string> = {},
  trustProxy = false,
): Promise<Page> {
  const app = express().set('trust proxy', trustProxy);
  app.use(
    createHomeRouter({
      privatePrefixes: ['gitlab.example'],
      privatePatterns: ['gitlab.example/*'],
      version: '1.2.3',
      ...parts,
    }),
  );
  await using server = await listen(app);
  return await new Promise((resolve, reject) => {
    request(server.url, { headers }, (response) => {
      text(response).then((html) => resolve({ html, headers: response.headers }), reject);
    })
      .once('error', reject)
      .end();
  });
}

test('the start page shows the commands to type', async () => {
  const { html } = await home({
    publicUrl: 'https://go.corp.example/',
    privatePrefixes: ['gitlab.example', 'go.corp.example/x'],
    privatePatterns: ['gitlab.example/*', 'go.corp.example/x'],
  });
  expect(html).toContain('<code>go env -w GOPROXY=https://go.corp.example</code>');
  expect(html).toContain('<code>go env -w GONOSUMDB=gitlab.example/*,go.corp.example/x</code>');
  expect(html).toContain('<code>go get gitlab.example/group/project@latest</code>');
  expect(html).toContain('modpress 1.2.3');
});

test('the start page shows the address of the request if PUBLIC_URL is not set', async () => {
  expect((await home({}, { host: 'go.corp.example:8080' })).html).toContain('GOPROXY=http://go.corp.example:8080<');
});

test('the start page uses the X-Forwarded-* headers of trusted proxies only', async () => {
  const headers = { host: 'inner:8080', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'go.corp.example' };
  expect((await home({}, headers, false)).html).toContain('GOPROXY=http://inner:8080<');
  expect((await home({}, headers, true)).html).toContain('GOPROXY=https://go.corp.example<');
});

test.each(['"><script>alert(1)</script>', 'x;curl evil.example', '$(id)'])(
  'the start page does not show an invalid host such as %s',
  async (host) => {
    const { html } = await home({}, { host });
    expect(html).not.toContain(host);
    expect(html).toContain('GOPROXY=https://modpress.example<');
  },
);

test('the start page escapes the settings', async () => {
  const { html } = await home({ publicUrl: 'https://x.example/<b>&"', version: '<i>' });
  expect(html).not.toMatch(/<b>|<i>/);
});

test('the start page allows only its own style sheet in Content-Security-Policy', async () => {
  const { html, headers } = await home({});
  const style = /<style>([^]*?)<\/style>/.exec(html)?.[1] ?? '';
  const policy = String(headers['content-security-policy']);
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain(`style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`);
  expect(policy).not.toContain('unsafe');
  expect(html).not.toMatch(/<script|<link|<img|style=|url\(|@import/);
  expect(headers['x-content-type-options']).toBe('nosniff');
  expect(headers['content-type']).toBe('text/html; charset=utf-8');
});
