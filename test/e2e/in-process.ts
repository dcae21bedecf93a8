import { pino } from 'pino';
import { startApp } from '../../src/app/serve.ts';
import { loadConfig, ROLES } from '../../src/config/service-config.ts';
import { ServiceLog, type LogLine } from './service-log.ts';

/** All roles of modpress in the process of the test. */
export interface InProcess extends AsyncDisposable {
  /** Base URL, `http://127.0.0.1:<port>`. */
  readonly url: string;
  /** Every line logged so far, from `debug` up. */
  readonly log: readonly LogLine[];
}

/**
 * Starts all roles on a free port of 127.0.0.1 with these settings only. Resolves after the first sweep, so
 * that this sweep cannot find what the test pushes later.
 */
export async function startInProcess(settings: Readonly<Record<string, string>>): Promise<InProcess> {
  const lines = new ServiceLog();
  const log = pino({ level: 'debug' }, { write: (line) => lines.add(line) });
  const config = loadConfig({ LISTEN: '127.0.0.1:0', ...settings }, ROLES);
  const app = await startApp(config, { roles: ROLES, log, version: '0.0.0' });
  await lines.logged('sweep.finished');
  return { url: `http://127.0.0.1:${app.port}`, log: lines.lines, [Symbol.asyncDispose]: () => app.close() };
}
