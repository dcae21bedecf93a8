import { Refuse } from '../errors.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import type { CommitId, TreeEntry } from '../gitlab/schema.ts';
import { joinPath } from '../module/path-elements.ts';
import { Attributes, type AttributesFile } from './attributes.ts';

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
 * directory, and the files in that directory, whose paths are `within`. A file that is too large counts as unread.
 */
export function readAttributes(files: CommitFiles, directory: string, within: readonly string[]): Promise<Attributes> {
  const elements = directory === '' ? [] : directory.split('/');
  const above = elements.map((_, depth) => joinPath(elements.slice(0, depth).join('/'), '.gitattributes'));
  // A file in a directory comes after the files in the directories above, whose paths are shorter.
  return Attributes.read(attributesFiles(files, [...above, ...within.toSorted((a, b) => a.length - b.length)]));
}

async function* attributesFiles(files: CommitFiles, paths: readonly string[]): AsyncGenerator<AttributesFile> {
  for (const path of paths) {
    const directory = path.slice(0, -'/.gitattributes'.length);
    try {
      const bytes = await files.file(path, MAX_ATTRIBUTES_BYTES);
      if (bytes) yield { directory, bytes };
    } catch (error) {
      if (!(error instanceof Refuse)) throw error;
      yield { directory, bytes: undefined };
    }
  }
}
