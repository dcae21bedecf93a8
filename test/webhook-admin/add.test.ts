import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { all, call } from '../fake-gitlab/api-client.ts';
import { openHookOffice, SECRET, SIGNING, type HookOffice } from './hook-office.ts';

const AT = '--public-url https://go.example';
const URL_OF_HOOK = 'https://go.example/-/webhook';
/** What a hook of ours looks like. */
const OURS = {
  url: URL_OF_HOOK,
  push_events: false,
  tag_push_events: true,
  enable_ssl_verification: true,
  token_present: true,
  signing_token_present: false,
};

let licensed: HookOffice;
let count = 0;
beforeAll(async () => {
  licensed = await openHookOffice();
});
afterAll(() => licensed?.[Symbol.asyncDispose]());

/** A group nobody else uses. */
function group(office = licensed): string {
  const name = `group${++count}`;
  office.gitlab.createGroup(name);
  return name;
}

describe('a group', () => {
  test('gets one hook for tags, with the secret, and never a second one', async () => {
    const name = group();
    const first = await licensed.hooks(`add ${name} ${AT}`);
    expect(first).toMatchObject({
      status: 0,
      stderr: '',
      stdout: expect.stringMatching(new RegExp(`^registered group ${name}: hook \\d+\n$`)),
    });
    expect(await licensed.shown(`/groups/${name}`)).toEqual([expect.objectContaining(OURS)]);

    licensed.gitlab.clearRequests();
    for (const url of [AT, '--public-url https://GO.example:443/', `--public-url ${URL_OF_HOOK}`]) {
      expect(await licensed.hooks(`add ${name} ${url}`)).toMatchObject({
        status: 0,
        stderr: '',
        stdout: expect.stringMatching(/^kept group .* is as it should be, its secret was set again\n$/),
      });
    }
    expect(licensed.gitlab.requests.filter(({ method }) => method === 'POST')).toEqual([]);
  });

  test('gets one hook from two who register it at the same time', async () => {
    const name = group();
    const slow = licensed.gitlab.faults.add({
      path: new RegExp(`/groups/${name}/hooks$`),
      method: 'POST',
      kind: { delayMs: 2_000 },
      times: 2,
    });
    const both = await Promise.all([licensed.hooks(`add ${name} ${AT}`), licensed.hooks(`add ${name} ${AT}`)]);
    expect(slow.hits).toBe(2);
    expect(both.map(({ status }) => status)).toEqual([0, 0]);
    expect(await licensed.shown(`/groups/${name}`)).toEqual([expect.objectContaining(OURS)]);
  });

  test('is taken from GITLAB_SCOPE, with projects', async () => {
    const [name, other] = [group(), group()];
    const project = await licensed.gitlab.createProject(`${other}/lib`);
    expect(await licensed.hooks(`add ${AT}`, { GITLAB_SCOPE: `${name},${other}/lib` })).toMatchObject({
      status: 0,
      stderr: '',
    });
    expect(await licensed.shown(`/groups/${name}`)).toEqual([expect.objectContaining(OURS)]);
    expect(await licensed.shown(`/projects/${project.id}`)).toEqual([expect.objectContaining(OURS)]);
    expect(await licensed.shown(`/groups/${other}`)).toEqual([]);
  });

  test('has its hook found on whatever page, and put right', async () => {
    const name = group();
    for (let index = 0; index < 120; index++)
      await licensed.register(`/groups/${name}`, { url: `https://other${index}.example/-/webhook`, token: 'x' });
    const ours = await licensed.register(`/groups/${name}`, { url: `${URL_OF_HOOK}/`, enable_ssl_verification: false });
    const { status, stdout } = await licensed.hooks(`add ${name} ${AT}`);
    expect([status, stdout]).toEqual([
      0,
      `changed group ${name}: hook ${ours.id}: push_events should be false, tag_push_events should be true, enable_ssl_verification should be true, token is not set\n`,
    ]);
    expect((await call(licensed.gitlab, `/groups/${name}/hooks/${ours.id}`)).json).toMatchObject({
      ...OURS,
      url: ours.url,
    });
    expect((await all(licensed.gitlab, `/groups/${name}/hooks`)).items).toHaveLength(121);
    expect((await licensed.hooks(`add ${name} ${AT}`)).stdout).toMatch(/^kept/);
  });

  test('covers the projects and groups below it', async () => {
    const name = group();
    const project = await licensed.gitlab.createProject(`${name}/sub/lib`);
    const { status, stdout } = await licensed.hooks(`add ${project.path} ${name}/sub ${name} ${AT}`);
    expect(status).toBe(0);
    expect(stdout.split('\n').toSorted()).toEqual([
      '',
      `covered group ${name}/sub: the hook of group ${name} hears of its tags`,
      `covered project ${project.path}: the hook of group ${name} hears of its tags`,
      expect.stringContaining(`registered group ${name}: hook`),
    ]);

    const later = await licensed.hooks(`add ${project.path} ${AT}`);
    expect(later.stdout).toContain(`covered project ${project.path}: the hook of group ${name}`);
    expect(await licensed.shown(`/projects/${project.id}`)).toEqual([]);
    expect(await licensed.shown(`/groups/${name}%2Fsub`)).toEqual([]);
  });
});

describe('secrets', () => {
  test('are the first of each setting', async () => {
    const name = group();
    await licensed.hooks(`add ${name} ${AT}`, {
      WEBHOOK_TOKEN: `${SECRET},older`,
      WEBHOOK_SIGNING_TOKEN: `${SIGNING},${SIGNING}`,
    });
    expect(await licensed.shown(`/groups/${name}`)).toEqual([
      expect.objectContaining({ ...OURS, signing_token_present: true }),
    ]);
  });

  test('are set again where GitLab does not tell whether they are there', async () => {
    const name = group();
    const { id } = await licensed.register(`/groups/${name}`, {
      url: URL_OF_HOOK,
      push_events: false,
      tag_push_events: true,
    });
    const before19 = { id, url: URL_OF_HOOK, push_events: false, tag_push_events: true, enable_ssl_verification: true };
    licensed.gitlab.faults.add({
      path: new RegExp(`/groups/${name}/hooks\\?`),
      kind: { status: 200, body: [before19] },
    });
    expect(await licensed.hooks(`add ${name} ${AT}`)).toMatchObject({
      status: 0,
      stdout: `kept group ${name}: hook ${id} is as it should be, its secret was set again\n`,
    });
    expect(await licensed.shown(`/groups/${name}`)).toEqual([expect.objectContaining(OURS)]);
  });

  test('a GitLab that ignores signing tokens is told of', async () => {
    const name = group();
    // As those before 19.0 answer: they know neither the parameter nor what to say of it.
    licensed.gitlab.faults.add({
      path: new RegExp(`/groups/${name}/hooks$`),
      method: 'POST',
      kind: { status: 201, body: { id: 999, url: URL_OF_HOOK, push_events: false, tag_push_events: true } },
    });
    const { status, stderr } = await licensed.hooks(`add ${name} ${AT}`, {
      WEBHOOK_TOKEN: '',
      WEBHOOK_SIGNING_TOKEN: SIGNING,
    });
    expect([status, stderr]).toEqual([
      1,
      `modpress: group ${name}: this GitLab ignores signing tokens (they need 19.0), so the service will refuse every delivery: set WEBHOOK_TOKEN\n`,
    ]);
    expect(
      (await licensed.hooks(`add ${name} ${AT}`, { WEBHOOK_TOKEN: '', WEBHOOK_SIGNING_TOKEN: SIGNING })).status,
    ).toBe(0);
  });
});

test('--system registers the system hook alone, once', async () => {
  const admin = { GITLAB_TOKEN: licensed.gitlab.rootToken, GITLAB_SCOPE: 'not/there' };
  const system = { ...OURS, repository_update_events: true, merge_requests_events: false };
  expect(await licensed.hooks(`add --system ${AT}`, admin)).toMatchObject({
    status: 0,
    stderr: '',
    stdout: expect.stringMatching(/^registered system hook: hook \d+\n$/),
  });
  expect((await licensed.hooks(`add --system ${AT}`, admin)).stdout).toMatch(/^kept system hook/);
  expect(await licensed.shown('')).toEqual([expect.objectContaining(system)]);
  expect(await licensed.hooks(`check --system ${AT}`, admin)).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^ok system hook: hook \d+: enabled; not tested: GitLab does not tell/),
  });
});

describe.each([
  [false, "GitLab's licence has no group hooks"],
  ['community', 'this edition of GitLab has no group hooks'],
] as const)('where groups have no hooks (%s)', (groupHooks, why) => {
  let office: HookOffice;
  beforeAll(async () => {
    office = await openHookOffice({ groupHooks });
  });
  afterAll(() => office?.[Symbol.asyncDispose]());

  test('each project of the group and those below has one, except archived ones', async () => {
    const name = group(office);
    const paths = Array.from({ length: 25 }, (_, index) => `${name}/${index % 2 ? 'sub/' : ''}lib${index}`);
    const projects = await Promise.all(paths.map((path) => office.gitlab.createProject(path)));
    const archived = await office.gitlab.createProject(`${name}/old`, { archived: true });
    const { status, stdout, stderr } = await office.hooks(`add ${name} ${name}/sub ${paths[3]} ${AT}`);
    expect([status, stderr.split('\n')[0]]).toEqual([
      0,
      `modpress: group ${name}: ${why}, so that each of its 25 projects has a hook of its own`,
    ]);
    expect(stdout.match(/^registered project /gm)).toHaveLength(25);
    for (const { id } of projects)
      expect(await office.shown(`/projects/${id}`)).toEqual([expect.objectContaining(OURS)]);
    expect(await office.shown(`/projects/${archived.id}`)).toEqual([]);
    expect((await office.hooks(`add ${name} ${AT}`)).stdout.match(/^kept project /gm)).toHaveLength(25);
  });

  test('an administrator needs no membership', async () => {
    const project = await office.gitlab.createProject(`${group(office)}/lib`);
    const { status } = await office.hooks(`add ${project.path.split('/')[0]} ${AT}`, {
      GITLAB_TOKEN: office.gitlab.rootToken,
    });
    expect([status, (await office.shown(`/projects/${project.id}`)).length]).toEqual([0, 1]);
  });
});

describe('what GitLab does not allow is one line, status 1, and nothing is half done', () => {
  test.each([
    [
      'a token without the scope',
      { scopes: ['read_api'] },
      'GITLAB_TOKEN may not change hooks (403): it needs the scope api',
    ],
    [
      'a role too low for the group',
      { scopes: ['api'], role: 'reporter' },
      'group GROUP: GITLAB_TOKEN may not (403): it needs the role Owner of the group; or name its projects, for which Maintainer is enough',
    ],
  ] as const)('%s', async (_, token, line) => {
    const name = group();
    const { status, stdout, stderr } = await licensed.hooks(`add ${name} ${AT}`, {
      GITLAB_TOKEN: licensed.gitlab.createToken(token),
    });
    expect([status, stdout, stderr]).toEqual([1, '', `modpress: ${line.replace('GROUP', name)}\n`]);
    expect(await licensed.shown(`/groups/${name}`)).toEqual([]);
  });

  test('a role too low for a project, after a group that would do', async () => {
    const name = group();
    const project = await licensed.gitlab.createProject(`${group()}/lib`, { visibility: 'public' });
    const token = licensed.gitlab.createToken({ scopes: ['api'], projects: [name] });
    const { status, stdout, stderr } = await licensed.hooks(`add ${name} ${project.path} ${AT}`, {
      GITLAB_TOKEN: token,
    });
    expect([status, stdout, stderr]).toEqual([
      1,
      '',
      `modpress: project ${project.path}: GITLAB_TOKEN may not (403): it needs the role Maintainer of the project\n`,
    ]);
    expect(await licensed.shown(`/groups/${name}`)).toEqual([]);
  });

  test('no administrator', async () => {
    expect(await licensed.hooks(`add --system ${AT}`)).toMatchObject({
      status: 1,
      stdout: '',
      stderr: 'modpress: system hook: GITLAB_TOKEN may not (403): it needs a token of an administrator\n',
    });
  });

  test('a token that is none', async () => {
    const { status, stderr } = await licensed.hooks(`add ${group()} ${AT}`, { GITLAB_TOKEN: 'glpat-wrong' });
    expect([status, stderr]).toEqual([
      1,
      'modpress: GitLab does not accept GITLAB_TOKEN (401): it is wrong, expired or revoked\n',
    ]);
  });

  test('an address that GitLab refuses for one project, while others go on', async () => {
    const [one, other] = [
      await licensed.gitlab.createProject(`${group()}/lib`),
      await licensed.gitlab.createProject(`${group()}/lib`),
    ];
    licensed.gitlab.faults.add({
      path: new RegExp(`/projects/${one.id}/hooks$`),
      method: 'POST',
      kind: { status: 422, body: { error: 'Invalid url given' } },
    });
    const { status, stdout, stderr } = await licensed.hooks(`add ${one.path} ${other.path} ${AT}`);
    expect([status, stderr]).toEqual([1, `modpress: project ${one.path}: GitLab answered 422: Invalid url given\n`]);
    expect(stdout).toMatch(new RegExp(`^registered project ${other.path}: hook \\d+\n$`));
  });

  test('a GitLab that is down', async () => {
    const name = group();
    licensed.gitlab.faults.add({
      path: new RegExp(`/groups/${name}/hooks$`),
      method: 'POST',
      kind: { status: 503, body: 'down' },
    });
    const { status, stdout, stderr } = await licensed.hooks(`add ${name} ${AT}`);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^modpress: GitLab answered 503 for .*; run the command again when GitLab works\n$/);
  });
});

describe('what is wrong with the call is told in a line, with status 2', () => {
  test.each([
    ['no command', AT, 'hooks takes add or check'],
    ['no target', `add ${AT}`, 'no group or project is given'],
    ['no address', 'add some', '--public-url is missing'],
    ['an address that is none', 'add some --public-url go.example', '--public-url must be an http'],
    [
      'credentials in the address',
      'add some --public-url https://a:b@go.example',
      '--public-url must not contain credentials',
    ],
    ['--repair of add', `add some --repair ${AT}`, '--repair and --json belong to hooks check'],
    ['an unknown option', `add some --sistem ${AT}`, "Unknown option '--sistem'"],
    ['what is not there', `add no/such/group ${AT}`, 'no/such/group: no group or project of this path'],
  ])('%s', async (_, args, complaint) => {
    const { status, stdout, stderr } = await licensed.hooks(args);
    expect(stderr).toContain(`modpress: ${complaint}`);
    expect(stderr.split('\n').slice(1)).toEqual(['modpress: see modpress hooks --help', '']);
    expect([status, stdout]).toEqual([2, '']);
  });

  test('an unknown target beside a known one: nothing is registered', async () => {
    const name = group();
    expect((await licensed.hooks(`add ${name} ${name}/none ${AT}`)).status).toBe(2);
    expect(await licensed.shown(`/groups/${name}`)).toEqual([]);
  });

  test('settings', async () => {
    const { status, stderr } = await licensed.hooks(`add some ${AT}`, {
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

test('--help explains it', async () => {
  const { status, stdout } = await licensed.hooks('--help');
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
