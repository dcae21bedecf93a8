import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { z } from 'zod';

/** The folder of inputs that were once judged wrongly. */
export const REGRESSIONS = new URL('regressions/', import.meta.url);

/** An input that was once judged wrongly, and by which property that shows. */
export const regressionSchema = z.object({ property: z.string(), input: z.unknown() });

/** Keeps a counter-example; the tests replay it from then on. Returns its file's name. */
export function keepRegression(property: string, input: unknown): string {
  const text = `${JSON.stringify({ property, input }, undefined, 2)}\n`;
  const name = `${property.replaceAll(/[^a-z]+/g, '-')}-${createHash('sha256').update(text).digest('hex').slice(0, 8)}.json`;
  writeFileSync(new URL(name, REGRESSIONS), text);
  return name;
}
