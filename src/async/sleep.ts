/**
 * The longest possible delay of a timer, in milliseconds (24.8 days). A timer with a longer delay fires at once (Node's
 * documentation of setTimeout).
 */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Waits for `ms` milliseconds, but at most 24.8 days, or until one of the signals aborts. Resolves in both cases, so the
 * caller has to check the signals.
 */
export async function sleep(ms: number, ...signals: readonly AbortSignal[]): Promise<void> {
  if (signals.some(({ aborted }) => aborted)) return;
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, Math.min(ms, LONGEST_TIMER_MS));
    for (const signal of signals) signal.addEventListener('abort', end);
  });
}
