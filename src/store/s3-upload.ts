import { createHash } from 'node:crypto';
import { messageOf } from '../errors.ts';
import { inParts } from './body.ts';
import { PART_BYTES, type S3Bucket } from './s3-bucket.ts';
import { checksumMetadata } from './s3-object.ts';

/** The object to write. `name` is its full name in the bucket. */
export interface UploadTarget {
  readonly name: string;
  readonly contentType: string;
}

/**
 * Stores the bytes of an object. A single part is sent as one PUT, which is atomic, together with its checksum.
 *
 * Several parts need a multipart upload. Each call starts a new upload, so that two writers of one name never mix their
 * parts. The client's own `putObject` cannot be used, because it continues any upload that it finds for the name, and
 * aborts no upload. If the process is killed, the parts stay, but no reader sees them. MinIO removes such parts after a
 * day; on S3, a lifecycle rule (AbortIncompleteMultipartUpload) removes them.
 */
export async function uploadObject(
  bucket: S3Bucket,
  target: UploadTarget,
  chunks: AsyncIterable<Buffer>,
): Promise<void> {
  const parts = inParts(chunks, PART_BYTES);
  const { value: first } = await parts.next();
  if (first.length === PART_BYTES) await uploadParts(bucket, target, first, parts);
  else {
    const headers = { ...headersOf(target), ...checksumMetadata(first) };
    await bucket.send((client, name) => client.putObject(name, target.name, first, first.length, headers));
  }
}

/** Uploads the parts one after the other. */
async function uploadParts(
  bucket: S3Bucket,
  target: UploadTarget,
  first: Buffer,
  more: AsyncIterable<Buffer>,
): Promise<void> {
  const uploadId = await bucket.send((client, name) =>
    client.initiateNewMultipartUpload(name, target.name, headersOf(target)),
  );
  const uploaded: { part: number; etag: string }[] = [];
  const upload = async (bytes: Buffer): Promise<void> => {
    const part = {
      bucketName: bucket.name,
      objectName: target.name,
      uploadID: encodeURIComponent(uploadId),
      partNumber: uploaded.length + 1,
      headers: { 'Content-MD5': createHash('md5').update(bytes).digest('base64') },
    };
    const { etag } = await bucket.send((client) => client.uploadPart(part, bytes));
    uploaded.push({ part: part.partNumber, etag });
  };
  try {
    await upload(first);
    for await (const bytes of more) if (bytes.length > 0) await upload(bytes);
    await bucket.send((client, name) => client.completeMultipartUpload(name, target.name, uploadId, uploaded));
  } catch (error) {
    await abort(bucket, target.name, uploadId, error);
    throw error;
  }
}

async function abort(bucket: S3Bucket, object: string, uploadId: string, reason: unknown): Promise<void> {
  try {
    await bucket.send((client, name) => client.abortMultipartUpload(name, object, encodeURIComponent(uploadId)));
  } catch (error) {
    const both = new AggregateError([reason, error], messageOf(reason));
    throw bucket.unavailable(
      `the parts of a failed upload of ${object} could not be removed (${messageOf(error)})`,
      both,
    );
  }
}

function headersOf({ contentType }: UploadTarget): Record<string, string> {
  return { 'Content-Type': contentType };
}
