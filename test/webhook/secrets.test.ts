import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { createWebhookRouter } from '../../src/webhook/router.ts';
import { headers, sign, signedHeaders, signingToken, tagPush } from './deliveries.ts';
import { useWebhookServer } from './server.ts';

describe('the authentication of the webhook', () => {
  const hook = useWebhookServer();

  it('refuses a wrong token and a missing token, and shows no token', async () => {
    await hook.serve({ tokens: ['the secret', 'the next one'] });
    const { 'X-Gitlab-Token': _token, ...without } = headers();
    for (const given of [headers({ 'X-Gitlab-Token': 'a guess' }), headers({ 'X-Gitlab-Token': '' }), without]) {
      expect((await hook.post(tagPush(), given)).status).toBe(401);
    }
    expect(hook.added).toEqual([]);
    expect(hook.received).toEqual(Array(3).fill('tag_push refused'));
    expect(hook.logged).toContain('wrong or missing secret');
    expect(hook.logged).not.toMatch(/the secret|the next one|a guess/);
  });

  it('accepts each of several tokens while they are rotated', async () => {
    await hook.serve({ tokens: ['the secret', 'the next one, größer'] });
    for (const token of ['the secret', Buffer.from('the next one, größer').toString('latin1')]) {
      expect((await hook.post(tagPush(), headers({ 'X-Gitlab-Token': token }))).status).toBe(202);
    }
  });

  it('refuses a wrong token without waiting for the body', async () => {
    await hook.serve();
    const sending = httpRequest(hook.url, {
      method: 'POST',
      headers: headers({ 'X-Gitlab-Token': 'a guess', 'Content-Length': '20000000' }),
    });
    sending.on('error', () => {
      // The server may close the connection of a request that it has refused.
    });
    sending.write('{');
    const [response] = await once(sending, 'response');
    expect(response.statusCode).toBe(401);
    sending.destroy();
  });

  it('accepts a signed delivery', async () => {
    const token = signingToken();
    await hook.serve({ tokens: [], signingTokens: [token] });
    const body = JSON.stringify(tagPush({ message: 'größer' }));
    const given = signedHeaders(token, body);
    expect((await hook.post(body, given)).status).toBe(202);
    expect(hook.added[0]?.delivery).toContain(given['webhook-id']);
  });

  it('accepts each of several signing tokens, and one valid signature among invalid signatures', async () => {
    const [first, second] = [signingToken(), signingToken()];
    await hook.serve({ tokens: [], signingTokens: [first, second] });
    const body = JSON.stringify(tagPush());
    for (const token of [first, second]) expect((await hook.post(body, signedHeaders(token, body))).status).toBe(202);
    const given = signedHeaders(first, body);
    const other = sign(signingToken(), given['webhook-id'] ?? '', given['webhook-timestamp'] ?? '', body);
    const signature = `v2,AAAA ${other} v1,AAAA ${given['webhook-signature']}`;
    expect((await hook.post(body, { ...given, 'webhook-signature': signature })).status).toBe(202);
  });

  it('refuses a delivery that was signed with another key or changed after signing', async () => {
    const token = signingToken();
    await hook.serve({ tokens: [], signingTokens: [token] });
    const body = JSON.stringify(tagPush());
    const given = signedHeaders(token, body);
    const forged: [string, Record<string, string>][] = [
      [body, signedHeaders(signingToken(), body)],
      [JSON.stringify(tagPush({ project_id: 2 })), given],
      [`${body} `, given],
      [body, { ...given, 'webhook-id': randomUUID() }],
      [body, { ...given, 'webhook-timestamp': String(Number(given['webhook-timestamp']) + 1) }],
      [body, { ...given, 'webhook-signature': '' }],
      [body, { ...given, 'webhook-signature': 'v1,' }],
      [body, { ...given, 'webhook-signature': (given['webhook-signature'] ?? '').replace('v1,', 'v2,') }],
      [body, { ...given, 'webhook-signature': (given['webhook-signature'] ?? '').slice(3) }],
    ];
    for (const [text, wrong] of forged) expect((await hook.post(text, wrong)).status).toBe(401);
    expect(hook.added).toEqual([]);
  });

  it('refuses a signature without a timestamp, or with a timestamp more than five minutes from the clock', async () => {
    const token = signingToken();
    await hook.serve({ tokens: [], signingTokens: [token] });
    const body = JSON.stringify(tagPush());
    const minute = 60_000;
    for (const [offset, status] of [
      [-4.9, 202],
      [4.9, 202],
      [-5.1, 401],
      [5.1, 401],
      [-60, 401],
    ] as const) {
      expect((await hook.post(body, signedHeaders(token, body, Date.now() + offset * minute))).status).toBe(status);
    }
    const { 'webhook-timestamp': _timestamp, ...timeless } = signedHeaders(token, body);
    expect((await hook.post(body, timeless)).status).toBe(401);
    for (const timestamp of ['', 'NaN', '1e10', '-1']) {
      const id = randomUUID();
      const given = {
        ...timeless,
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': sign(token, id, timestamp, body),
      };
      expect((await hook.post(body, given)).status).toBe(401);
    }
  });

  it.each(['v1,AAAA', 'v2,AAAA', 'v1', '', `v1,${'A'.repeat(44)}`])(
    'refuses the signature %j without waiting for the body',
    async (signature) => {
      const token = signingToken();
      await hook.serve({ tokens: [], signingTokens: [token] });
      const given = { ...signedHeaders(token, ''), 'webhook-signature': signature };
      const { response, sending } = await startSending(hook.url, given, Buffer.from('{'));
      expect((await response).statusCode).toBe(401);
      sending.destroy();
    },
  );

  it('refuses an old signature without waiting for the body', async () => {
    const token = signingToken();
    await hook.serve({ tokens: [], signingTokens: [token] });
    const { response, sending } = await startSending(hook.url, signedHeaders(token, '', 0), Buffer.from('{'));
    expect((await response).statusCode).toBe(401);
    sending.destroy();
  });

  it('bounds the memory for bodies of unknown senders, and still accepts a delivery of usual size', async () => {
    const token = signingToken();
    await hook.serve({ tokens: [], signingTokens: [token] });
    // The signature has the right form, but nobody knows that it is wrong before the end of the body.
    const strangers = await Promise.all(
      Array.from({ length: 8 }, () =>
        startSending(hook.url, signedHeaders(signingToken(), ''), Buffer.alloc(10_000_000)),
      ),
    );
    const statuses: (number | undefined)[] = [];
    for (const { response } of strangers)
      void response.then(
        ({ statusCode }) => statuses.push(statusCode),
        () => undefined,
      );
    // Three bodies of 10 MB fit.
    await expect.poll(() => statuses, { timeout: 20_000 }).toEqual(Array(5).fill(503));
    const body = JSON.stringify(tagPush());
    expect((await hook.post(body, signedHeaders(token, body))).status).toBe(202);
    for (const { sending } of strangers) sending.destroy();
    const large = JSON.stringify(tagPush({ message: 'x'.repeat(20_000_000) }));
    await expect.poll(async () => (await hook.post(large, signedHeaders(token, large))).status).toBe(202);
  }, 60_000);

  it('accepts no plain token if only signing tokens are set, not even a signing token', async () => {
    const token = signingToken();
    await hook.serve({ tokens: [], signingTokens: [token] });
    for (const plain of ['', token, 'undefined']) {
      expect((await hook.post(tagPush(), headers({ 'X-Gitlab-Token': plain }))).status).toBe(401);
    }
  });

  it('accepts a plain token or a signature if both are set', async () => {
    const token = signingToken();
    await hook.serve({ signingTokens: [token] });
    const body = JSON.stringify(tagPush());
    expect((await hook.post(body)).status).toBe(202);
    expect((await hook.post(body, signedHeaders(token, body))).status).toBe(202);
    expect(
      (await hook.post(body, { ...signedHeaders(signingToken(), body), 'X-Gitlab-Token': 'the secret' })).status,
    ).toBe(202);
    expect((await hook.post(body, signedHeaders(signingToken(), body))).status).toBe(401);
  });

  it('is not created without a secret or with an invalid signing token', () => {
    const log = pino({ level: 'silent' });
    const create = (tokens: string[], signingTokens: string[]) => () =>
      createWebhookRouter({ tokens, signingTokens, queue: hook.recorder, log });
    expect(create([], [])).toThrow(/needs a secret/);
    expect(create([''], [])).toThrow(/needs a secret/);
    for (const token of ['something', 'whsec_', 'whsec_not base64!', 'whsec_QUFB']) {
      expect(create(['fine'], [token])).toThrow(/^a signing token is "whsec_" followed by/);
    }
  });
});

/** Sends the headers and the first bytes of a body of 20 MB, which never ends. */
async function startSending(url: string, given: Record<string, string>, bytes: Buffer) {
  const sending = httpRequest(url, { method: 'POST', headers: { ...given, 'Content-Length': '20000000' } });
  const response = once(sending, 'response').then(([message]) => message as IncomingMessage);
  response.catch(() => undefined);
  sending.on('error', () => {
    // The server may close the connection of a request that it has refused.
  });
  sending.write(bytes);
  return { sending, response };
}
