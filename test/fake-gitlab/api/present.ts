import type { Group, Instance, ProjectRecord } from '../instance.ts';
import { lastPart, parentPath } from '../instance.ts';
import { apiTime, type Commit, type Tag } from '../objects.ts';
import type { Ref } from '../repository.ts';

/** Creates GitLab's JSON representation of its objects. */
export class Present {
  readonly #instance: Instance;
  readonly externalUrl: string;

  constructor(instance: Instance, externalUrl: string) {
    this.#instance = instance;
    this.externalUrl = externalUrl;
  }

  webUrl(project: ProjectRecord): string {
    return `${this.externalUrl}/${project.fullPath}`;
  }

  sshUrl(project: ProjectRecord): string {
    return `git@${new URL(this.externalUrl).hostname}:${project.fullPath}.git`;
  }

  async project(project: ProjectRecord): Promise<object> {
    const refs = await project.repository.refs();
    const group = this.#instance.group(parentPath(project.fullPath));
    return {
      id: project.id,
      description: null,
      name: lastPart(project.fullPath),
      name_with_namespace: project.fullPath.replaceAll('/', ' / '),
      path: lastPart(project.fullPath),
      path_with_namespace: project.fullPath,
      created_at: project.createdAt.toISOString(),
      default_branch: await project.repository.defaultBranch(),
      tag_list: [],
      topics: [],
      ssh_url_to_repo: this.sshUrl(project),
      http_url_to_repo: `${this.webUrl(project)}.git`,
      web_url: this.webUrl(project),
      readme_url: null,
      forks_count: 0,
      avatar_url: null,
      star_count: 0,
      last_activity_at: project.lastActivityAt.toISOString(),
      visibility: project.visibility,
      namespace: group === undefined ? null : this.#namespace(group),
      empty_repo: ![...refs.keys()].some((name) => name.startsWith('refs/heads/')),
      archived: project.archived,
      repository_access_level: project.codeDisabled ? 'disabled' : 'enabled',
      marked_for_deletion_at: project.markedForDeletionAt?.toISOString().slice(0, 10) ?? null,
    };
  }

  group(group: Group): object {
    return {
      id: group.id,
      web_url: `${this.externalUrl}/groups/${group.fullPath}`,
      name: group.path,
      path: group.path,
      description: '',
      visibility: 'private',
      full_name: group.fullPath.replaceAll('/', ' / '),
      full_path: group.fullPath,
      created_at: group.createdAt.toISOString(),
      parent_id: group.parentId,
      archived: false,
    };
  }

  commit(project: ProjectRecord, commit: Commit): object {
    return {
      id: commit.id,
      short_id: commit.id.slice(0, 8),
      created_at: apiTime(commit.committer),
      parent_ids: commit.parents,
      title: commit.message.split('\n', 1)[0] ?? '',
      message: commit.message,
      author_name: commit.author.name,
      author_email: commit.author.email,
      authored_date: apiTime(commit.author),
      committer_name: commit.committer.name,
      committer_email: commit.committer.email,
      committed_date: apiTime(commit.committer),
      trailers: {},
      extended_trailers: {},
      web_url: `${this.webUrl(project)}/-/commit/${commit.id}`,
    };
  }

  /**
   * Represents a tag. `commit` is null if the tag does not point at a commit. The time and the message are those of the
   * tag object.
   */
  async tag(project: ProjectRecord, ref: Ref): Promise<object> {
    const { repository } = project;
    const object = await repository.tagObject(ref);
    const commit = ref.commit === undefined ? undefined : await repository.commit(ref.commit);
    return {
      name: ref.name.replace('refs/tags/', ''),
      message: tagMessage(object),
      target: ref.id,
      commit: commit === undefined ? null : this.commit(project, commit),
      release: null,
      protected: false,
      created_at: object?.tagger === undefined ? null : apiTime(object.tagger),
    };
  }

  async branch(project: ProjectRecord, ref: Ref): Promise<object> {
    const { repository } = project;
    const name = ref.name.replace('refs/heads/', '');
    const commit = ref.commit === undefined ? undefined : await repository.commit(ref.commit);
    const isDefault = name === (await repository.defaultBranch());
    return {
      name,
      commit: commit === undefined ? null : this.commit(project, commit),
      merged: false,
      protected: isDefault,
      developers_can_push: false,
      developers_can_merge: false,
      can_push: true,
      default: isDefault,
      web_url: `${this.webUrl(project)}/-/tree/${name}`,
    };
  }

  #namespace(group: Group): object {
    return {
      id: group.id,
      name: group.path,
      path: group.path,
      kind: 'group',
      full_path: group.fullPath,
      parent_id: group.parentId,
      avatar_url: null,
      web_url: `${this.externalUrl}/groups/${group.fullPath}`,
    };
  }
}

/**
 * Returns the message of an annotated tag without the final line end that git adds. Returns an empty text for a
 * lightweight tag.
 */
export function tagMessage(tag: Tag | undefined): string {
  return tag?.message.replace(/\n$/, '') ?? '';
}
