import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Store, type ListedObject, StoreUnavailable } from '../../src/store/store.ts';

/** A store to test, with functions that simulate an outage of the store and end it. The data survives the outage. */
export interface StoreUnderTest {
  readonly store: Store;
  takeDown(): Promise<void>;
  bringBack(): Promise<void>;
  close(): Promise<void>;
}

const MB = 1024 * 1024;

/** Tests the contract of store.ts on the store that `open` returns. Each test uses its own keys. */
export function describeStore(title: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${title} as a store`, () => {
    let underTest: StoreUnderTest;
    let store: Store;

    beforeAll(async () => {
      underTest = await open();
      store = underTest.store;
    });

    afterAll(async () => {
      await underTest.close();
    });

    it('returns the bytes, the size and the time of an object', async () => {
      const before = Date.now();
      await store.put('basic/a.mod', Buffer.from('module a\n'));

      expect((await store.get('basic/a.mod'))?.toString()).toBe('module a\n');
      const object = await store.stat('basic/a.mod');
      expect(object).toMatchObject({ key: 'basic/a.mod', size: 9 });
      // HTTP dates contain no fractions of a second.
      expect(object?.modified.getTime()).toBeGreaterThan(before - 2000);
      expect(object?.modified.getTime()).toBeLessThan(Date.now() + 2000);

      const opened = await store.open('basic/a.mod');
      expect(opened).toMatchObject({ key: 'basic/a.mod', size: 9 });
      expect(await text(opened?.body)).toBe('module a\n');
    });

    it('stores an empty object', async () => {
      await store.put('empty/buffer', Buffer.alloc(0));
      await store.put('empty/stream', { stream: Readable.from([]) });
      await store.put('empty/sized', { stream: Readable.from([]), size: 0 });
      for (const key of ['empty/buffer', 'empty/stream', 'empty/sized']) {
        expect(await store.get(key)).toEqual(Buffer.alloc(0));
        expect(await text((await store.open(key))?.body)).toBe('');
      }
      expect(await keys(store.list('empty/'))).toEqual(['empty/buffer', 'empty/sized', 'empty/stream']);
    });

    it('returns undefined for a missing object, also for the name of a directory and below an object', async () => {
      await store.put('missing/here/x', Buffer.from('x'));
      for (const key of [
        'missing/no',
        'missing/here',
        'missing',
        'missing/here/x/y',
        'none/at/all',
        `missing/${'n'.repeat(300)}`,
        'long/'.repeat(300) + 'x',
      ]) {
        expect(await store.get(key)).toBeUndefined();
        expect(await store.stat(key)).toBeUndefined();
        expect(await store.open(key)).toBeUndefined();
        expect(await store.open(key, { first: 0, last: 0 })).toBeUndefined();
        await store.delete(key);
      }
      expect(await keys(store.list('missing/'))).toEqual(['missing/here/x']);
      expect(await keys(store.list('none/at/'))).toEqual([]);
    });

    it('replaces a whole object', async () => {
      await store.put('replace/x', Buffer.from('a long first version'));
      await store.put('replace/x', { stream: Readable.from([Buffer.from('short')]) });
      expect((await store.get('replace/x'))?.toString()).toBe('short');
      expect(await store.stat('replace/x')).toMatchObject({ size: 5 });
    });

    it('removes an object, and accepts that the object is missing', async () => {
      await store.put('delete/x', Buffer.from('x'));
      await store.delete('delete/x');
      expect(await store.get('delete/x')).toBeUndefined();
      expect(await keys(store.list('delete/'))).toEqual([]);
      await store.delete('delete/x');
    });

    it('opens the requested part of an object', async () => {
      await store.put('range/x', Buffer.from('0123456789'));
      const part = async (first: number, last: number): Promise<string> => {
        const opened = await store.open('range/x', { first, last });
        expect(opened?.size).toBe(10);
        return await text(opened?.body);
      };
      expect(await part(0, 0)).toBe('0');
      expect(await part(0, 9)).toBe('0123456789');
      expect(await part(3, 5)).toBe('345');
      expect(await part(9, 9)).toBe('9');
    });

    it.each([
      [10, 10],
      [5, 10],
      [100, 200],
      [5, 4],
      [-1, 3],
      [0.5, 3],
    ])('refuses the range %d to %d of ten bytes', async (first, last) => {
      await store.put('range/refused', Buffer.from('0123456789'));
      await expect(store.open('range/refused', { first, last })).rejects.toThrow(RangeError);
    });

    it('refuses any range of an empty object', async () => {
      await store.put('range/empty', Buffer.alloc(0));
      await expect(store.open('range/empty', { first: 0, last: 0 })).rejects.toThrow(RangeError);
    });

    it.each([
      '',
      '/',
      '/a',
      'a/',
      'a//b',
      '.',
      '..',
      'a/..',
      '../a',
      'a/../../b',
      'a/./b',
      '..\\a',
      'a\0b',
      '.tmp/x',
      '\ud800',
    ])('refuses the key %j', async (key) => {
      const stream = Readable.from([Buffer.from('x')]);
      await expect(store.put(key, { stream })).rejects.toThrow(TypeError);
      expect(stream.destroyed).toBe(true);
      await expect(store.get(key)).rejects.toThrow(TypeError);
      await expect(store.stat(key)).rejects.toThrow(TypeError);
      await expect(store.open(key)).rejects.toThrow(TypeError);
      await expect(store.delete(key)).rejects.toThrow(TypeError);
    });

    it('refuses to write a key that is too long for some store', async () => {
      await expect(store.put(`long/${'n'.repeat(256)}`, Buffer.from('x'))).rejects.toThrow(/too long/);
      await expect(store.put(`long/${'é'.repeat(128)}`, Buffer.from('x'))).rejects.toThrow(/too long/);
      await expect(store.put(`${'long/'.repeat(205)}x`, Buffer.from('x'))).rejects.toThrow(/too long/);
      await store.put(`long/${'n'.repeat(255)}`, Buffer.from('x'));
      expect(await keys(store.list('long/'))).toEqual([`long/${'n'.repeat(255)}`]);
    });

    it.each(['/', '/a', '../', 'a/../', 'a//', './x'])('refuses to list %j', async (prefix) => {
      await expect(keys(store.list(prefix))).rejects.toThrow(TypeError);
    });

    it('distinguishes names with all kinds of characters, and lists them in byte order', async () => {
      const names = [
        '!azure',
        '%2f',
        '%252f',
        '+plus',
        ' space ',
        '~tilde',
        '@v',
        'quote\'"',
        '&amp;<x>',
        'a=b?c#d',
        '123',
        'é',
        'e\u0301',
        '日本',
        '\uffee',
        '😀',
        '*',
        '..x',
        '-dash',
      ];
      for (const name of names) {
        await store.put(`odd/${name}`, Buffer.from(name));
        await store.put(`odd/in/${name}/x`, Buffer.from(name));
      }
      for (const name of names) {
        expect((await store.get(`odd/${name}`))?.toString()).toBe(name);
        expect((await store.stat(`odd/in/${name}/x`))?.size).toBe(Buffer.byteLength(name));
      }
      const expected = [...names.map((name) => `odd/${name}`), ...names.map((name) => `odd/in/${name}/x`)];
      expect(await keys(store.list('odd/'))).toEqual(inByteOrder(expected));
      for (const after of expected) {
        expect(await keys(store.list('odd/', { after }))).toEqual(
          inByteOrder(expected).filter((key) => Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0),
        );
      }
    });

    it('sorts a directory among its siblings as its name with a slash', async () => {
      const expected = ['order/a!/x', 'order/a-b', 'order/a.b', 'order/a/b', 'order/a/z/deep', 'order/a0', 'order/b'];
      for (const key of expected.toReversed()) await store.put(key, Buffer.from('x'));
      expect(await keys(store.list('order/'))).toEqual(expected);
      expect(await keys(store.list('order/', { after: 'order/a-c' }))).toEqual(expected.slice(2));
      expect(await keys(store.list('order/', { after: 'order/a/b' }))).toEqual(expected.slice(4));
      expect(await keys(store.list('order/', { after: 'order/a/zz' }))).toEqual(expected.slice(5));
    });

    it('lists by a prefix that ends in the middle of a name', async () => {
      for (const name of ['ab', 'abc', 'abd/x', 'b', 'a']) await store.put(`middle/${name}`, Buffer.from(name));
      expect(await keys(store.list('middle/ab'))).toEqual(['middle/ab', 'middle/abc', 'middle/abd/x']);
      expect(await keys(store.list('middle/abd'))).toEqual(['middle/abd/x']);
      expect(await keys(store.list('middl'))).toEqual([
        'middle/a',
        'middle/ab',
        'middle/abc',
        'middle/abd/x',
        'middle/b',
      ]);
      expect(await keys(store.list('middle/ab', { after: 'aaa' }))).toHaveLength(3);
      expect(await keys(store.list('middle/ab', { after: 'middle/b' }))).toEqual([]);
      expect(await keys(store.list('middle/ab', { after: 'zzz' }))).toEqual([]);
    });

    it('lists each of 2,500 objects once, in byte order, and after any key', async () => {
      const expected: string[] = [];
      for (let index = 0; index < 2500; index += 1)
        expected.push(`many/${index % 7 === 0 ? `d${index % 3}/` : ''}${index}.info`);
      for (let index = 0; index < expected.length; index += 50) {
        await Promise.all(expected.slice(index, index + 50).map((key) => store.put(key, Buffer.from(key))));
      }
      const sorted = inByteOrder(expected);

      const objects: ListedObject[] = [];
      for await (const object of store.list('many/')) objects.push(object);
      // A listing has only the keys, so that it needs no access to each object.
      expect(objects).toEqual(sorted.map((key) => ({ key })));

      for (const position of [0, 1, 998, 999, 1000, 1001, 2000, 2498]) {
        expect(await keys(store.list('many/', { after: sorted[position] ?? '' }))).toEqual(sorted.slice(position + 1));
      }
      const seen: string[] = [];
      for await (const { key } of store.list('many/')) {
        seen.push(key);
        if (seen.length === 3) break;
      }
      expect(seen).toEqual(sorted.slice(0, 3));
    }, 120_000);

    it('returns the old object, or none, until a put has finished', async () => {
      await store.put('atomic/old', Buffer.from('old'));
      for (const [key, before, there] of [
        ['atomic/old', 'old', ['atomic/old']],
        ['atomic/new', undefined, ['atomic/old']],
      ] as const) {
        const stream = new PassThrough();
        const put = store.put(key, { stream });
        // The store must have begun to write, because its buffers are smaller than these 20 MB.
        for (let index = 0; index < 20; index += 1) await write(stream, Buffer.alloc(MB, 'n'));
        expect((await store.get(key))?.toString()).toBe(before);
        expect(await keys(store.list('atomic/'))).toEqual(there);
        stream.end();
        await put;
        expect((await store.stat(key))?.size).toBe(20 * MB);
      }
      expect(await keys(store.list('atomic/'))).toEqual(['atomic/new', 'atomic/old']);
    });

    it('lets a reader finish the object that it has opened while the object is replaced', async () => {
      const [first, second] = [Buffer.alloc(3 * MB, '1'), Buffer.alloc(3 * MB, '2')];
      await store.put('replaced/while-read', first);
      const opened = await store.open('replaced/while-read');
      await store.put('replaced/while-read', second);
      expect((await bytes(opened?.body)).equals(first)).toBe(true);
      expect((await store.get('replaced/while-read'))?.equals(second)).toBe(true);
    });

    it.each([
      ['soon', 1000],
      ['after many megabytes', 20 * MB],
    ])('stores nothing of a stream that fails %s, and rejects with its error', async (when, length) => {
      const key = `failing/${length}`;
      const stream = Readable.from(
        (async function* () {
          for (let sent = 0; sent < length; sent += 1000) yield Buffer.alloc(1000);
          throw new Error(`broken ${when}`);
        })(),
      );
      await expect(store.put(key, { stream })).rejects.toThrow(`broken ${when}`);
      expect(stream.destroyed).toBe(true);
      expect(await store.stat(key)).toBeUndefined();
      expect(await keys(store.list('failing/'))).toEqual([]);
    });

    it('keeps the old object if the stream of its replacement fails', async () => {
      await store.put('failing-replacement/x', Buffer.from('old'));
      const stream = new PassThrough();
      stream.destroy(new Error('broken at once'));
      await expect(store.put('failing-replacement/x', { stream })).rejects.toThrow('broken at once');
      expect((await store.get('failing-replacement/x'))?.toString()).toBe('old');
    });

    it.each([
      ['too short', 1000, 1001],
      ['too long', 1000, 999],
      ['too long for an empty object', 1, 0],
      ['too short by megabytes', 10 * MB, 20 * MB],
      ['too long by megabytes', 20 * MB, 10 * MB],
    ])('stores nothing of a stream that is %s', async (_, length, size) => {
      const key = `length/${length}-${size}`;
      await expect(store.put(key, { stream: pieces(length), size })).rejects.toThrow(String(size));
      expect(await store.stat(key)).toBeUndefined();
    });

    it('stores one complete version if several writers put one key at once', async () => {
      const versions = [11, 12, 13, 14].map((megabytes, index) => Buffer.alloc(megabytes * MB, String(index)));
      await Promise.all(versions.map((version) => store.put('concurrent/big', { stream: Readable.from([version]) })));
      const big = await store.get('concurrent/big');
      expect(versions.some((version) => big?.equals(version))).toBe(true);

      await Promise.all(
        Array.from({ length: 30 }, (_, index) =>
          store.put('concurrent/small', Buffer.alloc(100 + index, String(index % 10))),
        ),
      );
      const small = await store.get('concurrent/small');
      expect(new Set(small).size).toBe(1);
      expect(await keys(store.list('concurrent/'))).toEqual(['concurrent/big', 'concurrent/small']);
    });

    it.each([undefined, 100 * MB])(
      'writes and reads 100 MB in little memory, declared size: %s',
      async (size) => {
        const collect = garbageCollector();
        collect();
        const before = process.memoryUsage().arrayBuffers;
        let most = 0;
        const watched = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
          let count = 0;
          for await (const chunk of chunks) {
            yield chunk;
            count += chunk.length;
            if (count < 5 * MB) continue;
            count = 0;
            collect();
            most = Math.max(most, process.memoryUsage().arrayBuffers - before);
          }
        };
        const sent = createHash('sha256');
        const source = Readable.from(
          (async function* () {
            for await (const chunk of watched(pieces(100 * MB))) {
              sent.update(chunk);
              yield chunk;
            }
          })(),
        );
        await store.put('big/x', size === undefined ? { stream: source } : { stream: source, size });

        const opened = await store.open('big/x');
        expect(opened?.size).toBe(100 * MB);
        const received = createHash('sha256');
        for await (const chunk of watched(opened?.body ?? Readable.from([]))) received.update(chunk);
        expect(received.digest('hex')).toBe(sent.digest('hex'));
        expect(most / MB).toBeLessThan(40);
        await store.delete('big/x');
      },
      60_000,
    );

    it('releases everything when the body of an open object is destroyed, before or after a read', async () => {
      await store.put('destroyed/x', Buffer.alloc(5 * MB));
      for (const read of [false, true]) {
        const opened = await store.open('destroyed/x');
        if (opened === undefined) throw new Error('not found');
        if (read) await once(opened.body, 'readable');
        const closed = once(opened.body, 'close');
        opened.body.destroy();
        await closed;
      }
      expect((await store.get('destroyed/x'))?.length).toBe(5 * MB);
    });

    it('passes its check, and the check leaves nothing behind', async () => {
      const before = await keys(store.list(''));
      await store.check();
      expect(await keys(store.list(''))).toEqual(before);
    });

    it('rejects with StoreUnavailable during an outage, instead of appearing empty, and works afterwards', async () => {
      await store.put('outage/x', Buffer.from('x'));
      await underTest.takeDown();
      try {
        const began = Date.now();
        const stream = pieces(20 * MB);
        const attempts = [
          () => store.get('outage/x'),
          () => store.get('outage/never-there'),
          () => store.stat('outage/x'),
          () => store.open('outage/x'),
          () => keys(store.list('outage/')),
          () => store.put('outage/y', Buffer.from('y')),
          () => store.put('outage/z', { stream }),
          () => store.delete('outage/x'),
          () => store.check(),
        ];
        for (const attempt of attempts) await expect(attempt()).rejects.toThrow(StoreUnavailable);
        expect(stream.destroyed).toBe(true);
        expect(Date.now() - began).toBeLessThan(5000);
      } finally {
        await underTest.bringBack();
      }
      await store.check();
      expect((await store.get('outage/x'))?.toString()).toBe('x');
      expect(await keys(store.list('outage/'))).toEqual(['outage/x']);
      await store.put('outage/y', Buffer.from('y'));
      await vi.waitFor(async () => expect(await keys(store.list('outage/'))).toEqual(['outage/x', 'outage/y']));
    });
  });
}

/** Returns the keys of a listing, in its order. */
export async function keys(objects: AsyncIterable<ListedObject>): Promise<string[]> {
  const listed: string[] = [];
  for await (const { key } of objects) listed.push(key);
  return listed;
}

/** Returns a stream of `length` bytes, in which no two megabytes are equal. */
export function pieces(length: number): Readable {
  return Readable.from(
    (async function* () {
      for (let sent = 0; sent < length;) {
        const piece = Buffer.alloc(Math.min(64 * 1024, length - sent), `${sent} `);
        sent += piece.length;
        yield piece;
      }
    })(),
  );
}

async function bytes(body: Readable | undefined): Promise<Buffer> {
  if (body === undefined) throw new Error('not found');
  return await buffer(body);
}

async function text(body: Readable | undefined): Promise<string> {
  return (await bytes(body)).toString();
}

async function write(stream: PassThrough, chunk: Buffer): Promise<void> {
  if (!stream.write(chunk)) await once(stream, 'drain');
}

function inByteOrder(names: readonly string[]): string[] {
  return names.toSorted((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
}

/** Returns a function that collects garbage, which must not be part of a memory measurement. */
function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
