import { expect, test } from 'vitest';
import { readAttributes, type CommitFiles } from '../../src/build/commit-files.ts';
import { Refuse } from '../../src/errors.ts';

const MEBIBYTE = 2 ** 20;

/** A commit whose files have this content. It keeps the paths of the files that were read. */
class Commit implements CommitFiles {
  readonly read: string[] = [];
  readonly #content: (path: string) => string;

  constructor(content: (path: string) => string) {
    this.#content = content;
  }

  tree(): never {
    throw new Error('the tree is not needed');
  }

  file(path: string, limit: number): Promise<Buffer | undefined> {
    this.read.push(path);
    const bytes = Buffer.from(this.#content(path));
    return bytes.length > limit ? Promise.reject(new Refuse('too large')) : Promise.resolve(bytes);
  }
}

const paths = Array.from({ length: 1000 }, (_, index) => `d${String(index).padStart(3, '0')}/.gitattributes`);
const lines = '*.go ident\n';

test('four megabytes of .gitattributes are read, and git converts the files below the others', async () => {
  const commit = new Commit(() => lines.padStart(MEBIBYTE, '\n'));
  const attributes = await readAttributes(commit, '', paths);
  expect(commit.read).toEqual(paths.slice(0, 4));
  expect(await attributes.conversionOf('d003/a.go')).toMatchObject({ ident: true });
  expect(await attributes.conversionOf('d004/a.go')).toBe('unsure');
  expect(await attributes.conversionOf('d999/a.go')).toBe('unsure');
  expect(await attributes.conversionOf('a.go')).toMatchObject({ ident: false });
});

test('no .gitattributes is read after one that is too large', async () => {
  const commit = new Commit((path) => (path.startsWith('d001') ? '#\n'.repeat(4 * MEBIBYTE) : lines));
  const attributes = await readAttributes(commit, '', paths);
  expect(commit.read).toEqual(paths.slice(0, 2));
  expect(await attributes.conversionOf('d000/a.go')).toMatchObject({ ident: true });
  expect(await attributes.conversionOf('d001/a.go')).toBe('unsure');
  expect(await attributes.conversionOf('d002/a.go')).toBe('unsure');
});
