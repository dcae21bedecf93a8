import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** A body of this size takes a few milliseconds to parse. */
const MAX_INLINE_BYTES = 262_144;
/** The maximum number of changes of a repository update that are read. */
export const MAX_CHANGES = 10_000;
/** A body of 25 MB needs about 150 MB. */
const WORKER_MEMORY_MB = 512;

/**
 * The program of the thread, as text, because it must run from the sources and from the build. It returns only the
 * fields that payload.ts reads, because the thread has to copy the result.
 */
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads');
const body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(workerData.bytes));
const { event_name, project_id, project, ref, after, checkout_sha, changes } = Object(body);
const isTag = (change) => String(Object(change).ref).startsWith('refs/tags/');
parentPort.postMessage({
  event_name, project_id, ref, after, checkout_sha,
  project: { path_with_namespace: Object(project).path_with_namespace },
  changes: Array.isArray(changes) ? changes.filter(isTag).slice(0, workerData.maxChanges) : changes,
});`;

/**
 * Parses the body of a delivery, which is JSON in UTF-8. Rejects if it is not. Parses a large body in a separate
 * thread, because it would block all other requests: a push of 200,000 tags makes a body of 25 MB, which takes a third
 * of a second. The result then contains at most MAX_CHANGES changes, all of tags.
 */
export async function parseBody(bytes: Buffer): Promise<unknown> {
  if (bytes.length <= MAX_INLINE_BYTES) return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  const worker = new Worker(PROGRAM, {
    eval: true,
    workerData: { bytes, maxChanges: MAX_CHANGES },
    resourceLimits: { maxOldGenerationSizeMb: WORKER_MEMORY_MB },
  });
  try {
    const [body] = (await once(worker, 'message')) as [unknown];
    return body;
  } finally {
    await worker.terminate();
  }
}
