import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';

/** The folder of inputs that once gave a wrong result. */
const REGRESSIONS = new URL('regressions/', import.meta.url);

const regressionSchema = z.object({ property: z.string(), input: z.unknown() });

/** An input that once gave a wrong result, and the property that shows it. */
export interface Regression extends z.infer<typeof regressionSchema> {
  readonly file: string;
}

/** Returns all inputs in the folder. */
export function regressions(): readonly Regression[] {
  const files = readdirSync(REGRESSIONS).filter((file) => file.endsWith('.json'));
  return files.map((file) =>
    Object.assign(regressionSchema.parse(JSON.parse(readFileSync(new URL(file, REGRESSIONS), 'utf8'))), { file }),
  );
}

/** Stores a counter-example, which the tests use from then on. Returns the name of its file. */
export function keepRegression(property: string, input: unknown): string {
  const text = `${JSON.stringify({ property, input }, undefined, 2)}\n`;
  const file = `${property.replaceAll(/[^a-z]+/g, '-')}-${createHash('sha256').update(text).digest('hex').slice(0, 8)}.json`;
  writeFileSync(new URL(file, REGRESSIONS), text);
  return file;
}
