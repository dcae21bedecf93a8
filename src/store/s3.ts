import { createHash, randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, S3Error } from 'minio';
import { messageOf } from '../errors.ts';
import { checkRange, inParts, translated, withChunks } from './body.ts';
import { checkKey, checkNewKey, checkPrefix, fits, isKey, KeyTooLong, RESERVED } from './key.ts';
import { S3Connection, TransientFailure } from './s3-connection.ts';
import {
  type ByteRange,
  type OpenObject,
  type PutStream,
  type Store,
  type StoredObject,
  StoreUnavailable,
} from './store.ts';

/** Which bucket, and how to get at it. */
export interface S3Options {
  readonly bucket: string;
  /** First part of every key in the bucket, with or without slashes around it. */
  readonly prefix?: string;
  /** URL of the service, `http` or `https`, without a path. Amazon's S3 if missing. */
  readonly endpoint?: string | undefined;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly region?: string;
  /** How long the service may stay silent before a call is given up, in milliseconds. */
  readonly timeoutMs?: number;
}

/**
 * Bytes of a part of a multipart upload, and so what a put holds in memory (twice, while chunks are joined).
 * S3 wants at least 5 MiB, and at most 10,000 parts: this allows 80 GB.
 */
const PART_BYTES = 8 * 1024 * 1024;

/** Calls are made again after a lost connection or a 5xx: each one has the same effect when it is repeated. */
const ATTEMPTS = 3;

/**
 * The store in a bucket of S3, MinIO or another service that speaks S3.
 *
 * What fits into one part is one PUT, which is atomic. The rest is a multipart upload of its own for each put, so
 * that two puts of one key never mix (the client's own `putObject` resumes whatever upload it finds for the key, and
 * aborts none). The parts that a killed process leaves are invisible; MinIO removes them after a day, on S3 a
 * lifecycle rule (AbortIncompleteMultipartUpload) does.
 */
export class S3Store implements Store, AsyncDisposable {
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #region: string;
  readonly #connection: S3Connection;
  readonly #client: Client;

  /** Throws TypeError for an endpoint or a prefix that cannot be one. Nothing is asked of the service yet. */
  constructor(options: S3Options) {
    this.#bucket = options.bucket;
    const prefix = (options.prefix ?? '').replace(/^\/+|\/+$/g, '');
    if (prefix !== '') checkKey(prefix);
    this.#prefix = prefix === '' ? '' : `${prefix}/`;
    this.#region = options.region ?? 'us-east-1';
    this.#connection = new S3Connection(options.endpoint ?? 'https://s3.amazonaws.com', options.timeoutMs ?? 30_000);
    this.#client = new Client({
      ...this.#connection.clientOptions,
      accessKey: options.accessKey,
      secretKey: options.secretKey,
      region: this.#region,
      partSize: PART_BYTES,
      // The client's own retries write to the console and leave the refused answers unread.
      retryOptions: { disableRetry: true },
    });
  }

  async get(key: string): Promise<Buffer | undefined> {
    checkKey(key);
    return await this.#find(key, async (name) => await buffer(await this.#client.getObject(this.#bucket, name)));
  }

  async stat(key: string): Promise<StoredObject | undefined> {
    checkKey(key);
    const found = await this.#find(key, (name) => this.#client.statObject(this.#bucket, name));
    if (found !== undefined) return { key, size: found.size, modified: found.lastModified };
    // The answer to HEAD has no body to tell a missing object from a missing bucket.
    if (!(await this.#ask(() => this.#client.bucketExists(this.#bucket)))) throw this.#unavailable(NO_BUCKET);
    return undefined;
  }

  async open(key: string, range?: ByteRange): Promise<OpenObject | undefined> {
    checkKey(key);
    if (range !== undefined) checkRange(range);
    const length = range === undefined ? 0 : range.last - range.first + 1;
    const answer = await this.#find(key, (name) =>
      this.#client.getPartialObject(this.#bucket, name, range?.first ?? 0, length),
    ).catch((error: unknown) => {
      if (codeOf(error) === 'InvalidRange')
        throw new RangeError(`the object ${key} has no byte ${range?.first}`, { cause: error });
      throw error;
    });
    if (answer === undefined) return undefined;
    // The client hands on Node's own response, but declares no more than a stream.
    const { headers } = answer as IncomingMessage;
    try {
      const size = Number(range === undefined ? headers['content-length'] : headers['content-range']?.split('/')[1]);
      const modified = new Date(headers['last-modified'] ?? '');
      if (!Number.isSafeInteger(size) || Number.isNaN(modified.getTime()))
        throw this.#unavailable('it answers without the size and time of an object');
      if (range !== undefined) checkRange(range, size);
      return { key, size, modified, body: translated(answer, (error) => this.#translate(error)) };
    } catch (error) {
      answer.destroy();
      throw error;
    }
  }

  // The client's XML reader takes a key that looks like a number for one. Keys with a slash never do, and so no key of layout.ts.
  async *list(prefix: string, options: { after?: string } = {}): AsyncGenerator<StoredObject> {
    checkPrefix(prefix);
    const within = `${this.#prefix}${prefix}`;
    const startAfter = options.after === undefined ? '' : `${this.#prefix}${options.after}`;
    let token = '';
    do {
      const page = await this.#ask(() =>
        this.#client.listObjectsV2Query(this.#bucket, within, token, '', 1000, startAfter),
      );
      for (const item of page.objects) {
        if (item.name === undefined) continue;
        const key = item.name.slice(this.#prefix.length);
        if (isKey(key)) yield { key, size: item.size, modified: item.lastModified };
      }
      token = page.isTruncated ? page.nextContinuationToken : '';
    } while (token !== '');
  }

  async put(key: string, body: Buffer | PutStream): Promise<void> {
    await withChunks(body, async (chunks) => {
      checkNewKey(key);
      const name = this.#name(key);
      if (!fits(name)) throw new KeyTooLong(name);
      const parts = inParts(chunks, PART_BYTES);
      const { value: first } = await parts.next();
      if (first.length === PART_BYTES) await this.#upload(name, first, parts);
      else
        await this.#ask(() =>
          this.#client.putObject(this.#bucket, name, first, first.length, { 'Content-Type': contentType(name) }),
        );
    });
  }

  /** Stores an object in parts, one after the other. */
  async #upload(name: string, first: Buffer, rest: AsyncIterable<Buffer>): Promise<void> {
    const headers = { 'Content-Type': contentType(name) };
    const uploadId = await this.#ask(() => this.#client.initiateNewMultipartUpload(this.#bucket, name, headers));
    const uploaded: { part: number; etag: string }[] = [];
    const upload = async (bytes: Buffer): Promise<void> => {
      const part = {
        bucketName: this.#bucket,
        objectName: name,
        uploadID: encodeURIComponent(uploadId),
        partNumber: uploaded.length + 1,
        headers: { 'Content-MD5': createHash('md5').update(bytes).digest('base64') },
      };
      const { etag } = await this.#ask(() => this.#client.uploadPart(part, bytes));
      uploaded.push({ part: part.partNumber, etag });
    };
    try {
      await upload(first);
      for await (const bytes of rest) if (bytes.length > 0) await upload(bytes);
      await this.#ask(() => this.#client.completeMultipartUpload(this.#bucket, name, uploadId, uploaded));
    } catch (error) {
      await this.#abort(name, uploadId, error);
      throw error;
    }
  }

  async #abort(name: string, uploadId: string, reason: unknown): Promise<void> {
    try {
      await this.#ask(() => this.#client.abortMultipartUpload(this.#bucket, name, encodeURIComponent(uploadId)));
    } catch (error) {
      const both = new AggregateError([reason, error], messageOf(reason));
      throw this.#unavailable(
        `the parts of a failed upload of ${name} could not be removed (${messageOf(error)})`,
        both,
      );
    }
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    if (fits(this.#name(key))) await this.#ask(() => this.#client.removeObject(this.#bucket, this.#name(key)));
  }

  /** Creates the bucket if it is missing and the credentials allow it. */
  async check(): Promise<void> {
    const key = `${RESERVED}/check-${randomUUID()}`;
    const name = this.#name(key);
    const write = async (): Promise<unknown> =>
      await this.#ask(() => this.#client.putObject(this.#bucket, name, Buffer.from('ok'), 2));
    try {
      await write();
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || codeOf(error.cause) !== 'NoSuchBucket') throw error;
      await this.#createBucket();
      await write();
    }
    const found = await this.#find(key, () => this.#client.statObject(this.#bucket, name));
    await this.#ask(() => this.#client.removeObject(this.#bucket, name));
    if (found === undefined) throw this.#unavailable('what was just written is not there');
  }

  async #createBucket(): Promise<void> {
    try {
      await this.#client.makeBucket(this.#bucket, this.#region);
    } catch (error) {
      // Another replica was faster.
      if (codeOf(error) === 'BucketAlreadyOwnedByYou') return;
      throw this.#unavailable(`${NO_BUCKET}; these credentials may not do it (${messageOf(error)})`, error);
    }
  }

  /** Closes the idle connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection.close();
  }

  #name(key: string): string {
    return `${this.#prefix}${key}`;
  }

  /** What `look` gives, or undefined where there is no such object. */
  async #find<T>(key: string, look: (name: string) => Promise<T>): Promise<T | undefined> {
    const name = this.#name(key);
    if (!fits(name)) return undefined;
    try {
      return await this.#ask(() => look(name));
    } catch (error) {
      const code = codeOf(error);
      if (code === 'NoSuchKey' || code === 'NotFound') return undefined;
      throw error;
    }
  }

  /** The answer of the service; an answer about the object is thrown as it is, any other failure as StoreUnavailable. */
  async #ask<T>(call: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await call();
      } catch (error) {
        const again = error instanceof TransientFailure || codeOf(error) === 'ECONNRESET' || codeOf(error) === 'EPIPE';
        if (!again || attempt === ATTEMPTS) throw this.#translate(error);
        await delay(100 * attempt);
      }
    }
  }

  #translate(error: unknown): Error {
    const code = codeOf(error);
    if (error instanceof S3Error && ABOUT_THE_OBJECT.has(code)) return error;
    const said = `${code} ${messageOf(error)}`.trim();
    return this.#unavailable(
      ADVICE[code] ?? (said === '' ? 'its answer is not that of an S3 service; check S3_ENDPOINT' : said),
      error,
    );
  }

  #unavailable(reason: string, cause?: unknown): StoreUnavailable {
    return new StoreUnavailable(
      `the store in bucket ${this.#bucket} at ${this.#connection.origin} cannot be used: ${reason}`,
      { cause },
    );
  }
}

/** S3's answers that say something about the object asked for, not about the service. */
const ABOUT_THE_OBJECT: ReadonlySet<string> = new Set(['NoSuchKey', 'NotFound', 'InvalidRange']);

const NO_BUCKET = 'the bucket does not exist; create it';
const WRONG_KEY = 'the credentials are wrong; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY';
const NOT_REACHED = 'it cannot be reached; check S3_ENDPOINT, and that the service runs';

/** What to do about an error, by S3's or the system's code for it. */
const ADVICE: Readonly<Record<string, string>> = {
  NoSuchBucket: NO_BUCKET,
  InvalidAccessKeyId: WRONG_KEY,
  SignatureDoesNotMatch: WRONG_KEY,
  AccessDenied: 'access denied; the credentials need to list the bucket, and to get, put and delete objects in it',
  RequestTimeTooSkewed: 'the clocks differ too much; set the clock of this machine',
  AuthorizationHeaderMalformed: 'the bucket is in another region; check AWS_REGION',
  MovedPermanently: 'the bucket is elsewhere; check AWS_REGION and S3_ENDPOINT',
  PermanentRedirect: 'the bucket is elsewhere; check AWS_REGION and S3_ENDPOINT',
  XMinioStorageFull: 'it is full; free some space',
  ECONNREFUSED: NOT_REACHED,
  ENOTFOUND: NOT_REACHED,
  EHOSTUNREACH: NOT_REACHED,
};

/** The code of an error: S3's, or the system's; empty if it has none. */
function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';
}

/** What other readers of the bucket are told about an object: the types that GOPROXY servers give. */
function contentType(name: string): string {
  if (/\.(info|json)$/.test(name)) return 'application/json';
  if (/(\.mod|\/list)$/.test(name)) return 'text/plain; charset=utf-8';
  return name.endsWith('.zip') ? 'application/zip' : 'application/octet-stream';
}
