import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const text = readFileSync(new URL('../../deploy/nginx.conf', import.meta.url), 'utf8').replace(/#.*$/gm, '');

/** The directives of the block that begins with `opening`, without nested blocks. */
function directivesOf(opening: string): string[] {
  const start = text.indexOf(`${opening} {`);
  if (start < 0) throw new Error(`there is no ${opening}`);
  const block = text.slice(start + opening.length + 2);
  return block
    .slice(0, block.indexOf('}'))
    .split(';')
    .map((directive) => directive.trim().replace(/\s+/g, ' '))
    .filter((directive) => directive !== '');
}

describe('nginx.conf', () => {
  it('closes every block and ends every directive', () => {
    expect(text.split('{').length).toBe(text.split('}').length);
    const lines = text.split('\n').map((line) => line.trim());
    expect(lines.filter((line) => line !== '' && !/[;{}]$/.test(line))).toEqual([]);
  });

  it('allows large bodies for the webhook of GitLab, and only small ones elsewhere', () => {
    expect(directivesOf('location = /-/webhook')).toContain('client_max_body_size 25m');
    expect(directivesOf('server')).toContain('client_max_body_size 1k');
  });

  it('passes URLs and bytes of modules through unchanged', () => {
    expect(directivesOf('location /')).toContain('proxy_buffering off');
    expect(directivesOf('server')).toContain('gzip off');
    // With a path, nginx would decode the URL and encode it differently.
    expect(text).not.toMatch(/proxy_pass https?:\/\/[^/;]+\//);
  });

  it.each(['location = /-/metrics', 'location = /-/readyz'])('keeps %s for operators', (location) => {
    expect(directivesOf(location)).toEqual([
      'allow 127.0.0.1',
      'allow ::1',
      'deny all',
      'proxy_pass http://modpress_proxy',
    ]);
  });
});
