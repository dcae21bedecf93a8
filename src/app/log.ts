import { pino, type Logger } from 'pino';
import { messageOf } from '../errors.ts';

/** Creates the log of the process: one line of JSON for each event, on standard output. `level` is LOG_LEVEL. */
export function createLog(level: string): Logger {
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    // Errors of HTTP libraries contain the failed request with its headers, and therefore the token.
    serializers: { err: describeError },
  });
}

function describeError(error: unknown): unknown {
  return error instanceof Error
    ? { name: error.name, message: messageOf(error), stack: error.stack }
    : messageOf(error);
}
