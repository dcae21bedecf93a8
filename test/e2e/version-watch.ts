import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

/** Looks at a version over and over, as many go commands at once would. */
export interface VersionWatch extends AsyncDisposable {
  /** Resolves once the version is there as a whole. Rejects if it is ever there in part, or changes. */
  readonly published: Promise<void>;
  /** How many looks found nothing at all. */
  readonly absences: number;
  /** Stops looking. */
  stop(): Promise<void>;
}

const PAUSE_MS = 20;

/** Starts to look at a version through a proxy, until it has been seen whole a few times. `module` is escaped. */
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
  // Whoever waits for it gets the rejection; until then it is nobody's fault.
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

/** `absent`, or a digest of the whole version; rejects for anything in between. */
async function look(base: string, version: string): Promise<string> {
  const before = await get(`${base}/${version}.info`);
  const [zip, mod, list] = await Promise.all([
    get(`${base}/${version}.zip`),
    get(`${base}/${version}.mod`),
    get(`${base}/list`),
  ]);
  const after = await get(`${base}/${version}.info`);
  const parts = [zip !== undefined, mod !== undefined, list?.toString().split('\n').includes(version) === true];
  // What is announced has to be there, and what is there has to be announced.
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
