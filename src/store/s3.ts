import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Client } from 'minio';
import { checkRange, lengthOf, translated, withChunks } from './body.ts';
import { checkKey, checkNewKey, checkPrefix, compareKeys, fits, isKey, KeyTooLong, RESERVED } from './key.ts';
import { contentTypeOf } from './layout.ts';
import { S3Bucket, type BucketOptions } from './s3-bucket.ts';
import { codeOf, NO_BUCKET } from './s3-errors.ts';
import { readHeaders, readObject } from './s3-object.ts';
import { uploadObject } from './s3-upload.ts';
import {
  type ByteRange,
  type ListedObject,
  type OpenObject,
  type PutStream,
  type Store,
  type StoredObject,
  StoreUnavailable,
} from './store.ts';

/** The bucket and the location of the store in it. */
export interface S3Options extends BucketOptions {
  /** The first part of every key in the bucket, with or without slashes around it. */
  readonly prefix?: string;
}

/** The number of objects that a listing requests at once, which is the maximum of S3. */
const LISTING_PAGE = 1000;

/** A store in a bucket of S3, MinIO or another service with the S3 protocol. */
export class S3Store implements Store {
  readonly #bucket: S3Bucket;
  readonly #prefix: string;

  /** Throws TypeError for an invalid endpoint or prefix. Sends no request. */
  constructor(options: S3Options) {
    const prefix = (options.prefix ?? '').replace(/^\/+|(?<!\/)\/+$/g, '');
    if (prefix !== '') checkKey(prefix);
    this.#prefix = prefix === '' ? '' : `${prefix}/`;
    this.#bucket = new S3Bucket(options);
  }

  async get(key: string): Promise<Buffer | undefined> {
    checkKey(key);
    return await this.#find(key, async (client, bucket, name) =>
      readObject(await client.getObject(bucket, name), this.#bucket.wholeResponseMs),
    );
  }

  async stat(key: string): Promise<StoredObject | undefined> {
    checkKey(key);
    const object = await this.#find(key, (client, bucket, name) => client.statObject(bucket, name));
    if (object !== undefined) return { key, size: object.size, modified: object.lastModified };
    // The response to HEAD has no body, so a missing bucket looks like a missing object.
    if (!(await this.#bucket.send((client, bucket) => client.bucketExists(bucket)))) {
      throw this.#bucket.unavailable(NO_BUCKET);
    }
    return undefined;
  }

  async open(key: string, range?: ByteRange): Promise<OpenObject | undefined> {
    checkKey(key);
    if (range !== undefined) checkRange(range);
    const length = range === undefined ? 0 : range.last - range.first + 1;
    const response = await this.#find(key, (client, bucket, name) =>
      client.getPartialObject(bucket, name, range?.first ?? 0, length),
    ).catch((error: unknown) => {
      if (codeOf(error) === 'InvalidRange')
        throw new RangeError(`the object ${key} has no byte ${range?.first}`, { cause: error });
      throw error;
    });
    if (response === undefined) return undefined;
    // The client returns Node's IncomingMessage, but declares only a stream.
    const { headers } = response as IncomingMessage;
    try {
      const { size, modified } = readHeaders(headers, range !== undefined);
      if (range !== undefined) checkRange(range, size);
      const body = translated(response, lengthOf(range, size), (error) => this.#bucket.translate(error));
      return { key, size, modified, body };
    } catch (error) {
      response.destroy();
      throw error instanceof RangeError ? error : this.#bucket.translate(error);
    }
  }

  // The client's XML parser converts a key that looks like a number to a number. This never happens to a key with a
  // slash, and every key of layout.ts has a slash.
  async *list(prefix: string, options: { after?: string } = {}): AsyncGenerator<ListedObject> {
    checkPrefix(prefix);
    const within = this.#name(prefix);
    const startAfter = options.after === undefined ? '' : this.#name(options.after);
    let token = '';
    let previous = options.after ?? '';
    do {
      const page = await this.#bucket.send((client, bucket) =>
        client.listObjectsV2Query(bucket, within, token, '', LISTING_PAGE, startAfter),
      );
      for (const item of page.objects) {
        if (item.name === undefined) continue;
        const key = item.name.slice(this.#prefix.length);
        // A service that lists a key twice could make this loop endless.
        if (!item.name.startsWith(within) || (previous !== '' && compareKeys(key, previous) <= 0))
          throw this.#bucket.unavailable(`it lists the key ${JSON.stringify(key)} out of order`);
        previous = key;
        if (isKey(key)) yield { key };
      }
      token = page.isTruncated ? page.nextContinuationToken : '';
    } while (token !== '');
  }

  async put(key: string, body: Buffer | PutStream): Promise<void> {
    await withChunks(body, async (chunks) => {
      checkNewKey(key);
      const name = this.#name(key);
      if (!fits(name)) throw new KeyTooLong(name);
      await uploadObject(this.#bucket, { name, contentType: contentTypeOf(key) }, chunks);
    });
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    const name = this.#name(key);
    if (fits(name)) await this.#bucket.send((client, bucket) => client.removeObject(bucket, name));
  }

  /** Also creates a missing bucket if the credentials allow it. */
  async check(): Promise<void> {
    const key = `${RESERVED}/check-${randomUUID()}`;
    const name = this.#name(key);
    const write = async (): Promise<unknown> =>
      await this.#bucket.send((client, bucket) => client.putObject(bucket, name, Buffer.from('ok'), 2));
    try {
      await write();
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || codeOf(error.cause) !== 'NoSuchBucket') throw error;
      await this.#bucket.create();
      await write();
    }
    const written = await this.#find(key, (client, bucket) => client.statObject(bucket, name));
    await this.#bucket.send((client, bucket) => client.removeObject(bucket, name));
    if (written === undefined) throw this.#bucket.unavailable('an object that was just written is missing');
  }

  #name(key: string): string {
    return `${this.#prefix}${key}`;
  }

  /** Returns the result of a request for an object, or undefined if the object is missing. */
  async #find<T>(
    key: string,
    request: (client: Client, bucket: string, name: string) => Promise<T>,
  ): Promise<T | undefined> {
    const name = this.#name(key);
    if (!fits(name)) return undefined;
    try {
      return await this.#bucket.send((client, bucket) => request(client, bucket, name));
    } catch (error) {
      const code = codeOf(error);
      if (code === 'NoSuchKey' || code === 'NotFound') return undefined;
      throw error;
    }
  }
}
