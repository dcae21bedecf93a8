import { SingleBar } from 'cli-progress';

/** The stream on which progress is shown: standard error, or a test's stand-in for it. */
export interface ProgressStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Further facts that the progress shows. */
export interface ProgressDetail {
  readonly detail?: string;
  /** A shorter form of `detail` for a narrow terminal. It is the last part of the line, so it is cut off first. */
  readonly short?: string;
  /** How long the work has taken, in seconds. By default the time since `showProgress` was called. */
  readonly seconds?: number;
  /** The share of the work that is done, from 0 to 1. By default `done` divided by `found`. */
  readonly fraction?: number;
}

/** The progress of a command, as a person sees it. */
export interface Progress {
  /** Shows how many items are done, and how many were found so far. */
  update(done: number, found: number, more?: ProgressDetail): void;
  /** Shows that the work pauses for `waitMs` milliseconds, and why. The next update removes this text. */
  wait(reason: string, waitMs: number): void;
  /** Calls `write`, which may write to any stream, without damage to the bar. */
  print(write: () => void): void;
  /** Removes the bar. Nothing is shown afterwards. */
  stop(): void;
}

/** How progress is shown. */
export interface ProgressOptions {
  /** The name of the items: `versions`. */
  readonly unit: string;
  /** How often a line is written if the stream is not a terminal, in milliseconds. */
  readonly intervalMs?: number;
}

/** Shows progress: a bar on a terminal, a line every few seconds on any other stream. */
export function showProgress(stream: ProgressStream, { unit, intervalMs = 5_000 }: ProgressOptions): Progress {
  const status = new Status(unit);
  return stream.isTTY === true ? showBar(stream, status) : showLines(stream, status, intervalMs);
}

/** A terminal with at least this many columns gets a long bar. */
const WIDE_COLUMNS = 120;
/** Columns left free at the end of a line. The terminal shows ^C there; without the space it would start a new line. */
const MARGIN_COLUMNS = 3;
const DEFAULT_COLUMNS = 80;

function showBar(stream: ProgressStream, status: Status): Progress {
  const format = '{bar} {text}';
  // The width may change at any time.
  const columns = (): number => stream.columns ?? DEFAULT_COLUMNS;
  const barsize = columns() < WIDE_COLUMNS ? 6 : 24;
  const bar = new SingleBar({
    stream,
    format,
    barsize,
    clearOnComplete: true,
    linewrap: true,
    // The bar's own signal handlers would prevent those of the command.
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
      // The bar clears everything from the line where it started, so it has to start again below the output.
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

  /** Returns whether this pause is new since the last update. */
  wait(reason: string, waitMs: number): boolean {
    const waiting = `waiting ${Math.ceil(waitMs / 1000)} s: ${reason.replaceAll(/\s+/g, ' ')}`;
    const isNew = waiting !== this.#waiting;
    this.#waiting = waiting;
    return isNew;
  }

  /** `12 of 340 versions, 3.1/s, 1 min 46 s left` */
  text(): string {
    const { detail } = this.#more;
    const counts = `${this.done} of ${this.found} ${this.#unit}`;
    return [counts, ...(detail === undefined ? [] : [detail]), ...this.#times()].join(', ');
  }

  /** `12/340 tags, 3.1/s, 1 min 46 s left, 10/30 projects`: with the short detail at the end, which is cut off first. */
  shortText(): string {
    const { detail, short = detail } = this.#more;
    if (short === undefined) return this.text();
    return [`${this.done}/${this.found} ${this.#unit}`, ...this.#times(), short].join(', ');
  }

  /** The rate, the time left, and the reason for a pause. */
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
