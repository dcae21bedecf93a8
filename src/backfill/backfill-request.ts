import { z } from 'zod';

/** A day, which begins at midnight UTC, or a time with its offset. */
const since = z.union([z.iso.date(), z.iso.datetime({ offset: true })], {
  error: 'is no date: it has to be like 2026-01-31 or 2026-01-31T12:00:00Z',
});

const path = z
  .string()
  .max(1_000)
  .transform((text) => text.trim().replace(/^\/+|\/+$/g, ''))
  .refine((text) => text !== '', 'is empty: it has to be the full path of a group or project');

/** What a backfill is to do; what comes from outside is read with this. */
export const backfillRequestSchema = z.strictObject({
  /** Full paths of groups and projects; empty for all in GITLAB_SCOPE. */
  targets: z.array(path).max(1_000).default([]),
  /** Only tags made, or on commits made, at or after this time. */
  since: since.optional(),
  /** Only tells what would be looked at. */
  dryRun: z.boolean().default(false),
});

/** What a backfill is to do. */
export type BackfillRequest = z.output<typeof backfillRequestSchema>;

/** The request in the form in which it was given, or what is wrong with it, each fault naming its part. */
export function parseBackfillRequest(value: unknown): BackfillRequest | { readonly faults: readonly string[] } {
  const parsed = backfillRequestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  return {
    faults: parsed.error.issues.map(({ path: where, message }) =>
      where.length === 0 ? message : `${String(where[0])} ${message}`,
    ),
  };
}
