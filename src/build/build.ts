import { Retry } from '../errors.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import { ErrorResponse } from '../gitlab/error-response.ts';
import type { ResolvedVersion } from '../resolve/resolver.ts';
import { archiveLater, reserveArchive, type ArchiveLimit } from './archive-limit.ts';
import type { Blobs } from './blobs.ts';
import { buildFromArchive } from './from-archive.ts';
import { buildFromBlobs } from './from-blobs.ts';
import { filesInGitLab, type CommitFiles } from './commit-files.ts';
import type { BuiltZip } from './zip-file.ts';

/** GitLab counts archives by the minute. In milliseconds. */
const UNTOLD_MS = 60_000;

/** What a build works with. */
export interface BuildParts extends ArchiveLimit {
  readonly gitlab: GitLabClient;
  /** Without it, everything comes from archives. */
  readonly blobs?: Blobs | undefined;
}

/**
 * Builds the module zip of a version in `scratch`, a folder which the caller removes. A single version comes from an archive: few
 * calls, and nothing has to be kept. One of many (`many` then has the files of its commit) comes from blobs, since most of
 * them were in the version before; and so does a single one if the archives of this minute are used up. Both ways give the same bytes.
 * Throws Refuse or Retry.
 */
export async function buildZip(
  parts: BuildParts,
  version: ResolvedVersion,
  folder: string,
  many?: CommitFiles,
): Promise<BuiltZip> {
  const { gitlab, blobs } = parts;
  const { project, commit } = version;
  const files = many ?? filesInGitLab(gitlab, project.id, commit);
  const reserve = (): Promise<number> => reserveArchive(parts, project.id);
  const fromBlobs = async (reserveForBlobs: () => Promise<number>): Promise<BuiltZip | undefined> =>
    blobs && (await buildFromBlobs({ ...parts, blobs }, files, version, folder, reserveForBlobs));

  const ofMany = many && (await fromBlobs(reserve));
  if (ofMany) return ofMany;
  const waitMs = await reserve();
  const fromArchive =
    waitMs === 0
      ? await buildFromArchive(gitlab, files, version, folder).catch(unlessRationed)
      : archiveLater(parts, waitMs);
  if (!(fromArchive instanceof Retry)) return fromArchive;
  const single = many ? undefined : await fromBlobs(async () => fromArchive.afterMs ?? UNTOLD_MS);
  if (single) return single;
  throw fromArchive;
}

/** GitLab gives no archive although there should be some left: somebody else uses the token, or the count of them was lost with Redis. */
function unlessRationed(error: unknown): Retry {
  if (error instanceof ErrorResponse && error.status === 429) return error;
  throw error;
}
