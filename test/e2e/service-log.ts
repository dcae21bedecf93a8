/** A line of the service's log. */
export interface LogLine {
  readonly level: string | number;
  readonly event: string;
  readonly msg: string;
  readonly [name: string]: unknown;
}

/** The log lines of a service so far, and its other output. */
export class ServiceLog {
  readonly lines: LogLine[] = [];
  /** Output that is not a log line. */
  otherOutput = '';
  #ended = false;
  /** Callbacks for each change: a new line, or the end. */
  readonly #waiting = new Set<() => void>();

  /** Adds a line of output. */
  add(line: string): void {
    try {
      this.lines.push(JSON.parse(line) as LogLine);
    } catch {
      this.otherOutput += `${line}\n`;
    }
    this.#notify();
  }

  /** Must be called when the service has ended. */
  end(): void {
    this.#ended = true;
    this.#notify();
  }

  /** Resolves to the first line with this event and these fields. Rejects if the service ends without it. */
  async logged(event: string, fields: Readonly<Record<string, unknown>> = {}): Promise<LogLine> {
    for (;;) {
      const found = this.lines.find(
        (line) => line.event === event && Object.entries(fields).every(([name, value]) => line[name] === value),
      );
      if (found !== undefined) return found;
      if (this.#ended) throw new Error(`modpress ended without logging "${event}":\n${this.text()}`);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** All output, for an error message. */
  text(): string {
    return `${this.otherOutput}${this.lines.map((line) => JSON.stringify(line)).join('\n')}`;
  }

  #notify(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
