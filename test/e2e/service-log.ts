import { setTimeout as delay } from 'node:timers/promises';

/** A line of the service's log. */
export interface LogLine {
  readonly level: string | number;
  readonly event: string;
  readonly msg: string;
  readonly [name: string]: unknown;
}

/** What a service has logged so far, and what else it has printed. */
export class ServiceLog {
  readonly lines: LogLine[] = [];
  /** What was printed and is no log line. */
  complaints = '';
  #ended = false;

  /** Takes a line of output. */
  add(line: string): void {
    try {
      this.lines.push(JSON.parse(line) as LogLine);
    } catch {
      this.complaints += `${line}\n`;
    }
  }

  /** To be called when nothing more will come. */
  end(): void {
    this.#ended = true;
  }

  /** The first line with this event and these fields, as soon as there is one; rejects if the service ends without it. */
  async logged(event: string, fields: Readonly<Record<string, unknown>> = {}): Promise<LogLine> {
    for (;;) {
      const found = this.lines.find(
        (line) => line.event === event && Object.entries(fields).every(([name, value]) => line[name] === value),
      );
      if (found !== undefined) return found;
      if (this.#ended) throw new Error(`modpress ended without logging "${event}":\n${this.text()}`);
      await delay(5);
    }
  }

  /** Everything, for the message of an error. */
  text(): string {
    return `${this.complaints}${this.lines.map((line) => JSON.stringify(line)).join('\n')}`;
  }
}
