import { describe, expect } from 'vitest';
import { call } from '../fake-gitlab/api-client.ts';
import type { Project } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { test as base } from './fixtures.ts';
import { SECRET, type ShownHook } from './hook-office.ts';

const SETTINGS = { push_events: false, tag_push_events: true, token: SECRET };

/** A group that no other test uses, with one project that has a commit. */
interface Library {
  readonly group: string;
  readonly project: Project;
  readonly tree: WorkTree;
}

const test = base
  /** The address of the service whose hooks are checked. `receiver` is this service. */
  .extend('serviceUrl', ({ receiver }) => new URL(receiver.url).origin)
  .extend('lib', async ({ gitlab, createGroup }, { onCleanup }): Promise<Library> => {
    const group = createGroup();
    const project = await gitlab.createProject(`${group}/lib`);
    const tree = await WorkTree.create(project);
    onCleanup(() => tree.remove());
    await tree.write({ 'go.mod': 'module m\n' }).commit('First');
    await tree.push();
    return { group, project, tree };
  })
  /** Runs `modpress hooks check` for the group, with further arguments. */
  .extend('check', ({ office, lib: { group }, serviceUrl }) => {
    return (args = '', settings: Readonly<Record<string, string>> = {}) =>
      office.hooks(`check ${group} --public-url ${serviceUrl}${args === '' ? '' : ` ${args}`}`, settings);
  })
  /** Registers the hook of the group as modpress would, except for the given settings. */
  .extend('register', ({ office, lib: { group }, serviceUrl }) => {
    return (settings: object = {}) =>
      office.register(`/groups/${group}`, { ...SETTINGS, ...settings, url: `${serviceUrl}/-/webhook` });
  })
  /** Reads the hook of the group. */
  .extend('currentHook', ({ office, lib: { group } }) => {
    return async (): Promise<ShownHook> => {
      const [found] = await office.hooksOf(`/groups/${group}`);
      if (found === undefined) throw new Error(`group ${group} has no hook`);
      return found;
    };
  })
  /** Pushes a new tag, and waits until GitLab has called the hook. */
  .extend('pushTag', ({ gitlab, lib: { tree } }) => {
    return async (tag: string): Promise<void> => {
      await tree.tag(tag);
      await tree.push(tag);
      await gitlab.settled();
    };
  })
  /** Makes GitLab disable the hook by four failures in a row. */
  .extend('disable', ({ receiver, pushTag }) => {
    return async (): Promise<void> => {
      receiver.status = 503;
      for (const tag of ['v1.0.0', 'v1.1.0', 'v1.2.0', 'v1.3.0']) await pushTag(tag);
    };
  });

test.afterEach(({ gitlab }) => gitlab.faults.clear());

describe('check', () => {
  test('prints one line and ends with status 0 for a hook that works', async ({
    receiver,
    lib: { group },
    check,
    register,
  }) => {
    const { id } = await register();
    expect(await check()).toEqual({
      status: 0,
      stderr: '',
      stdout: `ok group ${group}: webhook ${id}: enabled; reaches the service; no deliveries yet\n`,
    });
    expect(receiver.received).toHaveLength(1);
    expect(receiver.received[0]?.headers['x-gitlab-event']).toBe('Tag Push Hook');
  });

  test('reports a missing hook', async ({ lib: { group }, check }) => {
    expect(await check()).toEqual({
      status: 1,
      stderr: '',
      stdout: `MISSING group ${group}: there is no webhook; run modpress hooks add to register it\n`,
    });
  });

  test('reports the results of the last deliveries, and the time of the last failure', async ({
    receiver,
    check,
    register,
    pushTag,
  }) => {
    await register();
    await pushTag('v1.0.0');
    receiver.status = 503;
    await pushTag('v1.1.0');
    receiver.status = 200;
    expect((await check()).stdout).toMatch(
      /; last deliveries: 1 arrived, 1 failed, the last failure at 20\d\d-\S+Z with 503\n$/,
    );
  });

  test('reports a wrong secret', async ({ receiver, check, register }) => {
    await register();
    receiver.status = 401;
    expect(await check()).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/^WRONG group .*: enabled; has a wrong secret: the service answered 401;/),
    });
  });

  test('reports a service that cannot be reached, and one that answers with an error', async ({
    office,
    receiver,
    lib: { group },
    check,
    register,
  }) => {
    await register();
    receiver.status = 503;
    expect(await check()).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/^WRONG .*: enabled; the service answered 503/),
    });
    const nowhere = 'http://127.0.0.1:1';
    await office.register(`/groups/${group}`, { ...SETTINGS, url: `${nowhere}/-/webhook` });
    expect(await office.hooks(`check ${group} --public-url ${nowhere}`)).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/^WRONG .*: enabled; GitLab cannot reach the service: .*ECONNREFUSED/),
    });
  });

  test('reports a wrong setting', async ({ check, register }) => {
    await register({ tag_push_events: false, token: '' });
    expect(await check()).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/^WRONG .*; tag_push_events should be true; token is not set; /),
    });
  });

  test('does not test a disabled hook, because a test could enable it', async ({
    receiver,
    check,
    register,
    currentHook,
    disable,
  }) => {
    await register();
    await disable();
    const { status, stdout } = await check();
    expect(stdout).toMatch(
      /^WRONG .*: disabled until 20\d\d-\S+Z after failures; not tested: .*use --repair; last deliveries: 0 arrived, 4 failed/,
    );
    expect([status, receiver.received.length]).toEqual([1, 4]);
    expect(await currentHook()).toMatchObject({ alert_status: 'temporarily_disabled' });
  });

  test('reports a hook that is disabled permanently', async ({ gitlab, lib: { group }, check, register }) => {
    const shown = await register();
    gitlab.faults.add({
      path: new RegExp(`/groups/${group}/hooks\\?`),
      kind: { status: 200, body: [{ ...shown, alert_status: 'disabled' }] },
    });
    expect(await check()).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/^WRONG .*: permanently disabled after too many failures/),
    });
  });

  test('ends with status 1 if GitLab allows no more tests in this minute', async ({
    gitlab,
    lib: { group },
    check,
    register,
  }) => {
    const { id } = await register();
    const token = gitlab.createToken({ scopes: ['api'] });
    for (let index = 0; index < 5; index++)
      await call(gitlab, `/groups/${group}/hooks/${id}/test/tag_push_events`, { method: 'POST', token });
    expect(await check('', { GITLAB_TOKEN: token })).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('not tested: GitLab allows 5 tests per minute'),
    });
  });

  test('finds nothing wrong with a project without commits, which GitLab cannot test', async ({
    gitlab,
    office,
    createGroup,
    serviceUrl,
  }) => {
    const empty = await gitlab.createProject(`${createGroup()}/lib`);
    await office.register(`/projects/${empty.id}`, { ...SETTINGS, url: `${serviceUrl}/-/webhook` });
    expect(await office.hooks(`check ${empty.path} --public-url ${serviceUrl}`)).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(
        /^ok project .*not tested: GitLab reports: Ensure the project has at least one commit/,
      ),
    });
  });

  test('checks the hook of the group that covers a project', async ({
    office,
    receiver,
    serviceUrl,
    lib: { group, project },
    register,
  }) => {
    await register();
    const { status, stdout } = await office.hooks(`check ${project.path} --public-url ${serviceUrl}`);
    expect([status, stdout]).toEqual([
      0,
      expect.stringMatching(
        new RegExp(
          `^ok group ${group}: .*\ncovered project ${project.path}: the webhook of group ${group} also reports its tags\n$`,
        ),
      ),
    ]);
    receiver.status = 503;
    expect((await office.hooks(`check ${project.path} --public-url ${serviceUrl}`)).status).toBe(1);
  });

  test('--json prints one object per line', async ({ receiver, lib: { group, project }, check, register, pushTag }) => {
    const { id } = await register();
    receiver.status = 503;
    await pushTag('v1.0.0');
    const { status, stdout } = await check(`${project.path} --json`);
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line): unknown => JSON.parse(line)),
    ).toEqual([
      {
        kind: 'group',
        path: group,
        ok: false,
        hook: id,
        state: 'executable',
        disabledUntil: null,
        faults: [],
        test: { result: 'failed', problem: 'the service answered 503' },
        deliveries: { succeeded: 0, failed: 1, lastFailure: { at: expect.any(String), status: '503' } },
      },
      { kind: 'project', path: project.path, ok: true, state: 'covered', by: `group ${group}` },
    ]);
    expect(status).toBe(1);
  });
});

describe('check --repair', () => {
  test('registers a missing hook', async ({ check }) => {
    expect(await check('--repair')).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^ok group .*: webhook \d+: repaired \(registered\); enabled; reaches the service/),
    });
    expect((await check()).status).toBe(0);
  });

  test('changes nothing for a hook that works', async ({ gitlab, check, register }) => {
    await register();
    gitlab.clearRequests();
    expect((await check('--repair')).stdout).not.toContain('repaired');
    expect(gitlab.requests.filter(({ method }) => method !== 'GET').map(({ path }) => path)).toEqual([
      expect.stringMatching(/\/test\/tag_push_events$/),
    ]);
  });

  test('sets the settings and the secret again', async ({ receiver, check, register, pushTag }) => {
    await register({ token: 'an old one', tag_push_events: false });
    expect((await check('--repair')).stdout).toMatch(/repaired \(settings and secret set again\)/);
    await pushTag('v1.0.0');
    expect(receiver.received.at(-1)?.headers['x-gitlab-token']).toBe(SECRET);
  });

  test('does not replace a secret that the service still accepts after a rotation, but hooks add does', async ({
    office,
    receiver,
    serviceUrl,
    lib: { group },
    check,
    register,
    pushTag,
  }) => {
    await register({ token: 'an old one' });
    expect((await check('--repair')).stdout).not.toContain('repaired');
    const added = await office.hooks(`add ${group} --public-url ${serviceUrl}`, {
      WEBHOOK_TOKEN: `${SECRET},an old one`,
    });
    expect(added).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^kept group .*; its secret was set again\n$/),
    });
    await pushTag('v1.0.0');
    expect(receiver.received.at(-1)?.headers['x-gitlab-token']).toBe(SECRET);
  });

  test('enables the hook and sends five failed deliveries again; the sweep finds the other tags', async ({
    receiver,
    check,
    register,
    currentHook,
    pushTag,
  }) => {
    await register();
    // GitLab disables a hook after four failures in a row. The success in between delays that.
    for (const [minor, status] of [503, 503, 503, 200, 503, 503, 503, 503].entries()) {
      receiver.status = status;
      await pushTag(`v1.${minor}.0`);
    }
    expect(await currentHook()).toMatchObject({ alert_status: 'temporarily_disabled' });
    receiver.status = 200;

    const before = receiver.received.length;
    const { status, stdout } = await check('--repair');
    expect(stdout).toMatch(/^ok .*: repaired \(settings and secret set again, enabled\); enabled; reaches the service/);
    expect(stdout).toContain(
      '; sent again: 5 arrived, 0 failed, 2 not sent because GitLab allows 5 per minute; the sweep finds their tags\n',
    );
    expect(status).toBe(0);
    expect(await currentHook()).toMatchObject({ alert_status: 'executable' });
    // The test comes first, then the oldest lost deliveries.
    const tags = receiver.received.slice(before + 1).map(({ body }) => (JSON.parse(body) as { ref: string }).ref);
    expect(tags).toEqual([0, 1, 2, 4, 5].map((minor) => `refs/tags/v1.${minor}.0`));

    // Deliveries that have arrived by now are not sent again.
    expect((await check('--repair')).stdout).toContain('; sent again: 2 arrived, 0 failed\n');
    expect((await check('--repair')).stdout).not.toContain('sent again');
  });

  test('reports what is still wrong after the repair', async ({ check, register, disable }) => {
    await register();
    await disable();
    expect(await check('--repair')).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/^WRONG .*: repaired .*; disabled until .*; the service answered 503/),
    });
  });
});
