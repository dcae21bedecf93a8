import { Skip } from '../errors.ts';
import type { Project } from '../gitlab/schema.ts';
import { below } from '../module/path-elements.ts';
import { splitPathVersion, type ModulePath } from '../module/path.ts';
import type { Ownership } from './ownership.ts';

/** The location of a module, computed from its path alone (newCodeRepo in cmd/go). */
export interface ModulePlace {
  readonly path: ModulePath;
  readonly project: Project;
  /** The module path of the repository's root, including `.git` if the path contains it. */
  readonly root: string;
  /** The directory in the repository, without a `vN` below it; empty for the root. */
  readonly directory: string;
  /** The major version suffix of the path: empty, `/vN` or, for gopkg.in, `.vN`. */
  readonly major: string;
}

/**
 * Finds the project of a module path. At most one prefix of the path can be a project, since GitLab has no projects within
 * projects. `projectAt` reads a project by its full path. Throws Skip if no project in GITLAB_SCOPE has the module.
 */
export async function findPlace(
  path: ModulePath,
  ownership: Ownership,
  projectAt: (projectPath: string) => Promise<Project | undefined>,
): Promise<ModulePlace> {
  for (const root of possibleRoots(path)) {
    const projectPath = ownership.projectPathOf(root.replace(/\.git$/, ''));
    // A project is always in a group or in the namespace of a user.
    if (projectPath === undefined || !projectPath.includes('/')) continue;
    const project = await projectAt(projectPath);
    // GitLab ignores the case of a path and follows former paths; the go command accepts the current path alone.
    if (project?.path !== projectPath) continue;
    if (!ownership.isInScope(projectPath)) throw new Skip(`project ${projectPath} is not in GITLAB_SCOPE`);
    const roots = ownership.rootsOf(projectPath);
    if (!roots.includes(root.replace(/\.git$/, '')))
      throw new Skip(`the modules of project ${projectPath} are at ${roots.join(' and ')}`);
    return placeIn(path, project, root);
  }
  throw new Skip(`there is no project for ${path}, or GITLAB_TOKEN may not see it`);
}

/**
 * The place of a module path in a given project, whose root has the module path `root`. Throws Skip if the path does
 * not fit.
 */
export function placeIn(path: ModulePath, project: Project, root: string): ModulePlace {
  const split = splitPathVersion(path);
  if (!split) throw new Skip(`${path} has no valid major version suffix`);
  if (root === path) return { path, project, root, directory: '', major: split.major };
  const directory = below(split.prefix, root);
  if (directory === undefined) throw new Skip(`the repository at ${root} cannot contain ${path}`);
  return { path, project, root, directory, major: split.major };
}

/** The module paths that the repository's root can have: the path and its parents, longest first. An element that ends in `.git` is the root. */
function possibleRoots(path: ModulePath): string[] {
  const elements = path.split('/');
  const gitElement = elements.findIndex((element, index) => index > 0 && /.\.git$/.test(element));
  if (gitElement >= 0) return [elements.slice(0, gitElement + 1).join('/')];
  return elements.map((_, index) => elements.slice(0, elements.length - index).join('/'));
}
