import { describe, expect, test } from 'vitest';
import { parseRequest, protocolPath, sumdbPath } from '../../src/proxy/protocol-request.ts';

describe('a request of the GOPROXY protocol', () => {
  test.each([
    ['/rsc.io/quote/@v/list', { kind: 'list', module: 'rsc.io/quote' }],
    ['/rsc.io/quote/@latest', { kind: 'latest', module: 'rsc.io/quote' }],
    ['/rsc.io/quote/v3/@v/v3.1.0.zip', { kind: 'file', module: 'rsc.io/quote/v3', version: 'v3.1.0', file: 'zip' }],
    ['/rsc.io/quote/@v/main.info', { kind: 'file', module: 'rsc.io/quote', version: 'main', file: 'info' }],
    [
      '/a.io/x/@v/v2.0.0+incompatible.mod',
      { kind: 'file', module: 'a.io/x', version: 'v2.0.0+incompatible', file: 'mod' },
    ],
    [
      '/github.com/%21azure/!sdk/@v/v1.0.0-%21r%21c1.info',
      { kind: 'file', module: 'github.com/Azure/Sdk', version: 'v1.0.0-RC1', file: 'info' },
    ],
    ['/gitlab.example/@v/list', { kind: 'list', module: 'gitlab.example' }],
    [
      '/golang.org/toolchain/@v/v0.0.1-go1.26.0.linux-amd64.zip',
      { kind: 'file', module: 'golang.org/toolchain', version: 'v0.0.1-go1.26.0.linux-amd64', file: 'zip' },
    ],
  ])('is parsed from %s', (path, request) => {
    expect(parseRequest(path)).toEqual(request);
  });

  test.each([
    ['a broken percent-encoding', '/rsc.io/%zz/@v/list'],
    ['an encoded byte that is not UTF-8', '/rsc.io/%ff/@v/list'],
  ])('is malformed with %s', (_, path) => {
    expect(parseRequest(path)).toMatchObject({ kind: 'rejected', malformed: true });
  });

  test.each([
    ['a path outside the GOPROXY protocol', '/favicon.ico'],
    ['upper case that is not escaped', '/github.com/Azure/sdk/@v/list'],
    ['a single exclamation mark', '/github.com/a!/@v/list'],
    ['an escaped upper case letter', '/github.com/!A/@v/list'],
    ['percent-encoding done twice', '/github.com/%2521azure/@v/list'],
    ['a parent directory', '/rsc.io/../@v/list'],
    ['an encoded parent directory', '/rsc.io/%2e%2e/secret/@v/list'],
    ['an encoded slash in a version', '/rsc.io/quote/@v/a%2Fb.info'],
    ['a version of dots', '/rsc.io/quote/@v/..info'],
    ['an empty version', '/rsc.io/quote/@v/.info'],
    ['a NUL', '/rsc.io/quote/@v/v1%00.info'],
    ['no module', '/@v/list'],
    ['a host without a dot', '/localhost/x/@v/list'],
    ['an invalid major suffix', '/rsc.io/quote/v1/@v/list'],
    ['another file', '/rsc.io/quote/@v/v1.0.0.ziphash'],
    ['a zip of a branch', '/rsc.io/quote/@v/main.zip'],
    ['a go.mod of an incomplete version', '/rsc.io/quote/@v/v1.mod'],
    ['a path that continues after list', '/rsc.io/quote/@v/list/x'],
    ['a path that is too long for stores', `/rsc.io/${'x/'.repeat(600)}@v/list`],
    ['a name that is too long for file systems', `/rsc.io/quote/@v/${'x'.repeat(250)}.info`],
  ])('is rejected with a reason for %s', (_, path) => {
    const request = parseRequest(path);
    expect(request).toMatchObject({ kind: 'rejected', malformed: false });
    expect(request).toHaveProperty('reason', expect.stringMatching(/\w+ \w+/));
  });

  test('is converted back to its escaped path by protocolPath', () => {
    const paths = ['github.com/!azure/sdk/@v/v1.0.0-!r!c1.zip', 'rsc.io/quote/@v/list', 'rsc.io/quote/@latest'];
    const written = paths.map((path) => {
      const request = parseRequest(`/${path}`);
      return request.kind === 'rejected' || request.kind === 'sumdb' ? request : protocolPath(request);
    });
    expect(written).toEqual(paths);
  });
});

describe('a request to a checksum database', () => {
  test.each([
    ['/sumdb/sum.example/supported', { database: 'sum.example', operation: 'supported' }],
    ['/sumdb/sum.example/latest', { database: 'sum.example', operation: 'latest' }],
    [
      '/sumdb/sum.example/lookup/rsc.io/!q@v1.0.0',
      { database: 'sum.example', operation: 'lookup', module: 'rsc.io/Q', version: 'v1.0.0' },
    ],
    [
      '/sumdb/sum.example/tile/8/0/x001/234.p/17',
      { database: 'sum.example', operation: 'tile', tile: 'tile/8/0/x001/234.p/17' },
    ],
    ['/sumdb/sum.example/tile/8/data/005', { database: 'sum.example', operation: 'tile', tile: 'tile/8/data/005' }],
    ['/sumdb/sum.example:8080/deep/er/supported', { database: 'sum.example:8080/deep/er', operation: 'supported' }],
  ])('is parsed from %s', (path, request) => {
    const parsed = parseRequest(path);
    expect(parsed).toEqual({ kind: 'sumdb', ...request });
    expect(parsed.kind === 'sumdb' && `/sumdb/${sumdbPath(parsed)}`).toBe(path);
  });

  test.each([
    ['a name without an operation', '/sumdb/sum.example'],
    ['another operation', '/sumdb/sum.example/secret'],
    ['a parent directory as a name', '/sumdb/../latest'],
    ['a tile outside its tree', '/sumdb/sum.example/tile/8/../../x'],
    ['a tile of height 0', '/sumdb/sum.example/tile/0/0/000'],
    ['a lookup of a branch', '/sumdb/sum.example/lookup/rsc.io/quote@main'],
    ['a lookup of an invalid module path', '/sumdb/sum.example/lookup/quote@v1.0.0'],
    ['a lookup of a module path that is not escaped', '/sumdb/sum.example/lookup/rsc.io/Q@v1.0.0'],
  ])('is rejected for %s', (_, path) => {
    expect(parseRequest(path)).toMatchObject({ kind: 'rejected', malformed: false });
  });
});
