import { Skip } from '../errors.ts';
import type { Project } from '../gitlab/schema.ts';
import { below } from '../module/path-elements.ts';
import { splitPathVersion, type ModulePath } from '../module/path.ts';
import type { Ownership } from './ownership.ts';

/** The maximum number of elements of a project's path: a group, 20 levels of subgroups (Namespace in GitLab), the project. */
const MAX_PROJECT_ELEMENTS = 22;
/** The maximum number of elements of the module path of a project: those of its path, and those of MODULE_PREFIX. */
const MAX_ROOT_ELEMENTS = 64;

/** The location of a module in its project, computed from the module path (newCodeRepo in cmd/go). */
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
 * Finds the project of a module path. At most one prefix of the path can be a project, because a GitLab project cannot
 * contain another project. `projectAt` reads a project by its full path. Throws Skip if no project in GITLAB_SCOPE has
 * the module.
 */
export async function findPlace(
  path: ModulePath,
  ownership: Ownership,
  projectAt: (projectPath: string) => Promise<Project | undefined>,
): Promise<ModulePlace> {
  for (const { root, projectPath } of possibleRoots(path, ownership)) {
    const project = await projectAt(projectPath);
    // GitLab ignores the case of a path and redirects former paths. The go command accepts only the current path.
    if (project?.path !== projectPath) continue;
    if (!ownership.isInScope(projectPath)) throw new Skip(`project ${projectPath} is not in GITLAB_SCOPE`);
    const roots = ownership.rootsOf(projectPath);
    if (!roots.includes(root.replace(/\.git$/, '')))
      throw new Skip(`the root of project ${projectPath} has the module path ${roots.join(' or ')}`);
    return placeIn(path, project, root);
  }
  throw new Skip(`there is no project for ${path}, or GITLAB_TOKEN has no access to it`);
}

/**
 * Returns the place of a module in a project whose root has the module path `root`. Throws Skip if the project cannot
 * contain the module.
 */
export function placeIn(path: ModulePath, project: Project, root: string): ModulePlace {
  const split = splitPathVersion(path);
  if (!split) throw new Skip(`${path} has no valid major version suffix`);
  if (root === path) return { path, project, root, directory: '', major: split.major };
  const directory = below(split.prefix, root);
  if (directory === undefined) throw new Skip(`the repository at ${root} cannot contain ${path}`);
  return { path, project, root, directory, major: split.major };
}

/** A module path that the root of a repository can have, and the path of the project that it belongs to. */
export interface PossibleRoot {
  readonly root: string;
  readonly projectPath: string;
}

/**
 * Returns the module paths that the root of the repository of a module can have: the path and its parents, longest
 * first. If an element ends in `.git`, the path up to this element is the only result. A long path has only a few
 * results, because GitLab limits the depth of a project.
 */
export function possibleRoots(path: ModulePath, ownership: Ownership): PossibleRoot[] {
  return pathAndParents(path).flatMap((root) => {
    const projectPath = ownership.projectPathOf(root.replace(/\.git$/, ''));
    const elements = projectPath?.split('/').length ?? 0;
    // A project is always in a group or in the namespace of a user, so its path has at least two elements. Each path
    // takes a call, and a client can request a module path with many elements.
    const isPossible = elements >= 2 && elements <= MAX_PROJECT_ELEMENTS;
    return projectPath !== undefined && isPossible ? [{ root, projectPath }] : [];
  });
}

function pathAndParents(path: ModulePath): string[] {
  const elements = path.split('/');
  const gitElement = elements.findIndex((element, index) => index > 0 && /.\.git$/.test(element));
  if (gitElement >= 0) return [elements.slice(0, gitElement + 1).join('/')];
  const longest = elements.slice(0, MAX_ROOT_ELEMENTS);
  return longest.map((_, index) => longest.slice(0, longest.length - index).join('/'));
}
