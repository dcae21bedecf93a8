import { pino, type Logger } from 'pino';
import { messageOf } from '../errors.ts';

/** The process's log: one JSON line an event on standard output. `level` is LOG_LEVEL. */
export function createLog(level: string): Logger {
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    // Errors of HTTP libraries carry the request they failed with, headers and all.
    serializers: { err: describeError },
  });
}

function describeError(error: unknown): unknown {
  return error instanceof Error
    ? { name: error.name, message: messageOf(error), stack: error.stack }
    : messageOf(error);
}
