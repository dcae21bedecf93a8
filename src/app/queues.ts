import type { Logger } from 'pino';
import { MemoryRuns } from '../backfill/memory-runs.ts';
import { RedisRuns } from '../backfill/redis-runs.ts';
import type { BackfillRuns } from '../backfill/runs.ts';
import type { Config, Role } from '../config/service-config.ts';
import { BullQueue } from '../queue/bull-queue.ts';
import { MemoryQueue } from '../queue/memory-queue.ts';
import type { Queue } from '../queue/queue.ts';
import { BullRequests } from '../requests/bull-requests.ts';
import { MemoryRequests } from '../requests/memory-requests.ts';
import {
  groupOf,
  keepMs,
  onDemandAnswerSchema,
  onDemandRequestSchema,
  projectSubject,
  type OnDemandAnswer,
  type OnDemandRequest,
} from '../requests/on-demand-request.ts';
import type { Requests } from '../requests/requests.ts';
import type { Ownership } from '../resolve/ownership.ts';
import { possibleRoots } from '../resolve/place.ts';
import type { Core } from './core.ts';
import type { Metrics } from './metrics.ts';

/**
 * The queues through which the roles exchange work. They are in Redis if REDIS_URL is set, and otherwise in the memory
 * of the process.
 */
export interface Queues {
  /** Tags to publish. Undefined in a process that has only the proxy role. */
  readonly tags: Queue | undefined;
  /**
   * On-demand requests, from the proxy to a worker. Undefined with ON_DEMAND=off. A process without the worker and the
   * proxy role only invalidates their results, through Redis.
   */
  readonly requests: Requests<OnDemandRequest, OnDemandAnswer> | undefined;
  /**
   * Backfills. Undefined if `tags` is undefined. Without REDIS_URL, also undefined in a process without the worker
   * role.
   */
  readonly backfills: BackfillRuns | undefined;
}

/** The dependencies of `createQueues`. */
export interface QueuesParts {
  readonly config: Config;
  readonly roles: readonly Role[];
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly core: Core<Config>;
}

/** Creates the queues that these roles need. `core.close` closes them and waits for jobs in progress. */
export function createQueues({ config, roles, log, metrics, core }: QueuesParts): Queues {
  const tags =
    roles.includes('webhook') || roles.includes('worker')
      ? createTagQueue(config, log.child({ component: 'queue' }), metrics)
      : undefined;
  if (tags) {
    core.onClose(() => tags.close());
    metrics.watchQueue(() => tags.counts());
  }
  const requests = config.onDemand
    ? createRequests(config, core.ownership(), log.child({ component: 'requests' }))
    : undefined;
  if (requests) core.onClose(() => requests.close());
  const backfills = tags && createBackfills(config, log.child({ component: 'backfill' }), roles);
  if (backfills) core.onClose(() => backfills.close());
  return { tags, requests, backfills };
}

function createTagQueue({ redisLocation }: Config, log: Logger, metrics: Metrics): Queue {
  const options = { log, onFailure: metrics.jobRetried };
  return redisLocation === undefined ? new MemoryQueue(options) : new BullQueue({ ...options, redisLocation });
}

function createRequests(
  { redisLocation }: Config,
  ownership: Ownership,
  log: Logger,
): Requests<OnDemandRequest, OnDemandAnswer> {
  // A change of any project that can contain the module may change the answer.
  const subjectsOf = ({ module }: OnDemandRequest): string[] =>
    possibleRoots(module, ownership).map(({ root }) => projectSubject(root));
  const options = { log, groupOf, keepMs, subjectsOf };
  if (redisLocation === undefined) return new MemoryRequests(options);
  return new BullRequests({
    ...options,
    redisLocation,
    requestSchema: onDemandRequestSchema,
    answerSchema: onDemandAnswerSchema,
  });
}

/** Creates the backfill runs. Without Redis, only a process with the worker role can run backfills. */
function createBackfills({ redisLocation }: Config, log: Logger, roles: readonly Role[]): BackfillRuns | undefined {
  if (redisLocation !== undefined) return new RedisRuns({ redisLocation, log });
  return roles.includes('worker') ? new MemoryRuns() : undefined;
}
