import type { Logger } from 'pino';
import type { GitLabClient } from '../gitlab/client.ts';
import type { SweepState } from './sweep-state.ts';

/**
 * If more projects than this vanish at once, the token or the scope has probably changed. A single log line then
 * reports all of them.
 */
const MAX_SINGLE_REPORTS = 100;

/**
 * Logs each project that an earlier sweep found and that is no longer in `present`. Logs it only once. Versions
 * published from the project stay in service. Rejects with Retry if GitLab cannot be read.
 */
export async function reportVanishedProjects(
  { gitlab, log }: { readonly gitlab: GitLabClient; readonly log: Logger },
  { projects }: SweepState,
  present: ReadonlySet<number | undefined>,
): Promise<void> {
  const vanished = [...projects].filter(([id, project]) => !present.has(id) && !project.gone);
  if (vanished.length > MAX_SINGLE_REPORTS) {
    log.error(
      { event: 'projects.vanished', projects: vanished.length },
      'many projects are no longer visible; check GITLAB_SCOPE and the memberships of GITLAB_TOKEN. Versions published from these projects stay in service',
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
        'a project is no longer in scope; versions published from it stay in service',
      );
    } else {
      log.warn(
        { event: 'project.vanished', ...fields },
        'a project was deleted, or GITLAB_TOKEN can no longer see it; versions published from it stay in service',
      );
    }
  }
}
