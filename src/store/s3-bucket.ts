import { Client } from 'minio';
import { retry, type RetryPolicy } from '../async/retry.ts';
import { messageOf } from '../errors.ts';
import type { HttpClient } from '../http-client/http-client.ts';
import { S3Connection } from './s3-connection.ts';
import { codeOf, isAboutTheObject, isTransient, NO_BUCKET, reasonOf } from './s3-errors.ts';
import { StoreUnavailable } from './store.ts';

/** The bucket and the connection to it. */
export interface BucketOptions {
  readonly http: HttpClient;
  readonly bucket: string;
  /** The `http` or `https` URL of the service, without a path; Amazon S3 by default. */
  readonly endpoint?: string | undefined;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly region?: string;
  /**
   * A request fails if the service sends nothing for this many milliseconds, or if a response that is read into memory
   * takes twice as long; 30 seconds by default.
   */
  readonly timeoutMs?: number;
}

/**
 * The size of a part of a multipart upload, in bytes. A put holds one part in memory, and a second one while chunks are
 * joined. S3 requires parts of at least 5 MiB and allows 10,000 parts. With this size, an object can have 80 GB.
 */
export const PART_BYTES = 8 * 1024 * 1024;

const ATTEMPTS = 3;
const RETRY_WAIT_MS = 100;

/** A lost connection or a 5xx is retried, because a repeated request has the same effect as the first one. */
const RETRY_POLICY: RetryPolicy = {
  waitAfter: (error, attempt) => (isTransient(error) && attempt < ATTEMPTS ? RETRY_WAIT_MS * attempt : undefined),
};

/** One bucket of an S3 service. Every request goes through `send`, which retries it and translates its errors. */
export class S3Bucket {
  readonly name: string;
  readonly #region: string;
  readonly #connection: S3Connection;
  readonly #client: Client;

  /** Throws TypeError for an invalid endpoint. Sends no request. */
  constructor(options: BucketOptions) {
    this.name = options.bucket;
    this.#region = options.region ?? 'us-east-1';
    this.#connection = new S3Connection(
      options.http,
      options.endpoint ?? 'https://s3.amazonaws.com',
      options.timeoutMs ?? 30_000,
    );
    this.#client = new Client({
      ...this.#connection.clientOptions,
      accessKey: options.accessKey,
      secretKey: options.secretKey,
      region: this.#region,
      partSize: PART_BYTES,
      // The client's own retries write to the console and do not read the bodies of failed responses.
      retryOptions: { disableRetry: true },
    });
  }

  /** How long an object that is read into memory may take from its headers to its end, in milliseconds. */
  get wholeResponseMs(): number {
    return this.#connection.wholeResponseMs;
  }

  /** Sends a request. Throws an error about the object unchanged, and any other failure as StoreUnavailable. */
  async send<T>(request: (client: Client, bucket: string) => Promise<T>): Promise<T> {
    try {
      return await retry(() => request(this.#client, this.name), RETRY_POLICY);
    } catch (error) {
      throw this.translate(error);
    }
  }

  /** Creates the bucket. Also succeeds if another replica has created it in the meantime. */
  async create(): Promise<void> {
    try {
      await this.#client.makeBucket(this.name, this.#region);
    } catch (error) {
      if (codeOf(error) === 'BucketAlreadyOwnedByYou') return;
      throw this.unavailable(`${NO_BUCKET}, because these credentials may not (${messageOf(error)})`, error);
    }
  }

  /** Converts an error to the error that the contract in store.ts requires. */
  translate(error: unknown): Error {
    if (isAboutTheObject(error)) return error;
    const cause = this.#connection.explain(error);
    return this.unavailable(reasonOf(cause), cause);
  }

  /** Returns the error for a bucket that cannot be used. */
  unavailable(reason: string, cause?: unknown): StoreUnavailable {
    return new StoreUnavailable(
      `the store in bucket ${this.name} at ${this.#connection.origin} cannot be used: ${reason}`,
      { cause },
    );
  }
}
