import { Refuse, Retry } from '../errors.ts';
import type { BlobId, CommitId, TreeEntry } from '../gitlab/schema.ts';
import { checkFiles, TreeSieve, type TreeFile } from '../module/check-files.ts';
import { isGo124OrLater } from '../module/modfile.ts';
import { MAX_LICENSE } from '../module/zip/writer.ts';
import { joinPath } from '../module/path-elements.ts';
import type { CommitFiles } from './commit-files.ts';

/** The module whose zip is planned. */
interface PlannedModule {
  readonly commit: CommitId;
  /** The module's directory, which is empty for the root of the repository. */
  readonly directory: string;
  /** The bytes of the module's go.mod. Undefined for a repository without go.mod. */
  readonly gomod: Buffer | undefined;
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

/** The contents of a version's zip, decided before the archive is read. */
export interface ZipPlan {
  /** The files, in byte order of the paths. An archive of git has the same order. */
  readonly files: readonly PlannedFile[];
  /** The paths in the repository of the .gitattributes files among the module's files. */
  readonly attributes: readonly string[];
}

const SYMLINK_MODE = '120000';
/** The maximum number of invalid files that an error message names. */
const MAX_NAMED_FILES = 5;

/**
 * Reads the tree of a module and decides which files belong in its zip. Files of nested modules and vendored files take
 * no memory, regardless of their number. Throws Refuse for a module that the go command refuses.
 */
export async function planZip(commitFiles: CommitFiles, { commit, directory, gomod }: PlannedModule): Promise<ZipPlan> {
  const isGo124 = gomod !== undefined && (await isGo124OrLater(gomod));
  const sieve = new TreeSieve<PlannedFile>(isGo124);
  for await (const entry of commitFiles.tree(directory)) {
    if (entry.type === 'blob') sieve.add(plannedFile(entry, directory));
  }
  const files = sieve.files();
  // A .gitattributes file that the sieve dropped applies only to files that the sieve dropped as well.
  const attributes = files
    .filter(({ path }) => path === '.gitattributes' || path.endsWith('/.gitattributes'))
    .map(({ treePath }) => treePath);
  if (gomod && !files.some((file) => file.path === 'go.mod')) {
    throw new Retry(`GitLab's tree of ${commit} lacks ${joinPath(directory, 'go.mod')}, which its files API contains`);
  }
  if (directory !== '' && !files.some((file) => file.path === 'LICENSE')) {
    const license = await commitFiles.file('LICENSE', MAX_LICENSE);
    if (license) files.push({ path: 'LICENSE', treePath: `${directory}/LICENSE`, kind: 'file', content: license });
  }
  const checked = checkFiles(files, isGo124);
  if (checked.invalid.length > 0) {
    const named = checked.invalid.slice(0, MAX_NAMED_FILES).map((file) => `${file.path}: ${file.reason}`);
    const more = checked.invalid.length - named.length;
    throw new Refuse(
      `the go command accepts no module with these files: ${named.join('; ')}${more > 0 ? `; and ${more} more` : ''}`,
    );
  }
  return { files: checked.included, attributes };
}

function plannedFile(entry: TreeEntry, directory: string): PlannedFile {
  return {
    // This is a slice of `treePath`, so V8 keeps only one copy of the characters.
    path: directory === '' ? entry.path : entry.path.slice(directory.length + 1),
    treePath: entry.path,
    kind: entry.mode === SYMLINK_MODE ? 'symlink' : 'file',
    content: entry.blob,
  };
}
