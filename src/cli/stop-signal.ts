/** What a shell calls the end by these signals. */
const SIGNAL_STATUS = { SIGINT: 130, SIGTERM: 143 } as const;

/** What work came to, and the exit status that its early end by a signal has, if there was one. */
export interface Stopped<T> {
  readonly result: T;
  readonly signalStatus: number | undefined;
}

/** Runs work that SIGINT and SIGTERM end early, by aborting its signal; a second one ends the process at once. */
export async function untilStopped<T>(work: (signal: AbortSignal) => Promise<T>): Promise<Stopped<T>> {
  const stopped = new AbortController();
  let signalStatus: number | undefined;
  const stop = (signal: keyof typeof SIGNAL_STATUS): void => {
    signalStatus = SIGNAL_STATUS[signal];
    // Who presses Ctrl-C again does not want to wait for what is being built; and who stops jobs sends one after the other.
    leave();
    stopped.abort();
  };
  const leave = (): void => void process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop);
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    const result = await work(stopped.signal);
    return { result, signalStatus };
  } finally {
    leave();
  }
}
