import { isSliceOver, nextSlice } from '../async/in-slices.ts';
import { Retry } from '../errors.ts';
import type { BlobId } from '../gitlab/schema.ts';
import type { ResolvedVersion } from '../resolve/resolver.ts';
import { readAttributes, type CommitFiles } from './commit-files.ts';
import { canMakeFromBlob, makeFromBlob } from './file-from-blob.ts';
import { planZip, type PlannedFiles, type PlanOptions } from './plan-zip.ts';
import { prefetchFromArchive, type PrefetchParts } from './prefetch.ts';
import { ArchiveLimitReached, chooseBlobSource, isArchiveQuicker, type ArchiveLimit } from './archive-or-blobs.ts';
import { writeZip, type BuiltZip } from './zip-file.ts';

/** The dependencies of the supply of blobs. */
export type BlobSupplyParts = PrefetchParts & ArchiveLimit;

/** The dependencies of a build from blobs. `onLarge` is called if the module has very many files, see PlanOptions. */
type FromBlobsParts = BlobSupplyParts & Pick<PlanOptions, 'onLarge'>;

/**
 * Builds the zip of a version from the tree and from blobs. Fetches only the blobs that are not in the cache. `reserve`
 * reserves a permit for an archive, as `reserveArchive` does.
 *
 * Resolves to undefined if the version must be built from an archive: only git can convert one of its files, or the
 * version is larger than the cache. Throws Refuse or Retry, for example if waiting for an archive takes less time.
 */
export async function buildFromBlobs(
  parts: FromBlobsParts,
  files: CommitFiles,
  version: ResolvedVersion,
  folder: string,
  reserve: () => Promise<number>,
): Promise<BuiltZip | undefined> {
  const plan = await planZip(files, version, { onLarge: parts.onLarge });
  const attributes = await readAttributes(files, version.directory, plan.attributes);
  for (const file of plan.files) if (!(await canMakeFromBlob(file, attributes))) return undefined;
  if (!(await supplyBlobs(parts, version, plan.files, folder, reserve))) return undefined;
  const source = {
    blob: async (id: BlobId) => (await parts.blobs.open(version.project.id, id)).body,
    attributes: async () => attributes,
    folder,
  };
  return await writeZip(version, folder, async (zip) => {
    for (const file of plan.files) {
      const hashed = await makeFromBlob(file, source);
      if (!hashed) throw new Error(`${file.treePath} passed canMakeFromBlob, but makeFromBlob cannot make it`);
      await zip.add({ path: file.path, ...hashed });
    }
    return zip.finish();
  });
}

/**
 * Downloads the missing blobs of the planned files into the cache. Resolves to false if the cache is too small for the
 * version.
 */
async function supplyBlobs(
  parts: BlobSupplyParts,
  { project, commit, directory, gomod }: ResolvedVersion,
  files: PlannedFiles,
  folder: string,
  reserve: () => Promise<number>,
): Promise<boolean> {
  const { blobs } = parts;
  if (gomod) await blobs.keepBytes(gomod, commit.length);
  // Files with the same content share one blob, which takes one call.
  const planned = new Set<BlobId>();
  const wanted = new Map<string, BlobId>();
  for (const { treePath, content } of files) {
    if (isSliceOver()) await nextSlice();
    if (typeof content !== 'string') continue;
    planned.add(content);
    if (!blobs.has(content)) wanted.set(treePath, content);
  }
  const missing = new Set(wanted.values()).size;
  let prefetched = 0;
  const source = await chooseBlobSource(missing, reserve);
  if (source.from === 'archive') {
    const place = { projectId: project.id, commit, directory };
    prefetched = await prefetchFromArchive(parts, place, wanted, folder).catch((error: unknown) => {
      // For example, another program has used up the archive limit. Waiting for an archive is better only if very many
      // blobs are missing.
      if (!(error instanceof Retry) || isArchiveQuicker(missing)) throw error;
      return 0;
    });
  } else if (source.from === 'later archive' && isArchiveQuicker(missing)) {
    throw new ArchiveLimitReached(parts, source.waitMs);
  }
  const remaining = Array.from(planned).filter((id) => !blobs.has(id));
  // A blob that is missing again was displaced by a later blob, so the version is larger than the cache.
  const displaced = remaining.length - (missing - prefetched);
  if (isArchiveQuicker(displaced)) return false;
  await blobs.fetch(project.id, remaining);
  return true;
}
