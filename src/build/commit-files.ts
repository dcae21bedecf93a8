import type { GitLabClient } from '../gitlab/client.ts';
import type { CommitId, TreeEntry } from '../gitlab/schema.ts';
import { joinPath } from '../module/path-elements.ts';
import type { AttributesFile } from './attributes.ts';

/** The files of one commit, by their paths in the repository. */
export interface CommitFiles {
  /** All entries below a directory, recursively; `directory` is empty for the root. */
  tree(directory: string): AsyncIterable<TreeEntry>;
  /** A file's bytes as git stores them; undefined if it does not exist. Throws Refuse beyond `limit` bytes. */
  file(path: string, limit: number): Promise<Buffer | undefined>;
}

/** Reads the files from GitLab: one call for each file, and one for a hundred entries of a tree. */
export function filesInGitLab(gitlab: GitLabClient, projectId: number, commit: CommitId): CommitFiles {
  return {
    tree: (directory) => gitlab.tree(projectId, commit, directory),
    file: (path, limit) => gitlab.file(projectId, commit, path, limit),
  };
}

/** A larger .gitattributes file is refused. */
const MAX_ATTRIBUTES_BYTES = 2 ** 20;

/**
 * Reads the .gitattributes files that apply to a module: those in the directories above its directory, and those `within`
 * its directory, which are given by their paths. Throws Refuse for a file that is too large.
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
