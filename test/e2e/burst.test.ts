import { expect } from 'vitest';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { test } from './fixtures.ts';
import { startInProcess } from './in-process.ts';
import { metric } from './metric.ts';
import { addHook, checksumsDirect, checksumsThrough, library, PREFIX, pushTags } from './office.ts';

test('the next sweep publishes 50 tags of one push, for which GitLab calls no webhook', async ({ office }) => {
  const project = await office.gitlab.createProject('platform/burst');
  const module = `${PREFIX}/platform/burst`;
  // The project exists before the service starts, so that the first sweep finds it.
  await using service = await startInProcess({ ...office.settings, SWEEP_MINUTES: '0.1' });
  await addHook(office.gitlab, '/groups/platform', service.url, { token: '/the secret of the hook/' });
  const published = (): number => service.log.filter(({ event }) => event === 'tag.published').length;
  await pushTags(project, library(module, 'first'), 'v0.1.0');
  await expect.poll(published).toBe(1);

  const tags = Array.from({ length: 50 }, (_, index) => `v1.${index}.0`);
  await using tree = await WorkTree.create(project);
  for (const tag of tags) {
    await tree.write(library(module, tag)).commit(tag);
    await tree.tag(tag);
  }
  await tree.push('+main', ...tags);
  await office.gitlab.settled();
  expect(office.gitlab.deliveries).toHaveLength(1);

  await expect.poll(published, { timeout: 60_000 }).toBe(51);
  expect(await metric(service.url, 'modpress_sweep_recovered_total')).toBe(50);
  expect(service.log).toContainEqual(
    expect.objectContaining({ event: 'webhook.missed', project: 'platform/burst', recovered: 50 }),
  );
  const versions = tags.map((tag) => `${module}@${tag}`);
  expect(await checksumsThrough(service.url, ...versions)).toEqual(await checksumsDirect(office.gitlab, ...versions));
}, 150_000);
