import { Retry } from '../errors.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import type { ResolvedVersion } from '../resolve/resolver.ts';
import type { Blobs } from './blobs.ts';
import { filesInGitLab, type CommitFiles } from './commit-files.ts';
import { buildFromArchive } from './from-archive.ts';
import { buildFromBlobs } from './from-blobs.ts';
import { LargeModules } from './large-modules.ts';
import { archiveRefusedMs, ArchiveLimitReached, reserveArchive, type ArchiveLimit } from './archive-or-blobs.ts';
import type { BuiltZip } from './zip-file.ts';

/** The dependencies of a build. */
export interface BuildParts extends ArchiveLimit {
  readonly gitlab: GitLabClient;
  /** Undefined if all versions have to be built from archives. */
  readonly blobs?: Blobs | undefined;
  /** The limit on large modules, which all builds share. By default, large modules are built without a limit. */
  readonly largeModules?: LargeModules | undefined;
}

/** The options of a build. */
export interface BuildOptions {
  /** The source that is tried first. The default is an archive. */
  readonly preferred?: 'archive' | 'blobs' | undefined;
  /** The files of the version's commit. By default, they are read from GitLab. */
  readonly files?: CommitFiles | undefined;
}

/**
 * Builds the module zip of a version in `folder`, which the caller removes. If the preferred source is not possible,
 * the other source is used. Blobs are not possible if only git can convert a file, or if the cache is too small. An
 * archive is not possible while the archive limit is reached. The bytes of the zip are the same for both sources.
 * Throws Refuse or Retry.
 */
export async function buildZip(
  parts: BuildParts,
  version: ResolvedVersion,
  folder: string,
  options: BuildOptions = {},
): Promise<BuiltZip> {
  const { largeModules = new LargeModules() } = parts;
  const { project, commit, directory } = version;
  return await largeModules.run(`${project.id} ${commit} ${directory}`, (onLarge) =>
    build(parts, version, folder, options, onLarge),
  );
}

async function build(
  parts: BuildParts,
  version: ResolvedVersion,
  folder: string,
  { preferred = 'archive', files = filesInGitLab(parts.gitlab, version.project.id, version.commit) }: BuildOptions,
  onLarge: () => void,
): Promise<BuiltZip> {
  const { gitlab, blobs } = parts;
  const reserve = (): Promise<number> => reserveArchive(parts, version.project.id);
  const fromBlobs = async (reserveForBlobs: () => Promise<number>): Promise<BuiltZip | undefined> =>
    blobs && (await buildFromBlobs({ ...parts, blobs, onLarge }, files, version, folder, reserveForBlobs));

  if (preferred === 'blobs') {
    const zip = await fromBlobs(reserve);
    if (zip) return zip;
  }
  let waitMs = await reserve();
  let reason: Retry = new ArchiveLimitReached(parts, waitMs);
  if (waitMs === 0) {
    try {
      return await buildFromArchive(gitlab, files, version, folder, onLarge);
    } catch (error) {
      const refusedMs = archiveRefusedMs(error);
      if (refusedMs === undefined || !(error instanceof Retry)) throw error;
      waitMs = refusedMs;
      reason = error;
    }
  }
  if (preferred === 'archive') {
    const zip = await fromBlobs(async () => waitMs);
    if (zip) return zip;
  }
  throw reason;
}
