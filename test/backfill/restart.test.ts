import { expect } from 'vitest';
import { library, PREFIX } from '../e2e/office.ts';
import { startModpress, startService } from '../e2e/service.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { freePort } from '../services/free-port.ts';
import { ADMIN_TOKEN, test } from './fixtures.ts';

test.override('gitlabOptions', { archiveLimit: 'off', latencyMs: 100 });

test('modpress backfill --url waits for a service that restarts, and starts the lost backfill again', async ({
  office,
}) => {
  const settings = { ...office.settings, ADMIN_TOKEN, LISTEN: `127.0.0.1:${await freePort()}` };
  // The service starts before the project exists, so that its first sweep does not publish the tags.
  const first = await startService(settings);
  await first.logged('sweep.finished');
  const project = await office.gitlab.createProject('team/lib');
  await using tree = await WorkTree.create(project);
  for (let index = 0; index < 40; index++) {
    await tree.write({ ...library(`${PREFIX}/team/lib`, 'word'), 'n.txt': `${index}` }).commit(`${index}`);
    await tree.tag(`v1.${index}.0`);
  }
  await tree.push();

  const { result } = await startModpress(['backfill', 'team', '--url', first.url], { ADMIN_TOKEN });
  await first.logged('tag.published');
  await first.kill();
  await using second = await startService(settings);
  await second.logged('backfill.requested');
  expect(await result).toMatchObject({ status: 0, stdout: expect.stringMatching(/failed +0\n/) });
  const list = await (await fetch(`${second.url}/${PREFIX}/team/lib/@v/list`)).text();
  expect(list.trim().split('\n')).toHaveLength(40);
}, 60_000);
