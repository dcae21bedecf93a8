import type { Logger } from 'pino';

/** The methods of the console that libraries use. */
const METHODS = ['debug', 'log', 'info', 'warn', 'error'] as const;

/**
 * Logs what libraries print on the console and what Node prints as a warning, because each line of the log is JSON. For
 * example, ioredis prints a line if Redis forbids the command INFO.
 */
export function captureOutput(log: Logger): void {
  for (const method of METHODS)
    console[method] = (...parts: unknown[]) => {
      const text = parts.map((part) => (part instanceof Error ? part.message : String(part))).join(' ');
      log.warn({ event: 'library.message', text }, 'a library printed a message');
    };
  process.removeAllListeners('warning').on('warning', ({ name, message }) => {
    log.warn({ event: 'library.message', text: `${name}: ${message}` }, 'Node printed a warning');
  });
}
