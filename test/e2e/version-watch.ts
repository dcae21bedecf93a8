import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

/** Requests a version repeatedly, like several go commands at the same time. */
export interface VersionWatch extends AsyncDisposable {
  /** Resolves when the version is complete. Rejects if the version is visible in part, changes or disappears. */
  readonly published: Promise<void>;
  /** The number of checks in which no file of the version was visible. */
  readonly absences: number;
  /** Stops the requests. */
  stop(): Promise<void>;
}

const PAUSE_MS = 20;

/** Requests a version through a proxy until it was complete several times. `module` is escaped. */
export function watchVersion(proxyUrl: string, module: string, version: string): VersionWatch {
  const stopping = new AbortController();
  const progress = { absences: 0 };
  const published = (async () => {
    let bytes: string | undefined;
    for (let wholes = 0; wholes < 3 && !stopping.signal.aborted; await delay(PAUSE_MS)) {
      const seen = await look(`${proxyUrl}/${module}/@v`, version);
      if (seen === 'absent') {
        if (bytes !== undefined) throw new Error(`${module}@${version} has vanished`);
        progress.absences += 1;
        continue;
      }
      if (bytes !== undefined && bytes !== seen) throw new Error(`${module}@${version} has changed`);
      bytes = seen;
      wholes += 1;
    }
  })();
  // The caller awaits the promise later. Until then, its rejection must not count as unhandled.
  published.catch(() => undefined);
  const stop = async (): Promise<void> => {
    stopping.abort();
    await published;
  };
  return {
    published,
    get absences() {
      return progress.absences;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Resolves to `absent`, or to a digest of the complete version. Rejects if only a part is visible. */
async function look(base: string, version: string): Promise<string> {
  const before = await get(`${base}/${version}.info`);
  const [zip, mod, list] = await Promise.all([
    get(`${base}/${version}.zip`),
    get(`${base}/${version}.mod`),
    get(`${base}/list`),
  ]);
  const after = await get(`${base}/${version}.info`);
  const parts = [zip !== undefined, mod !== undefined, list?.toString().split('\n').includes(version) === true];
  // A version with an .info is complete, and no other file is visible without .info.
  const complete = before === undefined || parts.every(Boolean);
  const announced = after !== undefined || !parts.some(Boolean);
  if (!complete || !announced) {
    const [hasZip, hasMod, isListed] = parts;
    throw new Error(
      `half visible: ${JSON.stringify({ before: before !== undefined, hasZip, hasMod, isListed, after: after !== undefined })}`,
    );
  }
  if (before === undefined || zip === undefined || mod === undefined) return 'absent';
  return createHash('sha256').update(zip).update(mod).update(before).digest('hex');
}

async function get(url: string): Promise<Buffer | undefined> {
  const response = await fetch(url);
  const body = Buffer.from(await response.arrayBuffer());
  if (response.status === 200) return body;
  if (response.status === 404) return undefined;
  throw new Error(`${url} answered ${response.status}: ${body.toString()}`);
}
