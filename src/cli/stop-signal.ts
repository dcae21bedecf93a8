/** The exit status of a command that a signal ended, as shells report it. */
const SIGNAL_STATUS = { SIGINT: 130, SIGTERM: 143 } as const;

/** The result of the work, and the exit status if a signal ended it early. */
export interface Stopped<T> {
  readonly result: T;
  readonly signalStatus: number | undefined;
}

/** Runs work that SIGINT and SIGTERM end early, by aborting its AbortSignal. A second signal ends the process at once. */
export async function untilStopped<T>(work: (signal: AbortSignal) => Promise<T>): Promise<Stopped<T>> {
  const stopped = new AbortController();
  let signalStatus: number | undefined;
  const stop = (signal: keyof typeof SIGNAL_STATUS): void => {
    signalStatus = SIGNAL_STATUS[signal];
    // For both signals: a person who presses Ctrl-C twice does not want to wait, and a supervisor sends one signal, then the other.
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
