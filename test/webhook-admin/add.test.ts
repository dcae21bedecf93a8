import { describe, expect } from 'vitest';
import { all, call } from '../fake-gitlab/api-client.ts';
import { test } from './fixtures.ts';
import { DESIRED, HOOK_URL, PUBLIC_URL, SECRET, SIGNING } from './hook-office.ts';

describe('a group', () => {
  test('gets one hook for tags with the secret, and never a second one', async ({ office, createGroup }) => {
    const name = createGroup();
    const first = await office.hooks(`add ${name} ${PUBLIC_URL}`);
    expect(first).toMatchObject({
      status: 0,
      stderr: '',
      stdout: expect.stringMatching(new RegExp(`^registered group ${name}: webhook \\d+\n$`)),
    });
    expect(await office.hooksOf(`/groups/${name}`)).toEqual([expect.objectContaining(DESIRED)]);

    office.gitlab.clearRequests();
    for (const url of [PUBLIC_URL, '--public-url https://GO.example:443/', `--public-url ${HOOK_URL}`]) {
      expect(await office.hooks(`add ${name} ${url}`)).toMatchObject({
        status: 0,
        stderr: '',
        stdout: expect.stringMatching(/^kept group .* has the right settings; its secret was set again\n$/),
      });
    }
    expect(office.gitlab.requests.filter(({ method }) => method === 'POST')).toEqual([]);
  });

  test('gets one hook from two commands at the same time', async ({ office, createGroup }) => {
    const name = createGroup();
    const slow = office.gitlab.faults.add({
      path: new RegExp(`/groups/${name}/hooks$`),
      method: 'POST',
      kind: { delayMs: 2_000 },
      times: 2,
    });
    const both = await Promise.all([
      office.hooks(`add ${name} ${PUBLIC_URL}`),
      office.hooks(`add ${name} ${PUBLIC_URL}`),
    ]);
    expect(slow.hits).toBe(2);
    expect(both.map(({ status }) => status)).toEqual([0, 0]);
    expect(await office.hooksOf(`/groups/${name}`)).toEqual([expect.objectContaining(DESIRED)]);
  });

  test('gets a hook if GITLAB_SCOPE names it, and so does a project', async ({ office, createGroup }) => {
    const [name, other] = [createGroup(), createGroup()];
    const project = await office.gitlab.createProject(`${other}/lib`);
    expect(await office.hooks(`add ${PUBLIC_URL}`, { GITLAB_SCOPE: `${name},${other}/lib` })).toMatchObject({
      status: 0,
      stderr: '',
    });
    expect(await office.hooksOf(`/groups/${name}`)).toEqual([expect.objectContaining(DESIRED)]);
    expect(await office.hooksOf(`/projects/${project.id}`)).toEqual([expect.objectContaining(DESIRED)]);
    expect(await office.hooksOf(`/groups/${other}`)).toEqual([]);
  });

  test('has a wrong hook corrected, even if the hook is not on the first page of the list', async ({
    office,
    createGroup,
  }) => {
    const name = createGroup();
    for (let index = 0; index < 120; index++)
      await office.register(`/groups/${name}`, { url: `https://other${index}.example/-/webhook`, token: 'x' });
    const existing = await office.register(`/groups/${name}`, {
      url: `${HOOK_URL}/`,
      enable_ssl_verification: false,
    });
    const { status, stdout } = await office.hooks(`add ${name} ${PUBLIC_URL}`);
    expect([status, stdout]).toEqual([
      0,
      `changed group ${name}: webhook ${existing.id}: push_events should be false, tag_push_events should be true, enable_ssl_verification should be true, token is not set\n`,
    ]);
    expect((await call(office.gitlab, `/groups/${name}/hooks/${existing.id}`)).json).toMatchObject({
      ...DESIRED,
      url: existing.url,
    });
    expect((await all(office.gitlab, `/groups/${name}/hooks`)).items).toHaveLength(121);
    expect((await office.hooks(`add ${name} ${PUBLIC_URL}`)).stdout).toMatch(/^kept/);
  });

  test('covers the projects and groups below it', async ({ office, createGroup }) => {
    const name = createGroup();
    const project = await office.gitlab.createProject(`${name}/sub/lib`);
    const { status, stdout } = await office.hooks(`add ${project.path} ${name}/sub ${name} ${PUBLIC_URL}`);
    expect(status).toBe(0);
    expect(stdout.split('\n').toSorted()).toEqual([
      '',
      `covered group ${name}/sub: the webhook of group ${name} also reports its tags`,
      `covered project ${project.path}: the webhook of group ${name} also reports its tags`,
      expect.stringContaining(`registered group ${name}: webhook`),
    ]);

    const later = await office.hooks(`add ${project.path} ${PUBLIC_URL}`);
    expect(later.stdout).toContain(`covered project ${project.path}: the webhook of group ${name}`);
    expect(await office.hooksOf(`/projects/${project.id}`)).toEqual([]);
    expect(await office.hooksOf(`/groups/${name}%2Fsub`)).toEqual([]);
  });
});

describe('secrets', () => {
  test('are the first value of each setting', async ({ office, createGroup }) => {
    const name = createGroup();
    await office.hooks(`add ${name} ${PUBLIC_URL}`, {
      WEBHOOK_TOKEN: `${SECRET},older`,
      WEBHOOK_SIGNING_TOKEN: `${SIGNING},${SIGNING}`,
    });
    expect(await office.hooksOf(`/groups/${name}`)).toEqual([
      expect.objectContaining({ ...DESIRED, signing_token_present: true }),
    ]);
  });

  test('are set again where GitLab does not report whether they are set', async ({ office, createGroup }) => {
    const name = createGroup();
    const { id } = await office.register(`/groups/${name}`, {
      url: HOOK_URL,
      push_events: false,
      tag_push_events: true,
    });
    const before19 = { id, url: HOOK_URL, push_events: false, tag_push_events: true, enable_ssl_verification: true };
    office.gitlab.faults.add({
      path: new RegExp(`/groups/${name}/hooks\\?`),
      kind: { status: 200, body: [before19] },
    });
    expect(await office.hooks(`add ${name} ${PUBLIC_URL}`)).toMatchObject({
      status: 0,
      stdout: `kept group ${name}: webhook ${id} has the right settings; its secret was set again\n`,
    });
    expect(await office.hooksOf(`/groups/${name}`)).toEqual([expect.objectContaining(DESIRED)]);
  });

  test('that GitLab ignores are reported', async ({ office, createGroup }) => {
    const name = createGroup();
    // A GitLab before 19.0 does not have the parameter, and its response does not contain it.
    office.gitlab.faults.add({
      path: new RegExp(`/groups/${name}/hooks$`),
      method: 'POST',
      kind: { status: 201, body: { id: 999, url: HOOK_URL, push_events: false, tag_push_events: true } },
    });
    const { status, stderr } = await office.hooks(`add ${name} ${PUBLIC_URL}`, {
      WEBHOOK_TOKEN: '',
      WEBHOOK_SIGNING_TOKEN: SIGNING,
    });
    expect([status, stderr]).toEqual([
      1,
      `modpress: group ${name}: this GitLab ignores signing tokens (they need GitLab 19.0), so the service will refuse every delivery: set WEBHOOK_TOKEN\n`,
    ]);
    expect(
      (await office.hooks(`add ${name} ${PUBLIC_URL}`, { WEBHOOK_TOKEN: '', WEBHOOK_SIGNING_TOKEN: SIGNING })).status,
    ).toBe(0);
  });
});

test('--system registers only the system hook, once', async ({ office }) => {
  const admin = { GITLAB_TOKEN: office.gitlab.rootToken, GITLAB_SCOPE: 'not/there' };
  const system = { ...DESIRED, repository_update_events: true, merge_requests_events: false };
  expect(await office.hooks(`add --system ${PUBLIC_URL}`, admin)).toMatchObject({
    status: 0,
    stderr: '',
    stdout: expect.stringMatching(/^registered system hook: webhook \d+\n$/),
  });
  expect((await office.hooks(`add --system ${PUBLIC_URL}`, admin)).stdout).toMatch(/^kept system hook/);
  expect(await office.hooksOf('')).toEqual([expect.objectContaining(system)]);
  expect(await office.hooks(`check --system ${PUBLIC_URL}`, admin)).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^ok system hook: webhook \d+: enabled; not tested: GitLab does not report/),
  });
});

describe('reports what GitLab does not allow in one line with status 1, and registers nothing', () => {
  test.for([
    [
      'a token without the scope',
      { scopes: ['read_api'] },
      'GITLAB_TOKEN may not change webhooks (403): it needs the scope api',
    ],
    [
      'a role too low for the group',
      { scopes: ['api'], role: 'reporter' },
      'group GROUP: GITLAB_TOKEN is not allowed to do this (403): it needs the role Owner of the group. If you name the projects instead, the role Maintainer is enough',
    ],
  ] as const)('%s', async ([, token, line], { office, createGroup }) => {
    const name = createGroup();
    const { status, stdout, stderr } = await office.hooks(`add ${name} ${PUBLIC_URL}`, {
      GITLAB_TOKEN: office.gitlab.createToken(token),
    });
    expect([status, stdout, stderr]).toEqual([1, '', `modpress: ${line.replace('GROUP', name)}\n`]);
    expect(await office.hooksOf(`/groups/${name}`)).toEqual([]);
  });

  test('a role too low for a project, after a group with a sufficient role', async ({ office, createGroup }) => {
    const name = createGroup();
    const project = await office.gitlab.createProject(`${createGroup()}/lib`, { visibility: 'public' });
    const token = office.gitlab.createToken({ scopes: ['api'], projects: [name] });
    const { status, stdout, stderr } = await office.hooks(`add ${name} ${project.path} ${PUBLIC_URL}`, {
      GITLAB_TOKEN: token,
    });
    expect([status, stdout, stderr]).toEqual([
      1,
      '',
      `modpress: project ${project.path}: GITLAB_TOKEN is not allowed to do this (403): it needs the role Maintainer of the project\n`,
    ]);
    expect(await office.hooksOf(`/groups/${name}`)).toEqual([]);
  });

  test('the token of a user who is not an administrator', async ({ office }) => {
    expect(await office.hooks(`add --system ${PUBLIC_URL}`)).toMatchObject({
      status: 1,
      stdout: '',
      stderr:
        'modpress: system hook: GITLAB_TOKEN is not allowed to do this (403): it needs a token of an administrator\n',
    });
  });

  test('an unknown token', async ({ office, createGroup }) => {
    const { status, stderr } = await office.hooks(`add ${createGroup()} ${PUBLIC_URL}`, {
      GITLAB_TOKEN: 'glpat-wrong',
    });
    expect([status, stderr]).toEqual([
      1,
      'modpress: GitLab does not accept GITLAB_TOKEN (401): it is wrong, expired or revoked\n',
    ]);
  });

  test('an address that GitLab refuses for one project only', async ({ office, createGroup }) => {
    const [refused, accepted] = [
      await office.gitlab.createProject(`${createGroup()}/lib`),
      await office.gitlab.createProject(`${createGroup()}/lib`),
    ];
    office.gitlab.faults.add({
      path: new RegExp(`/projects/${refused.id}/hooks$`),
      method: 'POST',
      kind: { status: 422, body: { error: 'Invalid url given' } },
    });
    const { status, stdout, stderr } = await office.hooks(`add ${refused.path} ${accepted.path} ${PUBLIC_URL}`);
    expect([status, stderr]).toEqual([
      1,
      `modpress: project ${refused.path}: GitLab answered 422: Invalid url given\n`,
    ]);
    expect(stdout).toMatch(new RegExp(`^registered project ${accepted.path}: webhook \\d+\n$`));
  });

  test('a GitLab that is down', async ({ office, createGroup }) => {
    const name = createGroup();
    office.gitlab.faults.add({
      path: new RegExp(`/groups/${name}/hooks$`),
      method: 'POST',
      kind: { status: 503, body: 'down' },
    });
    const { status, stdout, stderr } = await office.hooks(`add ${name} ${PUBLIC_URL}`);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^modpress: GitLab answered 503 for .*; run the command again when GitLab is available\n$/);
  });
});

describe('reports a wrong call in one line with status 2', () => {
  test.for([
    ['no command', PUBLIC_URL, 'the first argument must be add or check'],
    ['no target', `add ${PUBLIC_URL}`, 'no group or project is given'],
    ['no address', 'add some', '--public-url is missing'],
    ['an invalid address', 'add some --public-url go.example', '--public-url must be an http'],
    [
      'credentials in the address',
      'add some --public-url https://a:b@go.example',
      '--public-url must not contain credentials',
    ],
    ['--repair of add', `add some --repair ${PUBLIC_URL}`, '--repair and --json are options of hooks check only'],
    ['an unknown option', `add some --sistem ${PUBLIC_URL}`, "Unknown option '--sistem'"],
    ['an unknown target', `add no/such/group ${PUBLIC_URL}`, 'no/such/group: GitLab has no such group or project'],
  ] as const)('%s', async ([, args, message], { office }) => {
    const { status, stdout, stderr } = await office.hooks(args);
    expect(stderr).toContain(`modpress: ${message}`);
    expect(stderr.split('\n').slice(1)).toEqual(['modpress: see modpress hooks --help', '']);
    expect([status, stdout]).toEqual([2, '']);
  });

  test('registers nothing if one of the targets is unknown', async ({ office, createGroup }) => {
    const name = createGroup();
    expect((await office.hooks(`add ${name} ${name}/none ${PUBLIC_URL}`)).status).toBe(2);
    expect(await office.hooksOf(`/groups/${name}`)).toEqual([]);
  });

  test('missing settings, one line each', async ({ office }) => {
    const { status, stderr } = await office.hooks(`add some ${PUBLIC_URL}`, {
      GITLAB_URL: '',
      GITLAB_TOKEN: '',
      WEBHOOK_TOKEN: '',
    });
    expect([status, stderr.match(/^modpress: [A-Z_]+ /gm)]).toEqual([
      2,
      ['modpress: GITLAB_URL ', 'modpress: GITLAB_TOKEN ', 'modpress: WEBHOOK_TOKEN '],
    ]);
  });
});

test('--help explains the commands, the options and the exit status', async ({ office }) => {
  const { status, stdout } = await office.hooks('--help');
  expect(status).toBe(0);
  for (const word of [
    'add',
    'check',
    '--system',
    '--public-url',
    '--repair',
    '--json',
    'Exit status',
    'GITLAB_SCOPE',
    'Maintainer',
    'Owner',
  ])
    expect(stdout).toContain(word);
});
