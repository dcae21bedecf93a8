import { expect, test } from 'vitest';
import { library, openOffice, PREFIX } from '../e2e/office.ts';
import { startModpress, startService } from '../e2e/service.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { freePort } from '../services/free-port.ts';

const ADMIN_TOKEN = 'the-token-of-the-admins';

test('modpress backfill --url waits for a service that restarts, and starts the forgotten backfill again', async () => {
  await using office = await openOffice({ archiveLimit: 'off', latencyMs: 100 });
  const settings = { ...office.settings, ADMIN_TOKEN, LISTEN: `127.0.0.1:${await freePort()}` };
  // Started before the project exists, so that the sweep at the start leaves everything to the backfill.
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
