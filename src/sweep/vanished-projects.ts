import type { Logger } from 'pino';
import type { GitLabClient } from '../gitlab/client.ts';
import type { SweepState } from './sweep-state.ts';

/** If more projects than this vanish at once, it is the token that lost sight of them. */
const VANISHED_AT_ONCE = 100;

/** Says once of projects that were seen before and are no longer there; everything published from them stays. */
export async function noteVanished(
  { gitlab, log }: { readonly gitlab: GitLabClient; readonly log: Logger },
  { projects }: SweepState,
  present: ReadonlySet<number>,
): Promise<void> {
  const vanished = [...projects].filter(([id, seen]) => !present.has(id) && !seen.gone);
  if (vanished.length > VANISHED_AT_ONCE) {
    log.error(
      { projects: vanished.length },
      'many projects are not to be seen any more: was the membership of GITLAB_TOKEN, or GITLAB_SCOPE, changed? What was published from them stays',
    );
  }
  for (const [id, seen] of vanished) {
    projects.set(id, { ...seen, gone: true });
    if (vanished.length > VANISHED_AT_ONCE) continue;
    const found = await gitlab.project(id);
    const detail = { projectId: id, project: seen.path, ...(found && { now: found.path }) };
    log.warn(
      detail,
      found
        ? 'a project is out of scope now: what was published from it stays'
        : 'a project was deleted, or GITLAB_TOKEN may not see it any more: what was published from it stays',
    );
  }
}
