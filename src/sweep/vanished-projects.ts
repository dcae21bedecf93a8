import type { Logger } from 'pino';
import type { GitLabClient } from '../gitlab/client.ts';
import type { SweepState } from './sweep-state.ts';

/** If more projects than this vanish at once, the token or the scope has changed, and one line reports them all. */
const MAX_SINGLE_REPORTS = 100;

/**
 * Logs once that a project which an earlier sweep saw is not among the `present` ones any more. Everything published from
 * it stays. Rejects with Retry when GitLab cannot be read.
 */
export async function reportVanishedProjects(
  { gitlab, log }: { readonly gitlab: GitLabClient; readonly log: Logger },
  { projects }: SweepState,
  present: ReadonlySet<number>,
): Promise<void> {
  const vanished = [...projects].filter(([id, project]) => !present.has(id) && !project.gone);
  if (vanished.length > MAX_SINGLE_REPORTS) {
    log.error(
      { event: 'projects.vanished', projects: vanished.length },
      'many projects are no longer visible: check whether the memberships of GITLAB_TOKEN or GITLAB_SCOPE have changed; versions published from these projects stay',
    );
  }
  for (const [id, project] of vanished) {
    projects.set(id, { ...project, gone: true });
    if (vanished.length > MAX_SINGLE_REPORTS) continue;
    const current = await gitlab.project(id);
    const fields = { projectId: id, project: project.path };
    if (current) {
      log.warn(
        { event: 'project.out-of-scope', ...fields, now: current.path },
        'a project is no longer in scope: versions published from it stay',
      );
    } else {
      log.warn(
        { event: 'project.vanished', ...fields },
        'a project was deleted, or GITLAB_TOKEN may no longer see it: versions published from it stay',
      );
    }
  }
}
