import { createReadStream } from 'node:fs';
import { Refuse } from '../errors.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import { hashGoMod, type H1 } from '../module/hash.ts';
import { isPseudoVersion } from '../module/version.ts';
import type { Pace } from '../pace/pace.ts';
import type { VersionLock } from '../queue/version-lock.ts';
import { madeUpGoMod } from '../resolve/go-mod.ts';
import { infoText, originIn } from '../resolve/origin.ts';
import type { ResolvedVersion } from '../resolve/resolver.ts';
import { listKey, moduleKey } from '../store/layout.ts';
import { publishedVersions } from '../store/published.ts';
import type { Store } from '../store/store.ts';
import { buildZip, type BuiltZip } from './build.ts';
import { withScratch } from './scratch.ts';
import { hashStoredZip } from './stored-hash.ts';

/** What writing a version needs. */
export interface WriterParts {
  readonly gitlab: GitLabClient;
  readonly store: Store;
  readonly pace: Pace;
  /** Keeps two from building the same version at once. */
  readonly lock: VersionLock;
  /** RETAG: what a moved tag does to a published version. */
  readonly retag: 'refuse' | 'replace';
  /** Folder for temporary files. */
  readonly temporary: string;
  /** Archives a minute for each project, over all replicas. GitLab's own limit is 5. */
  readonly archivesPerMinute?: number;
}

/** What was written: the checksums as go.sum has them, and the bytes of the zip. */
export interface WrittenVersion {
  readonly h1: H1;
  readonly goModH1: H1;
  readonly size: number;
}

/** GitLab's limit for each project and user (reference: application limits, repository archives). */
const GITLAB_ARCHIVES_PER_MINUTE = 5;

/**
 * Builds a module version and stores its three files. Doing it again changes nothing, and costs no archive where it was
 * stored from the same commit. Throws Refuse for a module that the go command would not accept, and for one that is
 * published already with another checksum; Retry, or an error of the store, when it has to be done again.
 */
export async function writeVersion(parts: WriterParts, version: ResolvedVersion): Promise<WrittenVersion> {
  return await parts.lock(`${version.path}@${version.version}`, () =>
    withScratch(parts.temporary, async (scratch) => (await storedVersion(parts.store, version, scratch)) ?? (await build(parts, version, scratch))),
  );
}

async function build(parts: WriterParts, version: ResolvedVersion, scratch: string): Promise<WrittenVersion> {
  const zip = await buildZip({ archivesPerMinute: GITLAB_ARCHIVES_PER_MINUTE, ...parts }, version, scratch);
  const gomod = version.gomod ?? madeUpGoMod(version.path);
  await storeFiles(parts, version, gomod, zip, scratch);
  return { h1: zip.h1, goModH1: hashGoMod(gomod), size: zip.size };
}

/** What is stored of a version, if it is from the same commit: a commit gives one zip, so there is nothing to build. */
async function storedVersion(store: Store, { path, version, commit, origin }: ResolvedVersion, scratch: string): Promise<WrittenVersion | undefined> {
  const info = await store.get(moduleKey(path, version, 'info'));
  const stored = info && originIn(info.toString());
  if (stored?.Hash !== commit || stored.URL !== origin.URL) return undefined;
  const zip = await store.stat(moduleKey(path, version, 'zip'));
  const gomod = await store.get(moduleKey(path, version, 'mod'));
  const h1 = await hashStoredZip(store, moduleKey(path, version, 'zip'), scratch);
  return zip && gomod && h1 && { h1, goModH1: hashGoMod(gomod), size: zip.size };
}

/** Stores zip, mod and info, in that order: a reader takes a version for there once its .info is. */
async function storeFiles({ store, retag }: WriterParts, resolved: ResolvedVersion, gomod: Buffer, zip: BuiltZip, scratch: string): Promise<void> {
  const { path, version, commit } = resolved;
  const key = (file: 'zip' | 'mod' | 'info'): string => moduleKey(path, version, file);
  const published = (await store.stat(key('info'))) && (await hashStoredZip(store, key('zip'), scratch));
  if (published === zip.h1) return;
  if (published && retag === 'refuse') {
    throw new Refuse(
      `${path}@${version} was published with ${published} and stays; the tag now points at ${commit}, which gives ${zip.h1}. ` +
        'Tag a new version instead: builds that know the old checksum would fail with this one (RETAG=replace allows it)',
    );
  }
  // Between two versions of a version there is none, rather than the zip of one and the go.mod of the other.
  if (published) await store.delete(key('info'));
  await store.put(key('zip'), { stream: createReadStream(zip.path), size: zip.size });
  await store.put(key('mod'), gomod);
  await store.put(key('info'), Buffer.from(infoText(version, resolved.committedAt, resolved.origin)));
  await writeList(store, resolved);
}

/** Refreshes the list for static serving: a copy, which the next publish makes anew. */
async function writeList(store: Store, { path }: ResolvedVersion): Promise<void> {
  const versions: string[] = [];
  for await (const version of publishedVersions(store, path)) {
    if (!isPseudoVersion(version)) versions.push(version);
  }
  await store.put(listKey(path), Buffer.from(versions.map((version) => `${version}\n`).join('')));
}
