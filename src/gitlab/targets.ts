import type { GitLabClient } from './client.ts';
import type { OnUnreadableProject } from './lists.ts';
import type { Project } from './schema.ts';

/** A group with its subgroups, a single project, or all projects that the token's user is a member of. */
export type Target =
  | { readonly kind: 'group'; readonly path: string }
  | { readonly kind: 'project'; readonly path: string; readonly project: Project }
  | { readonly kind: 'membership' };

/** The targets in GITLAB_SCOPE or in the arguments of a command. */
export interface FoundTargets {
  readonly targets: readonly Target[];
  /** The paths at which the token can see neither a group nor a project. */
  readonly unknown: readonly string[];
}

/**
 * Called with a path at which the token can see neither a group nor a project; `newPath` is then undefined. Also called
 * if the project at the path has moved. `newPath` is then its new path, which is outside GITLAB_SCOPE.
 */
type OnUnknown = (path: string, newPath: string | undefined) => void;

/**
 * Finds the group or project at each path. Without paths, the only target is the membership. Rejects with Retry if
 * GitLab fails.
 */
export async function findTargets(gitlab: GitLabClient, paths: readonly string[]): Promise<FoundTargets> {
  if (paths.length === 0) return { targets: [{ kind: 'membership' }], unknown: [] };
  const targets: Target[] = [];
  const unknown: string[] = [];
  for (const path of paths) {
    if (await gitlab.hasGroup(path)) targets.push({ kind: 'group', path });
    else {
      const project = await gitlab.project(path);
      // The current path of the project is used, because callers compare it with GITLAB_SCOPE. It may differ from
      // `path`, because GitLab also finds a project by its old paths.
      if (project) targets.push({ kind: 'project', path: project.path, project });
      else unknown.push(path);
    }
  }
  return { targets, unknown };
}

/** Yields each project of the targets once, including archived projects. */
export async function* projectsOf(
  gitlab: GitLabClient,
  targets: readonly Target[],
  onUnreadable: OnUnreadableProject,
): AsyncGenerator<Project> {
  yield* distinctProjects(targets, async function* (target) {
    if (target.kind === 'membership') yield* gitlab.memberProjects(onUnreadable);
    else if (target.kind === 'project') yield target.project;
    else yield* (await gitlab.groupProjects(target.path, onUnreadable)) ?? [];
  });
}

/**
 * Yields each project in GITLAB_SCOPE once, including archived projects. Without a scope, yields all projects that the
 * token's user is a member of. Needs only one call for each page of projects.
 */
export async function* projectsInScope(
  gitlab: GitLabClient,
  scope: readonly string[],
  onUnknown: OnUnknown,
  onUnreadable: OnUnreadableProject,
): AsyncGenerator<Project> {
  if (scope.length === 0) yield* gitlab.memberProjects(onUnreadable);
  yield* distinctProjects(scope, (path) => projectsAt(gitlab, path, onUnknown, onUnreadable));
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

async function* projectsAt(
  gitlab: GitLabClient,
  path: string,
  onUnknown: OnUnknown,
  onUnreadable: OnUnreadableProject,
): AsyncGenerator<Project> {
  const groupProjects = await gitlab.groupProjects(path, onUnreadable);
  const project = groupProjects ? undefined : await gitlab.project(path);
  if (groupProjects) yield* groupProjects;
  else if (project?.path.toLowerCase() === path.toLowerCase()) yield project;
  else onUnknown(path, project?.path);
}

/**
 * Returns whether modpress publishes from a project: its repository is enabled, and the project is not scheduled for
 * deletion. GitLab renames a project that is scheduled for deletion, but that does not count as a move.
 */
export function isOpen({ hasCode, isBeingDeleted }: Project): boolean {
  return hasCode && !isBeingDeleted;
}
