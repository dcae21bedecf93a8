import { Refuse, Retry } from '../errors.ts';
import type { BlobId } from '../gitlab/schema.ts';
import type { ResolvedVersion } from '../resolve/resolver.ts';
import { archiveLater, type ArchiveLimit } from './archive-limit.ts';
import type { AttributesFile } from './attributes.ts';
import { readAttributes, type CommitFiles } from './commit-files.ts';
import { areFew, prefetchFromArchive, type PrefetchParts } from './prefetch.ts';
import { fromBlob, isMadeFromBlob } from './file-from-blob.ts';
import { planZip, type ZipPlan } from './plan.ts';
import { writeZip, type BuiltZip } from './zip-file.ts';

/** More missing blobs than that take longer than waiting for an archive, at GitLab's usual limit of calls. */
const MANY_BLOBS = 1000;

/** What building from blobs needs. */
export type FromBlobsParts = PrefetchParts & ArchiveLimit;

/**
 * Builds a version's zip from the tree and blobs, of which only those not seen before are fetched: with one archive, if
 * `reserve` gives one (0, else the milliseconds to wait), or one by one. Undefined for a version that git alone can convert, or
 * that is larger than the cache: it has to come from an archive. Throws Refuse, or Retry where waiting for an archive is sooner.
 */
export async function buildFromBlobs(
  parts: FromBlobsParts,
  files: CommitFiles,
  version: ResolvedVersion,
  folder: string,
  reserve: () => Promise<number>,
): Promise<BuiltZip | undefined> {
  const plan = await planZip(files, version);
  const attributes = await attributesOf(files, version.directory, plan);
  if (!attributes || !plan.files.every((file) => isMadeFromBlob(file, attributes))) return undefined;
  if (!(await supply(parts, version, plan, folder, reserve))) return undefined;
  const source = {
    blob: async (id: BlobId) => (await parts.blobs.open(version.project.id, id)).body,
    attributes: async () => attributes,
    folder,
  };
  return await writeZip(version, folder, async (zip) => {
    for (const file of plan.files) {
      const hashed = await fromBlob(file, source);
      if (!hashed) throw new Error(`${file.treePath} cannot be made from its blob any more`);
      await zip.add({ path: file.path, ...hashed });
    }
    return zip.finish();
  });
}

/** The attributes that govern the module's files; undefined where one of their files is too large to be read. */
async function attributesOf(
  files: CommitFiles,
  directory: string,
  plan: ZipPlan,
): Promise<AttributesFile[] | undefined> {
  try {
    return await readAttributes(files, directory, plan.attributes);
  } catch (error) {
    if (error instanceof Refuse) return undefined;
    throw error;
  }
}

/** An archive that is not to be had, because somebody else has used up the limit, is no reason to wait unless very much is missing. */
function unlessRetry(missing: number): (error: unknown) => number {
  return (error) => {
    if (!(error instanceof Retry) || missing > MANY_BLOBS) throw error;
    return 0;
  };
}

/** Gets the planned blobs that are missing into the cache. False if too many of them push each other, or those that were there, out of it. */
async function supply(
  parts: FromBlobsParts,
  { project, commit, directory, gomod }: ResolvedVersion,
  plan: ZipPlan,
  folder: string,
  reserve: () => Promise<number>,
): Promise<boolean> {
  const { blobs } = parts;
  if (gomod) await blobs.keepBytes(gomod, commit.length);
  const isMissing = (id: BlobId): boolean => !blobs.has(id);
  // Files with the same content are one blob, and one call.
  const planned = new Set<BlobId>();
  const wanted = new Map<string, BlobId>();
  for (const { treePath, content } of plan.files) {
    if (typeof content !== 'string') continue;
    planned.add(content);
    if (isMissing(content)) wanted.set(treePath, content);
  }
  const missing = new Set(wanted.values());
  let kept = 0;
  if (!areFew(missing)) {
    const waitMs = await reserve();
    const fill = (): Promise<number> =>
      prefetchFromArchive(parts, { projectId: project.id, commit, directory }, wanted, folder);
    if (waitMs === 0) kept = await fill().catch(unlessRetry(missing.size));
    else if (missing.size > MANY_BLOBS) throw archiveLater(parts, waitMs);
  }
  const left = Array.from(planned).filter(isMissing);
  if (left.length - (missing.size - kept) > MANY_BLOBS) return false;
  await blobs.fetch(project.id, left);
  return true;
}
