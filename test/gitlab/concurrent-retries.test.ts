import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { GitLabClient } from '../../src/gitlab/client.ts';

test('many calls wait for a rate limit at once without a warning of Node', async () => {
  const limited = new Set<string>();
  const server = createServer((request, response) => {
    const url = request.url ?? '';
    if (limited.has(url)) response.setHeader('content-type', 'application/json').end('{"name":"x","commit":null}');
    else response.writeHead(429, { 'retry-after': '0.1' }).end();
    limited.add(url);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on('warning', onWarning);
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const client = new GitLabClient({ url, token: 'x', beforeCall: async () => undefined });
    const tags = await Promise.all(Array.from({ length: 30 }, (_, index) => client.tag(1, `v1.0.${index}`)));
    expect(tags.filter((tag) => tag?.name === 'x')).toHaveLength(30);
    expect(warnings).toEqual([]);
  } finally {
    process.off('warning', onWarning);
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }
});
