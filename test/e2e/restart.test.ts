import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect } from 'vitest';
import { TEMPORARY_ROOT } from '../../src/io/temporary-folder.ts';
import type { Project } from '../fake-gitlab/stand-in.ts';
import { test } from './fixtures.ts';
import {
  addHook,
  archiveRequests,
  archiveUnderWay,
  checksumsDirect,
  checksumsThrough,
  library,
  PREFIX,
  pushTags,
} from './office.ts';
import { watchVersion } from './version-watch.ts';

describe('one process with its queue in memory', () => {
  test('publishes at the next start the tags that it missed and the tag that it was publishing when it was killed', async ({
    office,
    startProcess,
  }) => {
    const [broken, missed] = await Promise.all([
      office.gitlab.createProject('killed/broken'),
      office.gitlab.createProject('killed/missed'),
    ]);
    const service = await startProcess();
    await service.logged('sweep.finished');
    await addHook(office.gitlab, '/groups/killed', service.url, { token: '/the secret of the hook/' });
    office.gitlab.faults.add({
      path: new RegExp(`/projects/${broken.id}/repository/archive`),
      kind: { trickleBytesPerSecond: 1000 },
    });
    await pushTags(broken, heavyLibrary(broken), 'v1.0.0');
    await archiveUnderWay(office.gitlab, broken);
    await service.kill();

    const deliveries = office.gitlab.deliveries.length;
    const tags = ['v1.0.0', 'v1.1.0', 'v1.2.0', 'sub/v0.3.0'];
    const files = library(pathOf(missed), 'missed');
    await pushTags(missed, { ...files, 'sub/go.mod': `module ${pathOf(missed)}/sub\n` }, ...tags);
    await office.gitlab.settled();
    // GitLab calls no hook for a push of more than three tags.
    expect(office.gitlab.deliveries).toHaveLength(deliveries);

    const next = await startProcess();
    await using watch = watchVersion(next.url, pathOf(broken), 'v1.0.0');
    await watch.published;
    const versions = [
      `${pathOf(broken)}@v1.0.0`,
      ...['v1.0.0', 'v1.1.0', 'v1.2.0'].map((version) => `${pathOf(missed)}@${version}`),
      `${pathOf(missed)}/sub@v0.3.0`,
    ];
    await expect
      .poll(() => next.log.filter(({ event }) => event === 'tag.published').length, { timeout: 20_000 })
      .toBe(5);
    expect(await checksumsThrough(next.url, ...versions)).toEqual(await checksumsDirect(office.gitlab, ...versions));
    await next.stop();
  }, 60_000);

  test('finishes running publishes when it is stopped, and leaves nothing to do for the next start', async ({
    office,
    startProcess,
  }) => {
    const project = await office.gitlab.createProject('stopped/slow');
    const service = await startProcess({ GITLAB_SCOPE: 'stopped' });
    await service.logged('sweep.finished');
    await addHook(office.gitlab, '/groups/stopped', service.url, { token: '/the secret of the hook/' });
    office.gitlab.faults.add({
      path: new RegExp(`/projects/${project.id}/repository/archive`),
      kind: { trickleBytesPerSecond: 50_000 },
    });
    await pushTags(project, heavyLibrary(project), 'v1.0.0');
    await archiveUnderWay(office.gitlab, project);
    const filesAtRest = await readdir(join(office.temporaryRoot, basename(TEMPORARY_ROOT)));
    expect(service.log.map(({ event }) => event)).not.toContain('tag.published');
    await service.stop();

    const events = service.log.map(({ event }) => event);
    const end = ['service.stopping', 'tag.published', 'service.stopped'];
    expect(events.filter((event) => end.includes(event))).toEqual(end);
    expect((await readdir(join(office.temporaryRoot, basename(TEMPORARY_ROOT)))).length).toBeLessThan(
      filesAtRest.length,
    );

    const next = await startProcess({ GITLAB_SCOPE: 'stopped' });
    expect(await next.logged('sweep.finished')).toMatchObject({ tags: 1, queued: 0 });
    expect(archiveRequests(office.gitlab, project)).toHaveLength(1);
    const version = `${pathOf(project)}@v1.0.0`;
    expect(await checksumsThrough(next.url, version)).toEqual(await checksumsDirect(office.gitlab, version));
    await next.stop();
  }, 60_000);
});

function pathOf(project: Project): string {
  return `${PREFIX}/${project.path}`;
}

/** A library that is large enough for its archive to take a while on a slow connection. */
function heavyLibrary(project: Project): ReturnType<typeof library> {
  return { ...library(pathOf(project), 'heavy'), 'data.bin': randomBytes(100_000) };
}
