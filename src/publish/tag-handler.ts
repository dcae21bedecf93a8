import type { Logger } from 'pino';
import { Retry } from '../errors.ts';
import { StoreUnavailable } from '../store/store.ts';
import type { TagJob } from '../queue/tag-job.ts';
import type { Published, Publisher } from './publisher.ts';

/** What the handler needs. */
export interface WorkerParts {
  readonly publisher: Publisher;
  readonly log: Logger;
  /** Told of every tag that is done, with its outcome and the seconds it took. */
  readonly onDone: (outcome: string, seconds: number) => void;
}

/** What is done with each tag: it is published, and one line says what became of it. Rejects as Publisher.publish does. */
export function createTagHandler({ publisher, log, onDone }: WorkerParts): (job: TagJob) => Promise<Published> {
  return async (job) => {
    const started = performance.now();
    const result = await publisher.publish(job).catch(retryOutages);
    const seconds = (performance.now() - started) / 1000;
    const line = { projectId: job.projectId, tag: job.tag, seconds: Number(seconds.toFixed(3)) };
    if ('dismissed' in result) {
      onDone('dismissed', seconds);
      log.info({ event: 'tag.dismissed', ...line, reason: result.dismissed }, 'tag dismissed');
      return result;
    }
    const { status, project, module, version, reason, note, h1, commit } = result.outcome;
    onDone(result.known ? 'known' : status, seconds);
    const detail = { ...line, project, commit, module, version, h1, reason, note };
    if (result.known) log.debug({ event: 'tag.known', ...detail }, 'the tag has an outcome already');
    else if (status === 'refused')
      log.error({ event: 'tag.refused', ...detail }, 'version refused: a person has to act');
    else if (status === 'skipped') log.info({ event: 'tag.skipped', ...detail }, 'tag skipped');
    else log.info({ event: 'tag.published', ...detail }, 'version published');
    return result;
  };
}

/** An outage of the store is nothing unexpected: the queue is told to try again, not that there is a bug. */
function retryOutages(error: unknown): never {
  throw error instanceof StoreUnavailable ? new Retry('the store is not available', { cause: error }) : error;
}
