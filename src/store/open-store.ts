import type { HttpClient } from '../http-client/http-client.ts';
import { DiskStore } from './disk.ts';
import { S3Store } from './s3.ts';
import type { Store } from './store.ts';

/** The location of the store, from the settings. `endpoint` is a URL; undefined means Amazon S3. */
export type StoreLocation =
  | { readonly kind: 'disk'; readonly folder: string }
  | {
      readonly kind: 's3';
      readonly bucket: string;
      /** The first part of every key, with or without slashes around it; may be empty. */
      readonly prefix: string;
      readonly endpoint: string | undefined;
      readonly accessKey: string;
      readonly secretKey: string;
      readonly region: string;
    };

/**
 * Opens the store. Creates a missing folder, and rejects with StoreUnavailable if that fails. Sends no request to a
 * bucket, so that a service can start during an outage. `check` tests the bucket and creates it if it is missing.
 */
export async function openStore(location: StoreLocation, http: HttpClient): Promise<Store> {
  return location.kind === 'disk' ? await DiskStore.open(location.folder) : new S3Store({ ...location, http });
}
