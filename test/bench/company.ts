import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { metric } from '../e2e/metric.ts';
import { library, openOffice, PREFIX, type Office } from '../e2e/office.ts';
import { startModpress, startService } from '../e2e/service.ts';
import type { Project } from '../fake-gitlab/stand-in.ts';
import { readMemory } from '../services/memory.ts';
import { WorkTree, type FileContent } from '../fake-gitlab/work-tree.ts';

/**
 * Measures a dry run and the first sweeps for a GitLab with 5,000 projects and 50,000 tags, most of them not Go. Run it
 * with `npm run bench:company`.
 */

const PROJECTS = 5_000;
/** One project in GO_EVERY is a Go module. */
const GO_EVERY = 20;
const VERSIONS = ['v1.0.0', 'v1.1.0', 'v1.2.0', 'v1.3.0', 'v1.4.0', 'v1.5.0', 'v1.6.0'];
const OTHERS = ['release-1', 'release-2', 'nightly'];
/** A full last page links to one more page, which is empty (lib/gitlab/pagination/keyset/pager.rb). */
const PAGES = Math.floor(PROJECTS / 100) + 1;
const DAY_MS = 24 * 3_600_000;
/** The heap limit of each modpress process, in MB. A process that needs more fails. */
const HEAP_MB = 96;

const started = performance.now();
await using office = await openOffice({ archiveLimit: 5 });
await makeCompany(office);
say(
  `${PROJECTS} projects, ${PROJECTS * (VERSIONS.length + OTHERS.length)} tags, one project in ${GO_EVERY} a Go module; created in ${seconds(started)}`,
);
const settings = {
  ...office.settings,
  GITLAB_RATE: '100000',
  SWEEP_MINUTES: '1000',
  NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}`,
};
let missed = 0;

await measureDryRun();
const firstCalls = await measureSweep('first sweep, all published or skipped');
target('first sweep: calls for each tag', firstCalls / (PROJECTS * 10), 2, (value) => value.toFixed(2));
const secondCalls = await measureSweep('second sweep, by the next process');
target('second sweep: calls for each page of projects', secondCalls / PAGES, 1, (value) => value.toFixed(2));
process.exitCode = missed === 0 ? 0 : 1;

async function measureDryRun(): Promise<void> {
  office.gitlab.clearRequests();
  const begun = performance.now();
  const { child, result } = await startModpress(['backfill', '--dry-run'], settings);
  const peak = await peakOf(child);
  const { status, stdout, stderr } = await result;
  if (status !== 0) throw new Error(`the dry run ended with ${status}: ${stdout}${stderr}`);
  process.stdout.write(stdout);
  report('backfill --dry-run', begun, peak);
}

/**
 * Starts a service, and waits until its sweep has finished and its queue is empty. Resolves to the number of calls to
 * GitLab.
 */
async function measureSweep(name: string): Promise<number> {
  office.gitlab.clearRequests();
  const begun = performance.now();
  await using service = await startService(settings);
  let peak = 0;
  for (let isOver = false; !isOver;) {
    await sleep(1_000);
    peak = Math.max(peak, (await metric(service.url, 'process_resident_memory_bytes')) / 2 ** 20);
    const jobs = await metric(service.url, 'modpress_queue_jobs');
    isOver = jobs === 0 && (await metric(service.url, 'modpress_sweep_duration_seconds_count')) > 0;
  }
  return report(name, begun, peak);
}

/** Waits until the process ends. Resolves to its highest resident memory, in MB. */
async function peakOf(child: ChildProcess): Promise<number> {
  let peak = 0;
  while (child.exitCode === null && child.signalCode === null) {
    // The process may have ended since the check.
    const memory = await readMemory(child.pid ?? 0).catch(() => undefined);
    peak = Math.max(peak, memory?.peak ?? 0);
    await sleep(200);
  }
  return peak;
}

function report(name: string, begun: number, peakMb: number): number {
  const calls = office.gitlab.requests.length;
  const kinds = new Map<string, number>();
  for (const { path } of office.gitlab.requests) {
    const kind = path
      .replace('/api/v4/', '')
      .replace(/\d+/g, 'ID')
      .replace(/files\/.*/, 'files')
      .replace(/archive.*/, 'archive')
      .replace(/blobs\/.*/, 'blobs')
      .replace(/tags\/.+/, 'tags/NAME');
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  say(
    `${name}: ${seconds(begun)}, ${calls} calls (${Math.ceil(calls / 20 / 60)} min at 20 a second), at most ${peakMb.toFixed(0)} MB of memory, with a heap of ${HEAP_MB} MB`,
  );
  for (const [kind, count] of [...kinds].toSorted(([, one], [, other]) => other - one))
    say(`  ${String(count).padStart(7)} ${kind}`);
  return calls;
}

function target(name: string, value: number, most: number, format: (value: number) => string): void {
  const met = value <= most;
  if (!met) missed++;
  say(`${met ? 'ok    ' : 'MISSED'} ${name}: ${format(value)}, at most ${format(most)}`);
}

/** Creates a few repositories that many projects share, because one repository for each project would take minutes. */
async function makeCompany({ gitlab }: Office): Promise<void> {
  const go = await seed('seeds/go', library(`${PREFIX}/seeds/go`, 'word'));
  const other = await seed('seeds/other', { 'package.json': '{}\n' });
  for (let index = 0; index < PROJECTS; index++) {
    const createdAt = new Date(Date.now() - (2 + (index % 700)) * DAY_MS);
    await gitlab.createProject(`group-${index % 50}/project-${index}`, {
      createdAt,
      sharesRepositoryOf: index % GO_EVERY === 0 ? go : other,
    });
  }
}

async function seed(path: string, files: Record<string, FileContent>): Promise<Project> {
  const project = await office.gitlab.createProject(path);
  await using tree = await WorkTree.create(project);
  for (const tag of [...VERSIONS, ...OTHERS]) {
    await tree.write({ ...files, 'tag.txt': tag }).commit(tag);
    await tree.tag(tag);
  }
  await tree.push();
  await office.gitlab.deleteProject(project);
  return project;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}
