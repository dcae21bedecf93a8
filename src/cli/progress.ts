import { SingleBar } from 'cli-progress';

/** The stream that shows the progress: standard error, or a substitute in tests. */
export interface ProgressStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Additional information about the progress. */
export interface ProgressDetail {
  readonly detail?: string;
  /** A shorter form of `detail` for a narrow terminal. It is at the end of the line, which may be cut off. */
  readonly short?: string;
  /** The duration of the work so far, in seconds. Default: the time since `showProgress` was called. */
  readonly seconds?: number;
  /** The share of the work that is done, from 0 to 1. Default: `done` divided by `found`. */
  readonly fraction?: number;
}

/** Shows the progress of a command to the user. */
export interface Progress {
  /** Shows the number of items done, and the number of items found so far. */
  update(done: number, found: number, more?: ProgressDetail): void;
  /** Shows that the work pauses for `waitMs` milliseconds, and the reason. The next update removes this text. */
  wait(reason: string, waitMs: number): void;
  /** Calls `write`, which may write to any stream. Removes the bar before the call, and shows it again afterwards. */
  print(write: () => void): void;
  /** Removes the bar. Nothing is shown afterwards. */
  stop(): void;
}

/** The options of `showProgress`. */
export interface ProgressOptions {
  /** The name of the items, such as `versions`. */
  readonly unit: string;
  /** How often a line is written if the stream is not a terminal, in milliseconds. Default: 5,000. */
  readonly intervalMs?: number;
}

/** Shows progress: a bar on a terminal, a line every few seconds on any other stream. */
export function showProgress(stream: ProgressStream, { unit, intervalMs = 5_000 }: ProgressOptions): Progress {
  const status = new Status(unit);
  return stream.isTTY === true ? showBar(stream, status) : showLines(stream, status, intervalMs);
}

/** A terminal with at least this many columns gets a long bar. */
const WIDE_COLUMNS = 120;
/**
 * The number of columns left free at the end of a line. A terminal shows ^C there. Without free columns, ^C would start
 * a new line.
 */
const MARGIN_COLUMNS = 3;
const DEFAULT_COLUMNS = 80;

function showBar(stream: ProgressStream, status: Status): Progress {
  const format = '{bar} {text}';
  // The user may resize the terminal at any time.
  const columns = (): number => stream.columns ?? DEFAULT_COLUMNS;
  const barsize = columns() < WIDE_COLUMNS ? 6 : 24;
  const bar = new SingleBar({
    stream,
    format,
    barsize,
    clearOnComplete: true,
    linewrap: true,
    // With gracefulExit, the library would stop the bar at the first signal, although the command continues its work.
    gracefulExit: false,
    emptyOnZero: true,
  });
  const text = (): string => {
    const width = Math.max(0, columns() - barsize - 1 - MARGIN_COLUMNS);
    const full = status.text();
    return (full.length <= width ? full : status.shortText()).slice(0, width);
  };
  const start = (): void => bar.start(status.found, status.done, { text: text() });
  const show = (): void => {
    bar.setTotal(status.found);
    bar.update(status.done, { text: text() });
  };
  let stopped = false;
  start();
  return {
    update(done, found, more) {
      status.update(done, found, more);
      if (!stopped) show();
    },
    wait(reason, waitMs) {
      status.wait(reason, waitMs);
      if (!stopped) show();
    },
    print(write) {
      // The bar clears everything from the line on which it started, so it must start again below the output.
      if (!stopped) bar.stop();
      write();
      if (!stopped) start();
    },
    stop() {
      if (!stopped) bar.stop();
      stopped = true;
    },
  };
}

function showLines(stream: ProgressStream, status: Status, intervalMs: number): Progress {
  const writeLine = (): void => void stream.write(`${status.text()}\n`);
  const timer = setInterval(writeLine, intervalMs);
  timer.unref();
  return {
    update: (done, found, more) => status.update(done, found, more),
    wait(reason, waitMs) {
      const isNew = status.wait(reason, waitMs);
      if (isNew) writeLine();
    },
    print: (write) => write(),
    stop: () => clearInterval(timer),
  };
}

/** The state of the progress, and the texts that describe it. */
class Status {
  readonly #unit: string;
  readonly #started = performance.now();
  #waiting = '';
  #more: ProgressDetail = {};
  done = 0;
  found = 0;

  constructor(unit: string) {
    this.#unit = unit;
  }

  update(done: number, found: number, more: ProgressDetail = {}): void {
    this.done = done;
    this.found = found;
    this.#more = more;
    this.#waiting = '';
  }

  /** Records a pause. Returns false if the last update was followed by the same pause already. */
  wait(reason: string, waitMs: number): boolean {
    const waiting = `waiting ${Math.ceil(waitMs / 1000)} s: ${reason.replaceAll(/\s+/g, ' ')}`;
    const isNew = waiting !== this.#waiting;
    this.#waiting = waiting;
    return isNew;
  }

  /** Returns a text such as `12 of 340 versions, 3.1/s, 1 min 46 s left`. */
  text(): string {
    const { detail } = this.#more;
    const counts = `${this.done} of ${this.found} ${this.#unit}`;
    return [counts, ...(detail === undefined ? [] : [detail]), ...this.#times()].join(', ');
  }

  /** Returns a text such as `12/340 tags, 3.1/s, 1 min 46 s left, 10/30 projects`. The short detail comes last. */
  shortText(): string {
    const { detail, short = detail } = this.#more;
    if (short === undefined) return this.text();
    return [`${this.done}/${this.found} ${this.#unit}`, ...this.#times(), short].join(', ');
  }

  /** Returns the rate, the time left, and the reason for a pause. */
  #times(): string[] {
    const { fraction = this.done / Math.max(1, this.found), seconds: givenSeconds } = this.#more;
    const seconds = Math.max(0.001, givenSeconds ?? (performance.now() - this.#started) / 1000);
    const rate = this.done / seconds;
    const times: string[] = [];
    if (this.done > 0) times.push(`${rate < 10 ? rate.toFixed(1) : Math.round(rate)}/s`);
    if (fraction > 0) times.push(`${duration((seconds * (1 - fraction)) / fraction)} left`);
    if (this.#waiting !== '') times.push(this.#waiting);
    return times;
  }
}

function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
