import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import type { FaultKind } from '../fake-gitlab/faults.ts';
import { test } from './fixtures.ts';
import { addHook, checksumsDirect, checksumsThrough, library, PREFIX, pushTags } from './office.ts';
import { watchVersion } from './version-watch.ts';

/** A fault of the first requests of one kind. `retries` is the number of times that the job has to start again. */
interface Trouble {
  readonly name: string;
  readonly faults: readonly { readonly path: string; readonly times: number; readonly kind: FaultKind }[];
  readonly retries: number;
}

const ARCHIVE = 'repository/archive';
const TAG = 'repository/tags/';
const TREE = 'repository/tree';
const maintenance = {
  status: 502,
  body: '<html>GitLab is not responding</html>',
  headers: { 'Content-Type': 'text/html' },
};

/** A call is retried twice after a 5xx, so the attempt of a job fails only after three in a row. */
const TROUBLES: readonly Trouble[] = [
  { name: 'an archive that is cut off, twice', faults: [{ path: ARCHIVE, times: 2, kind: 'truncate' }], retries: 2 },
  { name: 'an archive whose connection drops', faults: [{ path: ARCHIVE, times: 1, kind: 'drop' }], retries: 1 },
  {
    name: 'an archive over the rate limit, replaced by single blobs',
    faults: [
      { path: ARCHIVE, times: 1, kind: { status: 429, body: { message: {} }, headers: { 'Retry-After': '1' } } },
    ],
    retries: 0,
  },
  {
    name: 'an archive request while GitLab is down',
    faults: [{ path: ARCHIVE, times: 3, kind: maintenance }],
    retries: 1,
  },
  { name: 'a tag request while GitLab is down', faults: [{ path: TAG, times: 3, kind: maintenance }], retries: 1 },
  { name: 'a tree request while GitLab is down', faults: [{ path: TREE, times: 3, kind: maintenance }], retries: 1 },
  { name: 'a short outage', faults: [{ path: TREE, times: 1, kind: maintenance }], retries: 0 },
  {
    name: 'an HTML page instead of the tag',
    faults: [{ path: TAG, times: 1, kind: { status: 200, body: '<html>Sign in</html>' } }],
    retries: 1,
  },
  { name: 'a tree that is cut off', faults: [{ path: TREE, times: 1, kind: 'truncate' }], retries: 0 },
  {
    name: 'a slow GitLab',
    faults: [
      { path: TREE, times: 1, kind: { delayMs: 700 } },
      { path: ARCHIVE, times: 1, kind: { trickleBytesPerSecond: 30_000 } },
    ],
    retries: 0,
  },
  {
    name: 'several faults in a row',
    faults: [
      { path: TAG, times: 1, kind: { status: 200, body: '<html>Sign in</html>' } },
      { path: TREE, times: 3, kind: maintenance },
      { path: ARCHIVE, times: 1, kind: 'truncate' },
    ],
    // Tree and archive are requested at the same time, so these two faults cost one attempt.
    retries: 2,
  },
];

test.beforeAll(async ({ office, service }) => {
  office.gitlab.createGroup('troubled');
  await addHook(office.gitlab, '/groups/troubled', service.url, { token: '/the secret of the hook/' });
});

describe.concurrent('a tag is published in the end, and its version is never visible in part', () => {
  test.for(TROUBLES)('$name', { timeout: 60_000 }, async ({ name, faults, retries }, { office, service }) => {
    const project = await office.gitlab.createProject(`troubled/${name.toLowerCase().replaceAll(/[^a-z]+/g, '-')}`);
    const module = `${PREFIX}/${project.path}`;
    const added = faults.map(({ path, times, kind }) =>
      office.gitlab.faults.add({ path: new RegExp(`/projects/${project.id}/${path}`), times, kind }),
    );
    await using watch = watchVersion(service.url, module, 'v1.0.0');
    await pushTags(project, { ...library(module, 'late'), 'data.bin': randomBytes(20_000) }, 'v1.0.0');
    await watch.published;

    expect(watch.absences).toBeGreaterThan(0);
    expect(added.map(({ hits }) => hits)).toEqual(faults.map(({ times }) => times));
    const failures = service.log.filter(({ projectId, attempt }) => projectId === project.id && attempt !== undefined);
    expect(failures.map(({ event }) => event)).toEqual(Array.from({ length: retries }, () => 'job.retried'));
    const version = `${module}@v1.0.0`;
    expect(await checksumsThrough(service.url, version)).toEqual(await checksumsDirect(office.gitlab, version));
  });

  test('a zip and a go.mod that a killed process left behind are not served, and are replaced by the right ones', async ({
    expect: here,
    office,
    service,
  }) => {
    const project = await office.gitlab.createProject('troubled/left-behind');
    const module = `${PREFIX}/${project.path}`;
    const folder = join(office.folder, 'data', 'modules', module, '@v');
    await mkdir(folder, { recursive: true });
    await Promise.all(['zip', 'mod'].map((file) => writeFile(join(folder, `v1.0.0.${file}`), 'left behind')));
    await using watch = watchVersion(service.url, module, 'v1.0.0');
    await here.poll(() => watch.absences).toBeGreaterThan(0);
    await pushTags(project, library(module, 'right'), 'v1.0.0');
    await watch.published;
    const version = `${module}@v1.0.0`;
    expect(await checksumsThrough(service.url, version)).toEqual(await checksumsDirect(office.gitlab, version));
  });
});
