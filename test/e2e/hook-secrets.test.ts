import { randomBytes } from 'node:crypto';
import { describe, expect } from 'vitest';
import { test } from './fixtures.ts';
import { startInProcess, type InProcess } from './in-process.ts';
import { addHook, archiveRequests, library, openOffice, PREFIX, pushTags } from './office.ts';
import { metric } from './metric.ts';
import { watchVersion } from './version-watch.ts';

const current = signingToken();
// Two values of each setting, as during a rotation.
test.override('settings', {
  WEBHOOK_TOKEN: '/the secret of the hook/,the next secret',
  WEBHOOK_SIGNING_TOKEN: `${signingToken()},${current}`,
});
// The time limit of the first test does not cover the start.
test.beforeAll(({ service }) => void service);

describe('a call of the webhook', () => {
  test.for<[string, { token: string } | { signing_token: string }]>([
    ['a wrong token', { token: 'a guess' }],
    ['a wrong signing token', { signing_token: signingToken() }],
  ])('with %s is refused, and publishes nothing', async ([name, secret], { office, service }) => {
    const project = await office.gitlab.createProject(`refused/${name.replaceAll(' ', '-')}`);
    await addHook(office.gitlab, `/projects/${project.id}`, service.url, secret);
    const before = office.gitlab.deliveries.length;
    await pushTags(project, library(`${PREFIX}/${project.path}`, 'no'), 'v1.0.0');
    await office.gitlab.settled();
    expect(office.gitlab.deliveries.slice(before).map(({ event, status }) => [event, status])).toEqual([
      ['Tag Push Hook', 401],
    ]);

    // A job does not overtake an earlier job. So a job of the refused delivery would publish v1.0.0 before v1.0.1.
    await addHook(office.gitlab, `/projects/${project.id}`, service.url, { token: 'the next secret' });
    const module = `${PREFIX}/${project.path}`;
    await using watch = watchVersion(service.url, module, 'v1.0.1');
    await pushTags(project, library(module, 'yes'), 'v1.0.1');
    await watch.published;
    expect((await fetch(`${service.url}/${module}/@v/v1.0.0.info`)).status).toBe(404);
    expect(archiveRequests(office.gitlab, project)).toHaveLength(1);
  });

  test('with a signature is accepted without a token', async ({ office, service }) => {
    const project = await office.gitlab.createProject('signed/hello');
    await addHook(office.gitlab, '/groups/signed', service.url, { signing_token: current });
    const module = `${PREFIX}/signed/hello`;
    await using watch = watchVersion(service.url, module, 'v1.0.0');
    await pushTags(project, library(module, 'signed'), 'v1.0.0');
    await watch.published;
    const delivery = office.gitlab.deliveries.find(({ body }) => body.includes(project.path));
    expect(delivery).toMatchObject({ status: 202, headers: { 'webhook-signature': expect.stringMatching(/^v1,/) } });
    expect(delivery?.headers).not.toHaveProperty('X-Gitlab-Token');
  });

  test('that arrives three times for one push publishes once', async () => {
    await using crowd = await openOffice();
    await using listener = await startInProcess(crowd.settings);
    const project = await crowd.gitlab.createProject('crowd/hello');
    for (const owner of ['/groups/crowd', `/projects/${project.id}`, '']) {
      await addHook(crowd.gitlab, owner, listener.url, { token: '/the secret of the hook/' });
    }
    const module = `${PREFIX}/crowd/hello`;
    await using watch = watchVersion(listener.url, module, 'v1.0.0');
    await pushTags(project, library(module, 'once'), 'v1.0.0');
    await watch.published;
    await crowd.gitlab.settled();
    // The system hook also reports the push as a whole.
    const calls = crowd.gitlab.deliveries.map(({ event, status }) => `${event} ${status}`);
    expect(calls.toSorted()).toEqual(['System Hook 202', 'System Hook 202', 'Tag Push Hook 202', 'Tag Push Hook 202']);
    await expect.poll(() => jobsOf(listener)).toBe(0);
    expect(archiveRequests(crowd.gitlab, project)).toHaveLength(1);
    expect(listener.log.filter(({ event }) => event === 'tag.published')).toHaveLength(1);
  });
});

/** A signing token in GitLab's format. */
function signingToken(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}

/** The number of waiting, running and delayed jobs. */
async function jobsOf({ url }: InProcess): Promise<number> {
  return await metric(url, 'modpress_queue_jobs');
}
