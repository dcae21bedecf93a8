import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { H1 } from '../module/hash.ts';
import { checkZipSize, ModuleZip } from '../module/zip/writer.ts';
import type { ResolvedVersion } from '../resolve/resolver.ts';

/** A finished module zip in the folder of the build. `size` is in bytes. */
export interface BuiltZip {
  readonly path: string;
  readonly size: number;
  readonly h1: H1;
}

/**
 * Writes the zip of a version to `folder`, while `feed` adds files and finishes the zip. Throws Refuse if the zip is
 * larger than 500 MiB.
 */
export async function writeZip(
  { path, version }: ResolvedVersion,
  folder: string,
  feed: (zip: ModuleZip) => Promise<H1>,
): Promise<BuiltZip> {
  const file = join(folder, 'module.zip');
  const zip = new ModuleZip(path, version);
  const written = pipeline(zip.output, createWriteStream(file));
  const fed = feed(zip).catch((error: unknown) => {
    // This also ends `written`. Its error would only repeat the error of `feed`.
    zip.output.destroy();
    throw error;
  });
  const [feeding, writing] = await Promise.allSettled([fed, written]);
  if (feeding.status === 'rejected') throw feeding.reason;
  if (writing.status === 'rejected') throw writing.reason;
  const { size } = await stat(file);
  checkZipSize(size);
  return { path: file, size, h1: feeding.value };
}
