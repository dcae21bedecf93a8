import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const answerSchema = z.object({
  OK: z.boolean(),
  Error: z.string(),
  Text: z.string(),
  Parts: z.array(z.string()).nullable(),
  Int: z.number(),
});

/**
 * The answer of golang.org/x/mod. It contains `OK` and `Error` of a check, or the text, the parts or the number that a
 * function returns.
 */
export type OracleAnswer = z.infer<typeof answerSchema>;

/** A question. oracle/main.go defines the fields that each `Op` uses. */
export interface Question {
  readonly Op: string;
  readonly Text?: string;
  readonly Other?: string;
  readonly Int?: number;
  /** Replaces `Text` for bytes that JSON cannot represent, in base64. */
  readonly Bytes?: string;
  readonly Parts?: readonly string[];
  readonly Files?: readonly { Path: string; Symlink?: boolean; Content?: string }[];
}

/** Runs the real golang.org/x/mod in a separate process, which answers questions in order. */
export class Oracle {
  readonly #folder = mkdtempSync(join(tmpdir(), 'modpress-oracle-'));
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #lines: Interface;
  readonly #waiting: { readonly resolve: (line: string) => void; readonly reject: (error: Error) => void }[] = [];
  #errors = '';

  constructor() {
    const binary = join(this.#folder, 'oracle');
    const built = spawnSync('go', ['build', '-o', binary, '.'], {
      cwd: fileURLToPath(new URL('oracle', import.meta.url)),
      encoding: 'utf8',
    });
    if (built.status !== 0) throw new Error(`the oracle cannot be built: ${built.stderr}`);
    this.#process = spawn(binary);
    this.#lines = createInterface(this.#process.stdout);
    this.#lines.on('line', (line) => this.#waiting.shift()?.resolve(line));
    this.#process.stderr.on('data', (text) => (this.#errors += String(text)));
    this.#process.on('close', () => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(`the oracle ended: ${this.#errors}`));
    });
  }

  /** Resolves to the answer to one question. Rejects if the process ends first. */
  async ask(question: Question): Promise<OracleAnswer> {
    const line = new Promise<string>((resolve, reject) => void this.#waiting.push({ resolve, reject }));
    this.#process.stdin.write(`${JSON.stringify(question)}\n`);
    return answerSchema.parse(JSON.parse(await line));
  }

  close(): void {
    this.#process.stdin.end();
    this.#lines.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
