import { SingleBar } from 'cli-progress';

/** Where progress is shown: standard error, or what stands for it. */
export interface ProgressStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** What is shown besides how much is done. */
export interface ProgressDetail {
  readonly detail?: string;
  /** The same for a terminal in which a line with it has no room; what does not fit is cut off at its end. */
  readonly short?: string;
  /** For how long it has been going on, in seconds, where that is not since this is shown. */
  readonly seconds?: number;
  /** How much of all is done, from 0 to 1, where that is known better than by the numbers. */
  readonly fraction?: number;
}

/** How far a command has come, as a person sees it. */
export interface Progress {
  /** So many are done, of so many that are known by now. */
  update(done: number, found: number, more?: ProgressDetail): void;
  /** Nothing goes on for a while, and why; the next update takes it back. */
  wait(reason: string, ms: number): void;
  /** Prints something, on whichever stream, without the bar running into it. */
  print(write: () => void): void;
  /** Takes the bar away. Nothing is shown from then on. */
  stop(): void;
}

/** How it is shown. */
export interface ProgressOptions {
  /** What is counted: `versions`. */
  readonly unit: string;
  /** How often a line is written where there is no terminal, in milliseconds. */
  readonly intervalMs?: number;
}

/** Shows progress: a bar on a terminal, elsewhere a line every few seconds. */
export function showProgress(stream: ProgressStream, { unit, intervalMs = 5_000 }: ProgressOptions): Progress {
  const count = new Count(unit);
  return stream.isTTY === true ? showBar(stream, count) : showLines(stream, count, intervalMs);
}

/** In characters. */
const WIDE = 120;
/** Left free at the end of a line: the terminal shows ^C there, and would begin another line for it. */
const MARGIN = 3;

function showBar(stream: ProgressStream, count: Count): Progress {
  const format = '{bar} {text}';
  // The width may change at any time.
  const columns = (): number => stream.columns ?? 80;
  const barsize = columns() < WIDE ? 6 : 24;
  // The bar's own handling of signals would keep the command from its own.
  const bar = new SingleBar({
    stream,
    format,
    barsize,
    clearOnComplete: true,
    linewrap: true,
    gracefulExit: false,
    emptyOnZero: true,
  });
  const text = (): string => {
    const room = Math.max(0, columns() - barsize - 1 - MARGIN);
    const whole = count.text();
    return (whole.length <= room ? whole : count.text(true)).slice(0, room);
  };
  const start = (): void => bar.start(count.found, count.done, { text: text() });
  const show = (): void => {
    bar.setTotal(count.found);
    bar.update(count.done, { text: text() });
  };
  let stopped = false;
  start();
  return {
    update(done, found, more) {
      count.update(done, found, more);
      if (!stopped) show();
    },
    wait(reason, ms) {
      count.waitsFor(reason, ms);
      if (!stopped) show();
    },
    print(write) {
      // The bar takes itself away from where it was begun: what is printed in between would be overwritten.
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

function showLines(stream: ProgressStream, count: Count, intervalMs: number): Progress {
  const line = (): void => void stream.write(`${count.text()}\n`);
  const timer = setInterval(line, intervalMs);
  timer.unref();
  return {
    update: (done, found, more) => count.update(done, found, more),
    wait(reason, ms) {
      const isNews = count.waitsFor(reason, ms);
      if (isNews) line();
    },
    print: (write) => write(),
    stop: () => clearInterval(timer),
  };
}

/** What is counted, and how fast. */
class Count {
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

  /** Returns whether it is said for the first time since the last update. */
  waitsFor(reason: string, ms: number): boolean {
    const waiting = `waiting ${Math.ceil(ms / 1000)} s: ${reason.replaceAll(/\s+/g, ' ')}`;
    const isNews = waiting !== this.#waiting;
    this.#waiting = waiting;
    return isNews;
  }

  /** `12 of 340 versions, 3.1/s, 1 min 46 s left`. */
  text(narrow = false): string {
    const { detail, short = detail, fraction = this.done / Math.max(1, this.found), seconds: given } = this.#more;
    const seconds = Math.max(0.001, given ?? (performance.now() - this.#started) / 1000);
    const rate = this.done / seconds;
    const times: string[] = [];
    if (this.done > 0) times.push(`${rate < 10 ? rate.toFixed(1) : Math.round(rate)}/s`);
    if (fraction > 0) times.push(`${duration((seconds * (1 - fraction)) / fraction)} left`);
    if (this.#waiting !== '') times.push(this.#waiting);
    const isShort = narrow && short !== undefined;
    const counts = `${this.done}${isShort ? '/' : ' of '}${this.found} ${this.#unit}`;
    // Of a short line the end is cut off first.
    if (isShort) return [counts, ...times, short].join(', ');
    return [counts, ...(detail === undefined ? [] : [detail]), ...times].join(', ');
  }
}

function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
