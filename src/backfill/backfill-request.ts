import { z } from 'zod';

/** A date, which means midnight UTC, or a time with a UTC offset. */
const since = z.union([z.iso.date(), z.iso.datetime({ offset: true })], {
  error: 'is not a date: write it like 2026-01-31 or 2026-01-31T12:00:00Z',
});

const path = z
  .string()
  .max(1_000)
  .transform((text) => text.trim().replace(/^\/+|(?<!\/)\/+$/g, ''))
  .refine((text) => text !== '', 'is empty: it must be the full path of a group or project');

/** The schema of a backfill request, from the command line or over HTTP. */
export const backfillRequestSchema = z.strictObject({
  /** Full paths of groups and projects. An empty list means everything in GITLAB_SCOPE. */
  targets: z.array(path).max(1_000).default([]),
  /**
   * Limits the backfill to tags created at or after this time. For a lightweight tag, the time of its commit counts.
   */
  since: since.optional(),
  /** Only counts the tags that would be processed. */
  dryRun: z.boolean().default(false),
});

/** A valid backfill request. */
export type BackfillRequest = z.output<typeof backfillRequestSchema>;

/**
 * Validates a request. Returns it with its defaults filled in, or its faults. A fault about a field begins with the
 * name of the field.
 */
export function parseBackfillRequest(value: unknown): BackfillRequest | { readonly faults: readonly string[] } {
  const parsed = backfillRequestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  return {
    faults: parsed.error.issues.map(({ path: [field], message }) =>
      field === undefined ? message : `${String(field)} ${message}`,
    ),
  };
}
