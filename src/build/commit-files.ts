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

/** The maximum size of all .gitattributes files of a module, in bytes. Reading them takes about ten seconds at most. */
const MAX_ATTRIBUTES_BYTES = 4 * 2 ** 20;

/**
 * Reads the .gitattributes files that apply to a module. These are the files in the directories above the module's
 * directory, and the files in that directory, whose paths are `within`. If a file exceeds what is left of the limit, it
 * and all further files count as unread.
 */
export function readAttributes(files: CommitFiles, directory: string, within: readonly string[]): Promise<Attributes> {
  const elements = directory === '' ? [] : directory.split('/');
  const above = elements.map((_, depth) => joinPath(elements.slice(0, depth).join('/'), '.gitattributes'));
  // A file in a directory comes after the files in the directories above, whose paths are shorter.
  return Attributes.read(attributesFiles(files, [...above, ...within.toSorted((a, b) => a.length - b.length)]));
}

async function* attributesFiles(files: CommitFiles, paths: readonly string[]): AsyncGenerator<AttributesFile> {
  let remaining = MAX_ATTRIBUTES_BYTES;
  for (const path of paths) {
    const directory = path.slice(0, -'/.gitattributes'.length);
    if (remaining === 0) {
      yield { directory, bytes: undefined };
      continue;
    }
    try {
      const bytes = await files.file(path, remaining);
      remaining -= bytes?.length ?? 0;
      if (bytes) yield { directory, bytes };
    } catch (error) {
      if (!(error instanceof Refuse)) throw error;
      remaining = 0;
      yield { directory, bytes: undefined };
    }
  }
}
