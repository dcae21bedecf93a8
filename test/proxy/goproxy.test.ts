import { expect, test } from 'vitest';
import { RedirectedModules } from '../../src/proxy/external-modules.ts';
import { parseGoproxy } from '../../src/proxy/goproxy.ts';
import { parseSumdbs } from '../../src/proxy/sumdb.ts';

const proxy = (url: string, onError: 'stop' | 'continue' = 'stop', authorization?: string): unknown => ({
  kind: 'proxy',
  url,
  authorization,
  onError,
});

test.each([
  ['https://a.example', [proxy('https://a.example')]],
  ['https://a.example/go/,http://b.example:8080', [proxy('https://a.example/go'), proxy('http://b.example:8080')]],
  [
    'https://a.example|https://b.example,direct',
    [proxy('https://a.example', 'continue'), proxy('https://b.example'), { kind: 'direct' }],
  ],
  [' a.example , , off', [proxy('https://a.example'), { kind: 'off' }]],
  ['off,https://never.example', [{ kind: 'off' }]],
  ['direct|file:///never', [{ kind: 'direct' }]],
  [
    'https://me:p%40ss@a.example/x',
    [proxy('https://a.example/x', 'stop', `Basic ${Buffer.from('me:p@ss').toString('base64')}`)],
  ],
])('parseGoproxy parses %j', (text, entries) => {
  expect(parseGoproxy(text)).toEqual(entries);
});

test.each([
  ['', 'contains no entry'],
  [' ,|', 'contains no entry'],
  ['file:///srv/modules', 'file://'],
  ['nonsense', 'neither a URL'],
  ['/srv/modules', 'neither a URL'],
  ['https://a.example?x=1', 'query'],
  ['ftp://me:secret@a.example', 'ftp://'],
  ['https://me:secret@a.example?x=1', 'query'],
])('parseGoproxy rejects %j without showing credentials', (text, reason) => {
  expect(() => parseGoproxy(text)).toThrow(reason);
  expect(() => parseGoproxy(text)).toThrow(/^(?!.*secret)/);
});

test('redirect mode rejects an upstream URL with credentials', () => {
  expect(() => new RedirectedModules(parseGoproxy('https://me:secret@a.example'))).toThrow(/credentials(?!.*secret)/);
});

test('parseSumdbs parses names, and names with a URL', () => {
  expect(parseSumdbs('sum.example, mine.example=https://sums.corp.example/db/')).toEqual([
    { name: 'sum.example', server: undefined },
    { name: 'mine.example', server: { url: 'https://sums.corp.example/db', authorization: undefined } },
  ]);
  expect(() => parseSumdbs('sum.example+key+hash')).toThrow('NAME=URL');
  expect(() => parseSumdbs('sum.example=nonsense')).toThrow('neither a URL');
});
