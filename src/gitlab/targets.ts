import type { GitLabClient } from './client.ts';
import type { Project } from './schema.ts';

/** A group with all groups below it, a single project, or all projects that the token's user is a member of. */
export type Target =
  | { readonly kind: 'group'; readonly path: string }
  | { readonly kind: 'project'; readonly path: string; readonly project: Project }
  | { readonly kind: 'membership' };

/** The targets that GITLAB_SCOPE or the arguments of a command name. */
export interface FoundTargets {
  readonly targets: readonly Target[];
  /** The paths that are neither a group nor a project, or that the token may not see. */
  readonly unknown: readonly string[];
}

/**
 * Called with a path that is neither a group nor a project, or that the token may not see; `newPath` is then undefined.
 * Also called when a project has left the path: `newPath` is its new path, which is outside GITLAB_SCOPE.
 */
type OnUnknown = (path: string, newPath: string | undefined) => void;

/** Looks up the group or project at each path. Without paths, the only target is the membership. Rejects with Retry if GitLab fails. */
export async function findTargets(gitlab: GitLabClient, paths: readonly string[]): Promise<FoundTargets> {
  if (paths.length === 0) return { targets: [{ kind: 'membership' }], unknown: [] };
  const targets: Target[] = [];
  const unknown: string[] = [];
  for (const path of paths) {
    if (await gitlab.hasGroup(path)) targets.push({ kind: 'group', path });
    else {
      const project = await gitlab.project(path);
      // The project's own path is compared with GITLAB_SCOPE. It may differ: GitLab also finds a project by its old paths.
      if (project) targets.push({ kind: 'project', path: project.path, project });
      else unknown.push(path);
    }
  }
  return { targets, unknown };
}

/** The projects of the targets, archived ones included. A project of several targets comes once. */
export async function* projectsOf(gitlab: GitLabClient, targets: readonly Target[]): AsyncGenerator<Project> {
  yield* distinctProjects(targets, async function* (target) {
    if (target.kind === 'membership') yield* gitlab.memberProjects();
    else if (target.kind === 'project') yield target.project;
    else yield* (await gitlab.groupProjects(target.path)) ?? [];
  });
}

/**
 * The projects in GITLAB_SCOPE, or all that the token's user is a member of, archived ones included, each once. Needs only
 * one call for each page of projects.
 */
export async function* projectsInScope(
  gitlab: GitLabClient,
  scope: readonly string[],
  onUnknown: OnUnknown,
): AsyncGenerator<Project> {
  if (scope.length === 0) yield* gitlab.memberProjects();
  yield* distinctProjects(scope, (path) => projectsAt(gitlab, path, onUnknown));
}

async function* distinctProjects<T>(
  sources: readonly T[],
  projectsIn: (source: T) => AsyncIterable<Project>,
): AsyncGenerator<Project> {
  const seen = new Set<number>();
  for (const source of sources) {
    for await (const project of projectsIn(source)) {
      if (seen.has(project.id)) continue;
      seen.add(project.id);
      yield project;
    }
  }
}

async function* projectsAt(gitlab: GitLabClient, path: string, onUnknown: OnUnknown): AsyncGenerator<Project> {
  const groupProjects = await gitlab.groupProjects(path);
  const project = groupProjects ? undefined : await gitlab.project(path);
  if (groupProjects) yield* groupProjects;
  else if (project?.path.toLowerCase() === path.toLowerCase()) yield project;
  else onUnknown(path, project?.path);
}

/**
 * Whether modpress publishes from a project: its repository is switched on, and the project does not wait for its
 * deletion. GitLab changes the path of a project that waits for its deletion, but the project has not moved.
 */
export function isOpen({ hasCode, isBeingDeleted }: Project): boolean {
  return hasCode && !isBeingDeleted;
}
