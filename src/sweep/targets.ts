import type { GitLabClient, Project } from '../gitlab/client.ts';

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

/** Finds out what paths name. Rejects with Retry when GitLab cannot be asked. */
export async function findTargets(gitlab: GitLabClient, paths: readonly string[]): Promise<FoundTargets> {
  if (paths.length === 0) return { targets: [{ kind: 'membership' }], unknown: [] };
  const targets: Target[] = [];
  const unknown: string[] = [];
  for (const path of paths) {
    if (await gitlab.hasGroup(path)) targets.push({ kind: 'group', path });
    else if (await gitlab.project(path)) targets.push({ kind: 'project', path });
    else unknown.push(path);
  }
  return { targets, unknown };
}

/** The projects of the targets, each once, archived ones included. */
export async function* projectsOf(gitlab: GitLabClient, targets: readonly Target[]): AsyncGenerator<Project> {
  const seen = new Set<number>();
  for (const target of targets) {
    for await (const project of projectsIn(gitlab, target)) {
      if (seen.has(project.id)) continue;
      seen.add(project.id);
      yield project;
    }
  }
}

async function* projectsIn(gitlab: GitLabClient, target: Target): AsyncGenerator<Project> {
  if (target.kind === 'membership') yield* gitlab.memberProjects();
  else if (target.kind === 'group') yield* gitlab.groupProjects(target.path);
  else {
    const project = await gitlab.project(target.path);
    if (project) yield project;
  }
}
