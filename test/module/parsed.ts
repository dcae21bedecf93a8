import { parseModfileLax } from '../../src/module/modfile.ts';
import { RetractedRanges } from '../../src/module/retractions.ts';

/**
 * Parses a go.mod as modfile.ParseLax does. Returns the go version, which is empty if the go.mod declares none, and the
 * bounds of all retractions.
 */
export async function parsedModfile(
  gomod: Buffer,
): Promise<{ readonly go: string; readonly bounds: string[] } | undefined> {
  const bounds: string[] = [];
  const modfile = await parseModfileLax(gomod, function* (low, high) {
    yield;
    bounds.push(low, high);
  });
  return modfile && { go: modfile.go ?? '', bounds };
}

/** Whether a version is in a range of retracted versions. */
export async function isInRange(version: string, low: string, high: string): Promise<boolean> {
  const ranges = await RetractedRanges.among([version]);
  finish(ranges.add(low, high));
  return ranges.versions().has(version);
}

/** Runs work to its end at once. */
export function finish<T>(work: Generator<undefined, T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}
