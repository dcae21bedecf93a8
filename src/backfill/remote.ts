import { z } from 'zod';
import { messageOf } from '../errors.ts';
import { pause } from '../pause.ts';
import { backfillProgressSchema, isOver, type BackfillProgress } from './progress.ts';
import type { BackfillRequest } from './request.ts';

/** A service that does the work. */
export interface Remote {
  /** Base URL, without a final slash. */
  readonly url: string;
  /** ADMIN_TOKEN, or the id_token of a CI job. */
  readonly token: string;
}

/** The service refuses, or cannot be reached for too long. The message is one line for people. */
class RemoteFailed extends Error {
  override readonly name = 'RemoteFailed';
  /** Whether it may work in a moment, as when the service is being restarted. */
  readonly passes: boolean;

  constructor(message: string, passes = false) {
    super(message);
    this.passes = passes;
  }
}

const startedSchema = z.object({ id: z.string(), followToken: z.string(), progress: backfillProgressSchema });
const foundSchema = z.object({ progress: backfillProgressSchema });

/** A service that forgets a backfill so often without ever telling how far it is, has replicas that know nothing of each other. */
const RESTARTS = 10;
/** How often one asks, and for how long a service may be silent, in milliseconds. */
const LOOK_MS = 1_000;
const PATIENCE_MS = 120_000;
const TIMEOUT_MS = 30_000;

/**
 * Has a service do a backfill and follows it. A service that restarts is waited for, and one that has forgotten the backfill
 * is told again, since it goes on where it was. Resolves to the last progress, also when `signal` is aborted: the service
 * goes on. Rejects with RemoteFailed.
 */
export async function backfillRemotely(
  remote: Remote,
  request: BackfillRequest,
  onProgress: (progress: BackfillProgress) => void,
  signal: AbortSignal,
): Promise<BackfillProgress> {
  let started = await start(remote, request);
  let progress = started.progress;
  let heardAt = Date.now();
  let restarts = 0;
  while (!isOver(progress) && !signal.aborted) {
    onProgress(progress);
    await pause(LOOK_MS, signal);
    try {
      const answer = await call(remote.url, `/-/backfill/${started.id}`, { headers: { Authorization: `Bearer ${started.followToken}`, Accept: 'application/json' } });
      if (answer.status === 200) {
        ({ progress } = foundSchema.parse(await answer.json()));
        heardAt = Date.now();
        restarts = 0;
      } else if (answer.status === 404 || answer.status === 401) {
        if (++restarts > RESTARTS) throw new RemoteFailed(`the service at ${remote.url} knows nothing of a backfill that it has begun: all its replicas need the same REDIS_URL`);
        started = await start(remote, request);
      } else throw new Error(`it answered ${answer.status}`);
    } catch (error) {
      if (error instanceof RemoteFailed && !error.passes) throw error;
      if (Date.now() - heardAt > PATIENCE_MS) throw new RemoteFailed(`the service at ${remote.url} has not been heard of for ${PATIENCE_MS / 1000} s: ${messageOf(error)}`);
    }
  }
  return progress;
}

async function start({ url, token }: Remote, request: BackfillRequest): Promise<z.output<typeof startedSchema>> {
  let answer: Response;
  try {
    answer = await call(url, '/-/backfill', {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(request),
    });
  } catch (cause) {
    throw new RemoteFailed(`the service at ${url} cannot be reached: ${messageOf(cause)}`, true);
  }
  const text = await answer.text();
  if (answer.status !== 202) {
    const line = text.trim().split('\n')[0]?.slice(0, 500) ?? '';
    throw new RemoteFailed(`the service at ${url} answers ${answer.status}: ${line}`, answer.status >= 500);
  }
  const parsed = startedSchema.safeParse(JSON.parse(text));
  if (!parsed.success) throw new RemoteFailed(`what answers at ${url} is no modpress of this version`);
  return parsed.data;
}

function call(url: string, path: string, options: RequestInit): Promise<Response> {
  return fetch(`${url}${path}`, { ...options, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
}
