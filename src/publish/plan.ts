import { Refuse, Retry } from '../errors.ts';
import type { BlobId, CommitId, GitLabClient, TreeEntry } from '../gitlab/client.ts';
import { checkFiles, type TreeFile } from '../module/check.ts';
import { usesVendorRule124 } from '../module/modfile.ts';
import { MAX_LICENSE } from '../module/zip.ts';
import { joinPath } from '../resolve/place.ts';

/** Which module to plan for. */
interface PlannedModule {
  readonly projectId: number;
  readonly commit: CommitId;
  /** Empty for the root of the repository. */
  readonly directory: string;
  /** Undefined for a repository without one. */
  readonly gomod: Buffer | undefined;
}

/** A file that belongs in the zip. */
export interface PlannedFile extends TreeFile {
  /** Path in the repository, or for an inherited LICENSE where it would stand; `path` is the one in the module. */
  readonly treePath: string;
  /** What the file is in git: its bytes, or the blob that has them. */
  readonly content: { readonly blob: BlobId } | { readonly bytes: Buffer };
}

/** Everything that a version's zip is made of, known before the archive is read. */
export interface ZipPlan {
  /** In byte order of the paths, which is also git's order within an archive. */
  readonly files: readonly PlannedFile[];
  /** The paths in the repository of the .gitattributes files in the module's directory and below. */
  readonly attributes: readonly string[];
}

const SYMLINK_MODE = '120000';
/** So many faults are told; more help nobody. */
const TOLD_FAULTS = 5;

/** Reads the tree of a module and decides what belongs in its zip. Throws Refuse for one that the go command refuses. */
export async function planZip(gitlab: GitLabClient, { projectId, commit, directory, gomod }: PlannedModule): Promise<ZipPlan> {
  const files: PlannedFile[] = [];
  const attributes: string[] = [];
  for await (const entry of gitlab.tree(projectId, commit, directory)) {
    if (entry.type !== 'blob') continue;
    const file = plannedFile(entry, directory);
    files.push(file);
    if (file.path === '.gitattributes' || file.path.endsWith('/.gitattributes')) attributes.push(entry.path);
  }
  if (gomod && !files.some((file) => file.path === 'go.mod')) {
    throw new Retry(`GitLab's tree of ${commit} lacks ${joinPath(directory, 'go.mod')}, which its files API has`);
  }
  if (directory !== '' && !files.some((file) => file.path === 'LICENSE')) {
    const license = await gitlab.file(projectId, commit, 'LICENSE', MAX_LICENSE);
    if (license) files.push({ path: 'LICENSE', treePath: `${directory}/LICENSE`, kind: 'file', content: { bytes: license } });
  }
  const checked = checkFiles(files, gomod !== undefined && usesVendorRule124(gomod));
  if (checked.invalid.length > 0) {
    const told = checked.invalid.slice(0, TOLD_FAULTS).map((file) => `${file.path}: ${file.reason}`);
    const more = checked.invalid.length - told.length;
    throw new Refuse(`the go command accepts no module with these files: ${told.join('; ')}${more > 0 ? `; and ${more} more` : ''}`);
  }
  return { files: checked.included, attributes };
}

function plannedFile(entry: TreeEntry, directory: string): PlannedFile {
  return {
    path: directory === '' ? entry.path : entry.path.slice(directory.length + 1),
    treePath: entry.path,
    kind: entry.mode === SYMLINK_MODE ? 'symlink' : 'file',
    content: { blob: entry.blob },
  };
}
