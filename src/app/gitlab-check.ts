import type { Logger } from 'pino';
import { sleep } from '../async/sleep.ts';
import { messageOf } from '../errors.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import { checkGitLab, checkMembership, isSupported, WrongGitLabSettings } from '../gitlab/instance.ts';

/** The dependencies of a GitLabCheck. */
export interface GitLabCheckParts {
  readonly gitlab: GitLabClient;
  /** GITLAB_SCOPE. Without a scope, the token must see a project. */
  readonly scope: readonly string[];
  readonly log: Logger;
}

/** The wait between two checks, in milliseconds. */
const INTERVAL_MS = 15_000;

/**
 * Checks the settings for GitLab when a worker starts, and then repeatedly until they are right. An outage of GitLab is
 * not a wrong setting: the worker stays ready, because it can serve published versions.
 */
export class GitLabCheck {
  readonly #parts: GitLabCheckParts;
  readonly #stop = new AbortController();
  #problem: WrongGitLabSettings | undefined;
  #isDown = false;

  constructor(parts: GitLabCheckParts) {
    this.#parts = parts;
  }

  /** Starts the checks. */
  start(): void {
    void this.#run();
  }

  /** Ends the checks. A call to GitLab that is in progress is abandoned. */
  stop(): void {
    this.#stop.abort();
  }

  /** Rejects with WrongGitLabSettings if the last check found a wrong setting. */
  async assertRight(): Promise<void> {
    if (this.#problem) throw this.#problem;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!(await this.#isRight()) && !signal.aborted) await sleep(INTERVAL_MS, signal);
  }

  async #isRight(): Promise<boolean> {
    const { gitlab, scope, log } = this.#parts;
    try {
      const version = await checkGitLab(gitlab);
      if (scope.length === 0) await checkMembership(gitlab);
      this.#problem = undefined;
      log.info({ event: 'gitlab.connected', url: gitlab.url, version }, 'GitLab accepts the token');
      if (version !== undefined && !isSupported(version))
        log.warn({ event: 'gitlab.too-old', version }, 'modpress does not support this version of GitLab');
      return true;
    } catch (error) {
      if (this.#stop.signal.aborted) return false;
      if (!(error instanceof WrongGitLabSettings)) {
        if (!this.#isDown)
          log.warn(
            { event: 'gitlab.unavailable', reason: messageOf(error) },
            'GitLab is not available, so that its settings cannot be checked yet',
          );
        this.#isDown = true;
        return false;
      }
      if (this.#problem?.message !== error.message)
        log.error({ event: 'gitlab.misconfigured', reason: error.message }, 'a setting for GitLab is wrong');
      this.#problem = error;
      return false;
    }
  }
}
