import type { Logger } from 'pino';
import { Retry } from '../errors.ts';
import type { TagJob } from '../queue/tag-job.ts';
import { StoreUnavailable } from '../store/store.ts';
import { FailedAttempts } from './failed-attempts.ts';
import type { Publisher, PublishResult } from './publisher.ts';

/** The dependencies of the handler. */
export interface TagHandlerParts {
  readonly publisher: Publisher;
  readonly log: Logger;
  /**
   * Called after each tag with its result and the duration in seconds. The result is the status of a new outcome,
   * `known` or `dismissed`.
   */
  readonly onDone: (outcome: string, seconds: number) => void;
  /**
   * Called after each tag with the full path of its project, if the path is known: the project may have another version
   * now. If it rejects, the job runs again.
   */
  readonly onChanged: (projectPath: string) => Promise<void>;
}

/**
 * Creates the handler of tag jobs. The handler publishes the tag and logs the result in one line. It rejects as
 * Publisher.publish does, but with Retry if the store is not available. If a tag fails again and again although there is
 * no outage, the handler gives the tag up and records it as refused, so that a person looks at it.
 */
export function createTagHandler(parts: TagHandlerParts): (job: TagJob) => Promise<PublishResult> {
  const { publisher, log, onDone, onChanged } = parts;
  const attempts = new FailedAttempts();
  const publish = async (job: TagJob): Promise<PublishResult> => {
    try {
      const result = await publisher.publish(job);
      attempts.succeeded(job);
      return result;
    } catch (thrown) {
      const error = asOutage(thrown);
      if (!attempts.isLast(job, error)) throw error;
      log.error({ event: 'tag.given-up', projectId: job.projectId, tag: job.tag, err: error }, 'tag given up');
      return (await publisher.giveUp(job, error)) ?? Promise.reject(error);
    }
  };
  return async (job) => {
    const started = performance.now();
    const result = await publish(job);
    const seconds = (performance.now() - started) / 1000;
    const fields = { projectId: job.projectId, tag: job.tag, seconds: Number(seconds.toFixed(3)) };
    const path = ('outcome' in result ? result.outcome.project : undefined) ?? job.listedPath ?? job.announcedPath;
    if (path !== undefined) await onChanged(path);
    if ('dismissed' in result) {
      onDone('dismissed', seconds);
      log.info(
        { event: 'tag.dismissed', ...fields, reason: result.dismissed },
        'tag dismissed: no outcome is recorded',
      );
      return result;
    }
    const { status, project, module, version, reason, note, h1, commit } = result.outcome;
    onDone(result.known ? 'known' : status, seconds);
    const detail = { ...fields, project, commit, module, version, h1, reason, note };
    if (result.known) log.debug({ event: 'tag.known', ...detail }, 'the tag already has an outcome');
    else if (status === 'refused') log.error({ event: 'tag.refused', ...detail }, 'tag refused: a person has to act');
    else if (status === 'skipped')
      log.info({ event: 'tag.skipped', ...detail }, 'tag skipped: it is not a module version');
    else log.info({ event: 'tag.published', ...detail }, 'version published');
    return result;
  };
}

/** Returns a Retry if the store is not available, as after an outage of GitLab. Returns any other error unchanged. */
function asOutage(error: unknown): unknown {
  return error instanceof StoreUnavailable ? new Retry('the store is not available', { cause: error }) : error;
}
