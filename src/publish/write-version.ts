import { createReadStream } from 'node:fs';
import { buildZip, type BuildOptions, type BuildParts } from '../build/build-zip.ts';
import type { BuiltZip } from '../build/zip-file.ts';
import { Refuse } from '../errors.ts';
import { TemporaryDiskFull, withTemporaryFolder } from '../io/temporary-folder.ts';
import { hashGoMod, type H1 } from '../module/hash.ts';
import { legacyGoMod } from '../module/modfile.ts';
import { moduleVersionName } from '../module/module-version.ts';
import type { VersionLock } from '../redis/version-lock.ts';
import { infoText, originIn } from '../resolve/origin.ts';
import type { ResolvedVersion } from '../resolve/resolver.ts';
import { KeyTooLong } from '../store/key.ts';
import { moduleKey, type VersionFile } from '../store/layout.ts';
import { forgetOutcomes } from '../store/outcome.ts';
import type { Store } from '../store/store.ts';
import { writeList } from './static-list.ts';
import { hashStoredZip } from './stored-zip.ts';
import { assertInService } from './withdraw.ts';

/** The dependencies of `writeVersion`. */
export interface WriterParts extends BuildParts {
  readonly store: Store;
  /** Prevents two publishers from building the same version at the same time. */
  readonly lock: VersionLock;
  /** The RETAG setting, which decides what happens to a published version if its tag is moved. */
  readonly retag: 'refuse' | 'replace';
  /** The folder in which each build creates its own temporary folder. */
  readonly temporaryRoot: string;
}

/** The checksums of a version in the form of go.sum, and the size of its zip in bytes. */
export interface WrittenVersion {
  readonly h1: H1;
  readonly goModH1: H1;
  readonly size: number;
}

/** The options of `writeVersion`. */
export interface WriteOptions extends BuildOptions {
  /**
   * Called before a version is refused or replaced because its tag was moved. Rejects if the tag has moved again since
   * it was read.
   */
  readonly assertCurrent?: () => Promise<void>;
}

/**
 * Builds a module version and stores its three files. Running it again changes nothing, and needs no archive if the
 * version was stored from the same commit.
 *
 * Throws Refuse if the go command would not accept the module, or if the version was withdrawn. Also throws Refuse if
 * the version is already published with another checksum. Throws Retry, or an error of the store, if the publish has to
 * run again.
 */
export async function writeVersion(
  parts: WriterParts,
  version: ResolvedVersion,
  options: WriteOptions = {},
): Promise<WrittenVersion> {
  return await parts.lock(moduleVersionName(version.path, version.version), async () => {
    await assertInService(parts.store, version.path, version.version);
    try {
      return await withTemporaryFolder(
        parts.temporaryRoot,
        async (folder) =>
          (await readStored(parts.store, version, folder)) ?? (await buildAndStore(parts, version, folder, options)),
      );
    } catch (error) {
      if (error instanceof TemporaryDiskFull) await parts.blobs?.clear();
      throw error;
    }
  });
}

async function buildAndStore(
  parts: WriterParts,
  version: ResolvedVersion,
  folder: string,
  { assertCurrent, ...options }: WriteOptions,
): Promise<WrittenVersion> {
  const zip = await buildZip(parts, version, folder, options);
  const gomod = version.gomod ?? legacyGoMod(version.path);
  try {
    await storeFiles(parts, version, gomod, zip, folder, assertCurrent);
  } catch (error) {
    if (!(error instanceof KeyTooLong)) throw error;
    throw new Refuse(`${version.path}@${version.version} cannot be stored: ${error.message}`);
  }
  return { h1: zip.h1, goModH1: hashGoMod(gomod), size: zip.size };
}

/**
 * Reads the stored version if it was built from the same commit. Nothing has to be built then, because a commit always
 * results in the same zip.
 */
async function readStored(
  store: Store,
  { path, version, commit, origin }: ResolvedVersion,
  folder: string,
): Promise<WrittenVersion | undefined> {
  const info = await store.get(moduleKey(path, version, 'info'));
  const stored = info && originIn(info.toString());
  if (stored?.Hash !== commit || stored.URL !== origin.URL) return undefined;
  const gomod = await store.get(moduleKey(path, version, 'mod'));
  const zip = await hashStoredZip(store, moduleKey(path, version, 'zip'), folder);
  // The process that stored the version may have died before it wrote the list.
  await writeList(store, path, { added: version });
  return zip && gomod && { ...zip, goModH1: hashGoMod(gomod) };
}

/**
 * Stores `.zip`, `.mod` and `.info` in this order, because a version exists for readers as soon as its `.info` exists.
 */
async function storeFiles(
  { store, retag }: WriterParts,
  resolved: ResolvedVersion,
  gomod: Buffer,
  zip: BuiltZip,
  folder: string,
  assertCurrent: WriteOptions['assertCurrent'],
): Promise<void> {
  const { path, version, commit } = resolved;
  const key = (file: VersionFile): string => moduleKey(path, version, file);
  const publishedH1 = (await store.stat(key('info'))) && (await hashStoredZip(store, key('zip'), folder))?.h1;
  if (publishedH1 === zip.h1) return await writeList(store, path, { added: version });
  if (publishedH1) await assertCurrent?.();
  if (publishedH1 && retag === 'refuse') {
    throw new Refuse(
      `${path}@${version} was published with checksum ${publishedH1} and stays unchanged. The tag now points at ${commit}, which has checksum ${zip.h1}. ` +
        'Tag a new version instead: builds with the old checksum in go.sum would fail (RETAG=replace allows the replacement)',
    );
  }
  if (publishedH1) {
    for (const tag of [resolved.tag, `${path}@${version}`])
      if (tag !== undefined)
        await forgetOutcomes(store, { projectId: resolved.project.id, tag, commit, module: path, version });
    // Without `.info`, the version does not exist for readers while its files are replaced. A reader must not combine
    // an old zip with a new go.mod.
    await store.delete(key('info'));
  }
  await storeZip(store, key('zip'), zip);
  await store.put(key('mod'), gomod);
  await store.put(key('info'), Buffer.from(infoText(version, resolved.committedAt, resolved.origin)));
  await writeList(store, path, { added: version });
  // The version may have been withdrawn during the build. withdraw.ts explains why one check before the build and one
  // after it are enough.
  await assertInService(store, path, version);
}

/** Stores the zip. Closes its file in any case, because a store that fails may not have read the file. */
async function storeZip(store: Store, key: string, zip: BuiltZip): Promise<void> {
  // The store reports the errors of a stream that it reads. Without a listener, the error of a stream that it has not
  // read would end the process.
  const stream = createReadStream(zip.path).on('error', () => undefined);
  try {
    await store.put(key, { stream, size: zip.size });
  } finally {
    stream.destroy();
  }
}
