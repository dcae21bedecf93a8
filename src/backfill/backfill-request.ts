import { z } from 'zod';

/** A day, which begins at midnight UTC, or a time with an offset. */
const since = z.union([z.iso.date(), z.iso.datetime({ offset: true })], {
  error: 'is not a date: write it like 2026-01-31 or 2026-01-31T12:00:00Z',
});

const path = z
  .string()
  .max(1_000)
  .transform((text) => text.trim().replace(/^\/+|\/+$/g, ''))
  .refine((text) => text !== '', 'is empty: it must be the full path of a group or project');

/** What a backfill should do. The schema also checks requests from outside. */
export const backfillRequestSchema = z.strictObject({
  /** Full paths of groups and projects. An empty list stands for everything in GITLAB_SCOPE. */
  targets: z.array(path).max(1_000).default([]),
  /** Only tags at or after this time: the time of the tag, or of the commit for a lightweight tag. */
  since: since.optional(),
  /** Only reports how many tags would be published. */
  dryRun: z.boolean().default(false),
});

/** What a backfill should do. */
export type BackfillRequest = z.output<typeof backfillRequestSchema>;

/** Checks a request. Returns it with its defaults filled in, or its faults; each fault begins with the name of the field. */
export function parseBackfillRequest(value: unknown): BackfillRequest | { readonly faults: readonly string[] } {
  const parsed = backfillRequestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  return {
    faults: parsed.error.issues.map(({ path: [field], message }) =>
      field === undefined ? message : `${String(field)} ${message}`,
    ),
  };
}
