import { Skip } from '../errors.ts';
import type { Project } from '../gitlab/schema.ts';
import { below } from '../module/elements.ts';
import { splitPathVersion, type ModulePath } from '../module/path.ts';
import type { Ownership } from './ownership.ts';

/** Where a module lives, as its path alone says (newCodeRepo in cmd/go). */
export interface ModulePlace {
  readonly path: ModulePath;
  readonly project: Project;
  /** The module path of the repository's root, `.git` included where the path has it. */
  readonly root: string;
  /** The directory in the repository, without the `vN` that may be below; empty for the root. */
  readonly directory: string;
  /** The major version suffix of the path: empty, `/vN` or, for gopkg.in, `.vN`. */
  readonly major: string;
}

/**
 * Finds the project that a module path names. At most one of its prefixes can be a project, since GitLab has no project
 * within a project. `projectAt` looks up a project by its full path. Throws Skip if there is none for us.
 */
export async function findPlace(
  path: ModulePath,
  ownership: Ownership,
  projectAt: (projectPath: string) => Promise<Project | undefined>,
): Promise<ModulePlace> {
  for (const root of possibleRoots(path)) {
    const projectPath = ownership.projectPathOf(root.replace(/\.git$/, ''));
    // A project is always in a group or in somebody's own namespace.
    if (projectPath === undefined || !projectPath.includes('/')) continue;
    const project = await projectAt(projectPath);
    // GitLab finds projects in any case, and by paths that they had once; the go command by their own path only.
    if (project?.path !== projectPath) continue;
    if (!ownership.isInScope(projectPath)) throw new Skip(`project ${projectPath} is not in GITLAB_SCOPE`);
    const roots = ownership.rootsOf(projectPath);
    if (!roots.includes(root.replace(/\.git$/, '')))
      throw new Skip(`the modules of project ${projectPath} are at ${roots.join(' and ')}`);
    return placeIn(path, project, root);
  }
  throw new Skip(`there is no project for ${path}, or GITLAB_TOKEN may not see it`);
}

/** Where in a project a module path leads. Throws Skip where it leads nowhere. */
export function placeIn(path: ModulePath, project: Project, root: string): ModulePlace {
  const split = splitPathVersion(path);
  if (!split) throw new Skip(`${path} has no valid major version suffix`);
  if (root === path) return { path, project, root, directory: '', major: split.major };
  const directory = below(split.prefix, root);
  if (directory === undefined) throw new Skip(`the repository at ${root} cannot contain ${path}`);
  return { path, project, root, directory, major: split.major };
}

/** The path and what stands above it, longest first; with an element that ends in `.git`, that is the root. */
function possibleRoots(path: ModulePath): string[] {
  const elements = path.split('/');
  const marked = elements.findIndex((element, index) => index > 0 && /.\.git$/.test(element));
  if (marked >= 0) return [elements.slice(0, marked + 1).join('/')];
  return elements.map((_, index) => elements.slice(0, elements.length - index).join('/'));
}
