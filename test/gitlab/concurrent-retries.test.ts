import { expect, test } from 'vitest';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { GitLabClient } from '../../src/gitlab/client.ts';
import { listen } from '../services/http-stub.ts';

test('the client lets many calls wait for a rate limit at once without a warning from Node', async () => {
  const limited = new Set<string>();
  await using server = await listen((request, response) => {
    const url = request.url ?? '';
    if (limited.has(url)) response.setHeader('content-type', 'application/json').end('{"name":"x","commit":null}');
    else response.writeHead(429, { 'retry-after': '1' }).end();
    limited.add(url);
  });
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on('warning', onWarning);
  try {
    const client = new GitLabClient({
      http: new HttpClient(),
      url: server.url,
      token: 'x',
      beforeCall: async () => undefined,
    });
    const tags = await Promise.all(Array.from({ length: 30 }, (_, index) => client.tag(1, `v1.0.${index}`)));
    expect(tags.filter((tag) => tag?.name === 'x')).toHaveLength(30);
    expect(warnings).toEqual([]);
  } finally {
    process.off('warning', onWarning);
  }
});
