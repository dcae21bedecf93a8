import type { GitLabClient } from '../gitlab/client.ts';
import type { CommitId, TreeEntry } from '../gitlab/schema.ts';
import { joinPath } from '../module/path-elements.ts';
import type { AttributesFile } from './attributes.ts';

/** The files of one commit, by their paths in the repository. */
export interface CommitFiles {
  /** Lists all entries below a directory, recursively. `directory` is empty for the root. */
  tree(directory: string): AsyncIterable<TreeEntry>;
  /**
   * Reads a file as git stores it. Resolves to undefined if the file does not exist. Rejects with Refuse if the file
   * has more than `limit` bytes.
   */
  file(path: string, limit: number): Promise<Buffer | undefined>;
}

/**
 * Returns the files of a commit, which are read from GitLab. A file takes one call, and a tree takes one call for each
 * hundred entries.
 */
export function filesInGitLab(gitlab: GitLabClient, projectId: number, commit: CommitId): CommitFiles {
  return {
    tree: (directory) => gitlab.tree(projectId, commit, directory),
    file: (path, limit) => gitlab.file(projectId, commit, path, limit),
  };
}

/** The maximum size of a .gitattributes file, in bytes. */
const MAX_ATTRIBUTES_BYTES = 2 ** 20;

/**
 * Reads the .gitattributes files that apply to a module. These are the files in the directories above the module's
 * directory, and the files in that directory, whose paths are `within`. Throws Refuse for a file that is too large.
 */
export async function readAttributes(
  files: CommitFiles,
  directory: string,
  within: readonly string[],
): Promise<AttributesFile[]> {
  const elements = directory === '' ? [] : directory.split('/');
  const above = elements.map((_, depth) => joinPath(elements.slice(0, depth).join('/'), '.gitattributes'));
  const attributes: AttributesFile[] = [];
  for (const path of [...above, ...within]) {
    const bytes = await files.file(path, MAX_ATTRIBUTES_BYTES);
    if (bytes) attributes.push({ directory: path.slice(0, -'/.gitattributes'.length), text: bytes.toString('utf8') });
  }
  return attributes;
}
