/**
 * Settles as the promise does, or rejects after `timeoutMs` milliseconds with the error that `fail` returns. A timeout
 * does not stop the work behind the promise, unless `fail` stops it.
 */
export async function withTimeout<T>(
  timeoutMs: number,
  promise: Promise<T>,
  fail = () => new Error(`no reply within ${Math.ceil(timeoutMs)} ms`),
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(fail()), timeoutMs);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
