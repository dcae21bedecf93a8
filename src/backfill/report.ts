import type { BackfillProgress } from './backfill-progress.ts';

/** Returns the progress in one line: `12 of 340 projects, 25 published, 3 skipped, 0 refused, 0 failed`. */
export function progressLine(progress: BackfillProgress): string {
  const { projects, published, skipped, refused, failed, dryRun } = progress;
  const counts = dryRun
    ? []
    : [`${published} published`, `${skipped} skipped`, `${refused} refused`, `${failed} failed`];
  return [`${projects.done} of ${projects.found} projects`, ...counts, ...waitingReason(progress)].join(', ');
}

/** Returns a shorter line of progress. The most important part comes first, because a terminal may cut off the end. */
export function shortProgressLine(progress: BackfillProgress): string {
  const { projects, published, skipped, refused, failed, dryRun } = progress;
  const counts = dryRun ? [] : [`${failed} fail`, `${refused} ref`, `${published} pub`, `${skipped} skip`];
  return [...waitingReason(progress), ...counts, `${projects.done}/${projects.found} projects`].join(', ');
}

function waitingReason({ state, waiting }: BackfillProgress): string[] {
  if (waiting !== undefined) return [waiting];
  return state === 'waiting' ? ['waiting for a worker'] : [];
}

/**
 * Returns the table that the command prints at the end, and a line for each listed refused or failed tag. `interrupted`
 * tells the user how to continue. It is undefined unless the command was interrupted.
 */
export function summary(progress: BackfillProgress, interrupted: string | undefined): string {
  const {
    projects,
    tags,
    known,
    older,
    published,
    skipped,
    refused,
    failed,
    dismissed,
    versions,
    others,
    skips,
    troubles,
    problem,
  } = progress;
  const rows: [string, number, string?][] = [
    ['projects', projects.done],
    ['already processed', known],
    ...(older > 0 ? [['older than --since', older] as [string, number]] : []),
  ];
  if (progress.dryRun) {
    rows.push(
      ['would be processed', versions, 'valid versions'],
      ['', others, 'other tags, which are skipped'],
      ['failed', failed],
    );
  } else {
    rows.push(['published', published]);
    rows.push(['skipped', skipped]);
    for (const { reason, count } of skips) rows.push(['', count, reason]);
    rows.push(['refused', refused], ['failed', failed]);
    if (dismissed > 0) rows.push(['dismissed', dismissed]);
  }
  const unlisted = refused + failed - troubles.length;
  return [
    ...rows.map(
      ([name, count, note]) =>
        `  ${name.padEnd(18)} ${String(count).padStart(8)}${note === undefined ? '' : `  ${note}`}`,
    ),
    ...troubles.map(
      ({ status, project, tag, reason }) =>
        `${status.toUpperCase()} ${project}${tag === '' ? '' : ` ${tag}`}: ${reason.replaceAll(/\s+/g, ' ')}`,
    ),
    ...(unlisted > 0 ? [`and ${unlisted} more: see the log of the service or the outcomes in the store`] : []),
    ...(problem === undefined ? [] : [problem.replaceAll(/\s+/g, ' ')]),
    ...(interrupted === undefined ? [] : [`interrupted after ${tags.done} of ${tags.found} tags: ${interrupted}`]),
  ]
    .map((line) => `${line}\n`)
    .join('');
}
