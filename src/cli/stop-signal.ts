/** The exit status after each signal, as shells report it. */
const SIGNAL_STATUS = { SIGINT: 130, SIGTERM: 143 } as const;

/** The result of the work, and the exit status if a signal ended the work early. */
export interface Stopped<T> {
  readonly result: T;
  readonly signalStatus: number | undefined;
}

/** Runs `work`. SIGINT and SIGTERM abort its AbortSignal. A second signal ends the process immediately. */
export async function untilStopped<T>(work: (signal: AbortSignal) => Promise<T>): Promise<Stopped<T>> {
  const stopped = new AbortController();
  let signalStatus: number | undefined;
  const stop = (signal: keyof typeof SIGNAL_STATUS): void => {
    signalStatus = SIGNAL_STATUS[signal];
    // Removes the handlers of both signals: a second Ctrl-C must end the process immediately, and a supervisor may send
    // SIGTERM after SIGINT.
    removeListeners();
    stopped.abort();
  };
  const removeListeners = (): void => void process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop);
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    const result = await work(stopped.signal);
    return { result, signalStatus };
  } finally {
    removeListeners();
  }
}
