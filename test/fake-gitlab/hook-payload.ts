import type { Present } from './api/present.ts';
import { tagMessage } from './api/present.ts';
import type { Git } from './git.ts';
import { lastPart, parentPath, type ProjectRecord } from './instance.ts';
import { apiTime, type Commit } from './objects.ts';
import { zeroId, type RefChange } from './repository.ts';
import type { Token } from './tokens.ts';

const visibilityLevel = { private: 0, internal: 10, public: 20 } as const;

/** The maximum number of commits in the payload of a push. */
const MAX_LISTED_COMMITS = 20;

/** Creates the payloads of webhooks (lib/gitlab/data_builder/push.rb and repository.rb). */
export class HookPayload {
  readonly #present: Present;
  readonly #git: Git;

  constructor(present: Present, git: Git) {
    this.#present = present;
    this.#git = git;
  }

  /**
   * Creates `tag_push`, or `push` for a branch. `checkout_sha` of a tag is read at this time, so it is the current
   * target and not the pushed target.
   */
  async push(project: ProjectRecord, change: RefChange, user: Token): Promise<object> {
    const { repository } = project;
    const isTag = change.ref.startsWith('refs/tags/');
    const ref = (await repository.refs()).get(change.ref);
    const removed = change.after === zeroId;
    const kind = isTag ? 'tag_push' : 'push';
    const tag = isTag && ref !== undefined && ref.id === change.after ? ref : undefined;
    const message = tag === undefined ? null : tagMessage(await repository.tagObject(tag)) || null;
    const tagged = tag?.commit === undefined ? undefined : await repository.commit(tag.commit);
    const pushed = isTag
      ? { commits: tagged === undefined ? [] : [tagged], total: tagged === undefined ? 0 : 1 }
      : await this.#pushed(project, change);
    return {
      object_kind: kind,
      event_name: kind,
      before: change.before,
      after: change.after,
      ref: change.ref,
      ref_protected: false,
      checkout_sha: removed ? null : isTag ? (ref?.commit ?? null) : change.after,
      message,
      ...person(user),
      project_id: project.id,
      project: await this.project(project),
      commits: pushed.commits.map((commit) => this.#commit(project, commit)),
      total_commits_count: pushed.total,
      push_options: {},
      repository: {
        name: lastPart(project.fullPath),
        url: this.#present.sshUrl(project),
        description: '',
        homepage: this.#present.webUrl(project),
        git_http_url: `${this.#present.webUrl(project)}.git`,
        git_ssh_url: this.#present.sshUrl(project),
        visibility_level: visibilityLevel[project.visibility],
      },
    };
  }

  /**
   * Creates the payload of a test. It names the tag v1.0.0, but its ids are those of the newest commits of the default
   * branch.
   */
  async sample(project: ProjectRecord, tag: boolean, user: Token): Promise<object> {
    const branch = await project.repository.defaultBranch();
    const tip = await project.repository.commit(branch);
    const oldest = tip?.parents[0] ?? tip?.id ?? zeroId;
    const ref = tag ? 'refs/tags/v1.0.0' : `refs/heads/${branch}`;
    return this.push(project, { ref, before: oldest, after: tip?.id ?? zeroId }, user);
  }

  /**
   * Creates `repository_update`, which only system hooks receive. There is one for each push, with all of its changes.
   */
  async repositoryUpdate(project: ProjectRecord, changes: readonly RefChange[], user: Token): Promise<object> {
    return {
      event_name: 'repository_update',
      ...person(user),
      project_id: project.id,
      project: await this.project(project),
      changes: changes.map(({ before, after, ref }) => ({ before, after, ref })),
      refs: changes.map(({ ref }) => ref),
    };
  }

  async project(project: ProjectRecord): Promise<object> {
    const [web, ssh] = [this.#present.webUrl(project), this.#present.sshUrl(project)];
    return {
      id: project.id,
      name: lastPart(project.fullPath),
      description: '',
      web_url: web,
      avatar_url: null,
      git_ssh_url: ssh,
      git_http_url: `${web}.git`,
      namespace: lastPart(parentPath(project.fullPath)),
      visibility_level: visibilityLevel[project.visibility],
      path_with_namespace: project.fullPath,
      default_branch: await project.repository.defaultBranch(),
      ci_config_path: null,
      homepage: web,
      url: ssh,
      ssh_url: ssh,
      http_url: `${web}.git`,
    };
  }

  async #pushed(
    { repository }: ProjectRecord,
    { before, after }: RefChange,
  ): Promise<{ commits: Commit[]; total: number }> {
    if (after === zeroId) return { commits: [], total: 0 };
    const range = before === zeroId ? [after] : [after, `^${before}`];
    const output = await this.#git.run(['rev-list', '--reverse', ...range], { cwd: repository.directory });
    const ids = output.toString().split('\n').slice(0, -1);
    const commits = await Promise.all(ids.slice(-MAX_LISTED_COMMITS).map((id) => repository.commit(id)));
    return { commits: commits.filter((commit) => commit !== undefined), total: ids.length };
  }

  #commit(project: ProjectRecord, commit: Commit): object {
    return {
      id: commit.id,
      message: commit.message,
      title: commit.message.split('\n', 1)[0] ?? '',
      timestamp: apiTime(commit.author).replace('.000', ''),
      url: `${this.#present.webUrl(project)}/-/commit/${commit.id}`,
      author: { name: commit.author.name, email: '[REDACTED]' },
      added: [],
      modified: [],
      removed: [],
    };
  }
}

function person(user: Token): object {
  const root = user.role === 'admin';
  return {
    user_id: user.id,
    user_name: root ? 'Administrator' : `Bot ${user.id}`,
    user_username: root ? 'root' : `project_bot_${user.id}`,
    user_email: null,
    user_avatar: null,
  };
}
