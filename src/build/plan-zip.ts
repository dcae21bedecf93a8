import { inSlices, isSliceOver, nextSlice } from '../async/in-slices.ts';
import { Refuse } from '../errors.ts';
import { InvalidResponse } from '../gitlab/invalid-response.ts';
import type { BlobId, TreeEntry } from '../gitlab/schema.ts';
import { FileChecker, type TreeFile } from '../module/check-files.ts';
import { isGo124OrLater } from '../module/modfile.ts';
import { LongList } from '../module/long-list.ts';
import { NameLimits } from '../module/name-limits.ts';
import { joinPath } from '../module/path-elements.ts';
import { TreeSieve } from '../module/tree-sieve.ts';
import { MAX_LICENSE } from '../module/zip/writer.ts';
import type { ResolvedVersion } from '../resolve/resolver.ts';
import type { CommitFiles } from './commit-files.ts';

/** The module whose zip is planned. */
type PlannedModule = Pick<ResolvedVersion, 'path' | 'version' | 'commit' | 'directory' | 'gomod'>;

/** The limits of planning. */
export interface PlanOptions {
  /** Planning rejects with the reason of this signal once it is aborted. */
  readonly signal?: AbortSignal | undefined;
  /** Called once if the module has very many files. May throw. */
  readonly onLarge?: (() => void) | undefined;
}

/** A file that belongs in the zip. */
export interface PlannedFile extends TreeFile {
  /**
   * The path in the repository. For an inherited LICENSE, it is the path in the module's directory. `path` is relative
   * to the module.
   */
  readonly treePath: string;
  /** The id of the file's blob, or the bytes of an inherited LICENSE. */
  readonly content: BlobId | Buffer;
}

/** The files of a zip, in byte order of the paths. An archive of git has the same order. */
export type PlannedFiles = Pick<LongList<PlannedFile>, 'at' | 'length' | typeof Symbol.iterator>;

/** The contents of a version's zip, decided before the archive is read. */
export interface ZipPlan {
  readonly files: PlannedFiles;
  /** The paths in the repository of the .gitattributes files among the module's files. */
  readonly attributes: readonly string[];
}

const SYMLINK_MODE = '120000';
/** A module with more files, or with longer names in total, is large. Its list of files takes 16 MB of memory or more. */
const LARGE_FILES = 100_000;
const LARGE_NAME_CHARACTERS = 16 * 2 ** 20;
/** The number of files after which the work may be interrupted. */
const STEP_FILES = 20;
/** The maximum number of invalid files that an error message names. */
const MAX_NAMED_FILES = 5;

/**
 * Reads the tree of a module and decides which files belong in its zip. Files of nested modules and vendored files take
 * no memory, regardless of their number. Throws Refuse for a module that the go command refuses.
 */
export async function planZip(
  commitFiles: CommitFiles,
  module: PlannedModule,
  options: PlanOptions = {},
): Promise<ZipPlan> {
  const { directory, gomod } = module;
  const isGo124 = gomod !== undefined && (await isGo124OrLater(gomod));
  const listed = await listFiles(commitFiles, directory, isGo124, options);
  return await inSlices(checkFiles(module, await withLicense(listed, commitFiles, directory)));
}

/** Checks the files of a module, which are in byte order of their paths. Interruptible work, see `inSlices`. */
function* checkFiles(module: PlannedModule, listed: Iterable<PlannedFile>): Generator<undefined, ZipPlan> {
  const limits = new NameLimits({ kind: 'module', prefix: `${module.path}@${module.version}/` });
  const checker = new FileChecker();
  const files = new LongList<PlannedFile>();
  const attributes: string[] = [];
  const invalid: string[] = [];
  let invalidCount = 0;
  let hasGoMod = false;
  let count = 0;
  for (const file of listed) {
    if (count++ % STEP_FILES === 0) yield;
    hasGoMod ||= file.path === 'go.mod';
    // A .gitattributes file that the sieve dropped applies only to files that the sieve dropped as well.
    if (file.path === '.gitattributes' || file.path.endsWith('/.gitattributes')) attributes.push(file.treePath);
    const verdict = yield* checker.add(file);
    if (verdict === 'included') {
      limits.add(file.path);
      files.push(file);
    } else if (verdict !== 'omitted') {
      if (invalid.length < MAX_NAMED_FILES) invalid.push(`${file.path}: ${verdict.invalid}`);
      invalidCount++;
    }
  }
  if (module.gomod && !hasGoMod) {
    throw new InvalidResponse(
      `GitLab's tree of ${module.commit} lacks ${joinPath(module.directory, 'go.mod')}, which its files API contains`,
    );
  }
  if (invalidCount > 0) {
    const more = invalidCount - invalid.length;
    throw new Refuse(
      `the go command accepts no module with these files: ${invalid.join('; ')}${more > 0 ? `; and ${more} more` : ''}`,
    );
  }
  return { files, attributes };
}

/** Reads the files of a module in byte order of their paths, without vendored files and files of nested modules. */
async function listFiles(
  commitFiles: CommitFiles,
  directory: string,
  isGo124: boolean,
  { signal, onLarge }: PlanOptions,
): Promise<Iterable<PlannedFile>> {
  const limits = new NameLimits({ kind: 'tree' });
  const sieve = new TreeSieve<PlannedFile>(isGo124);
  let isLarge = false;
  let nameCharacters = 0;
  let blob = '' as BlobId;
  for await (const entry of commitFiles.tree(directory)) {
    signal?.throwIfAborted();
    if (isSliceOver()) await nextSlice();
    limits.add(entry.type === 'blob' ? entry.path : `${entry.path}/`);
    if (entry.type !== 'blob') continue;
    // Equal files in a row share one string for their id. A tree without an end consists of equal files.
    if (entry.blob !== blob) ({ blob } = entry);
    if (!sieve.add(plannedFile(entry, directory, blob))) continue;
    nameCharacters += entry.path.length;
    if (!isLarge && (sieve.size > LARGE_FILES || nameCharacters > LARGE_NAME_CHARACTERS)) {
      isLarge = true;
      onLarge?.();
    }
  }
  return await inSlices(sieve.files());
}

/** Adds the LICENSE of the repository to the files of a module in a directory that has none, at its place in the order. */
async function withLicense(
  files: Iterable<PlannedFile>,
  commitFiles: CommitFiles,
  directory: string,
): Promise<Iterable<PlannedFile>> {
  if (directory === '') return files;
  for (const { path } of files) {
    if (path === 'LICENSE') return files;
    if (path > 'LICENSE') break;
  }
  const content = await commitFiles.file('LICENSE', MAX_LICENSE);
  if (!content) return files;
  return insertInOrder(files, { path: 'LICENSE', treePath: `${directory}/LICENSE`, kind: 'file', content });
}

function* insertInOrder(files: Iterable<PlannedFile>, inserted: PlannedFile): Generator<PlannedFile> {
  let isInserted = false;
  for (const file of files) {
    if (!isInserted && file.path > inserted.path) {
      isInserted = true;
      yield inserted;
    }
    yield file;
  }
  if (!isInserted) yield inserted;
}

function plannedFile({ path, mode }: TreeEntry, directory: string, blob: BlobId): PlannedFile {
  return {
    // This is a slice of `treePath`, so V8 keeps only one copy of the characters.
    path: directory === '' ? path : path.slice(directory.length + 1),
    treePath: path,
    kind: mode === SYMLINK_MODE ? 'symlink' : 'file',
    content: blob,
  };
}
