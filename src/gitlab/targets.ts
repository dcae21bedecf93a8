import type { Project } from './schema.ts';
import type { GitLabClient } from './client.ts';

/** A group with all groups below it, a single project, or all that the token is a member of. */
export type Target =
  | { readonly kind: 'group'; readonly path: string }
  | { readonly kind: 'project'; readonly path: string }
  | { readonly kind: 'membership' };

/** What GITLAB_SCOPE, or the arguments of a command, name. Empty is all that the token is a member of. */
export interface FoundTargets {
  readonly targets: readonly Target[];
  /** What is neither a group nor a project that the token may see. */
  readonly unknown: readonly string[];
}

type OnUnknown = (path: string, now: string | undefined) => void;

/** Finds out what paths name. Rejects with Retry when GitLab cannot be asked. */
export async function findTargets(gitlab: GitLabClient, paths: readonly string[]): Promise<FoundTargets> {
  if (paths.length === 0) return { targets: [{ kind: 'membership' }], unknown: [] };
  const targets: Target[] = [];
  const unknown: string[] = [];
  for (const path of paths) {
    if (await gitlab.hasGroup(path)) targets.push({ kind: 'group', path });
    else {
      // Its own path, which is what GITLAB_SCOPE is compared with: GitLab finds it by those that it had once, too.
      const project = await gitlab.project(path);
      if (project) targets.push({ kind: 'project', path: project.path });
      else unknown.push(path);
    }
  }
  return { targets, unknown };
}

/** The projects of the targets, each once, archived ones included. */
export async function* projectsOf(gitlab: GitLabClient, targets: readonly Target[]): AsyncGenerator<Project> {
  yield* eachOnce(targets, (target) => {
    if (target.kind === 'membership') return gitlab.memberProjects();
    return projectsAt(gitlab, target.path, target.kind === 'project');
  });
}

/**
 * The same of GITLAB_SCOPE, or of all that the token is a member of, in as few calls as can be: one for each page of projects.
 * `onUnknown` is told of a path that is neither a group nor a project that the token may see, and of one that a project has
 * left, with its path now: it is not in GITLAB_SCOPE any more.
 */
export async function* projectsInScope(
  gitlab: GitLabClient,
  scope: readonly string[],
  onUnknown: OnUnknown,
): AsyncGenerator<Project> {
  if (scope.length === 0) yield* gitlab.memberProjects();
  yield* eachOnce(scope, (path) => projectsAt(gitlab, path, false, onUnknown));
}

async function* eachOnce<T>(
  items: readonly T[],
  projectsIn: (item: T) => AsyncIterable<Project>,
): AsyncGenerator<Project> {
  const seen = new Set<number>();
  for (const item of items) {
    for await (const project of projectsIn(item)) {
      if (seen.has(project.id)) continue;
      seen.add(project.id);
      yield project;
    }
  }
}

async function* projectsAt(
  gitlab: GitLabClient,
  path: string,
  isProject: boolean,
  onUnknown?: OnUnknown,
): AsyncGenerator<Project> {
  const ofGroup = isProject ? undefined : await gitlab.groupProjects(path);
  const project = ofGroup ? undefined : await gitlab.project(path);
  if (ofGroup) yield* ofGroup;
  else if (project?.path.toLowerCase() === path.toLowerCase()) yield project;
  else onUnknown?.(path, project?.path);
}

/** Whether there is anything to be read. One that waits for its deletion has a path made for that, which is no move. */
export function isOpen({ hasCode, isBeingDeleted }: Project): boolean {
  return hasCode && !isBeingDeleted;
}
