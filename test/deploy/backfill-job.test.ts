import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { Issuer } from '../auth/issuer.ts';
import { test as base } from '../e2e/fixtures.ts';
import { library, PREFIX, pushTags } from '../e2e/office.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const ADMIN_TOKEN = 'the-token-of-the-admins';

const rule = z.strictObject({
  if: z.string().optional(),
  when: z.string().optional(),
  allow_failure: z.literal(true).optional(),
});
const job = z.object({ extends: z.literal('.modpress'), rules: z.array(rule), script: z.array(z.string()) });
const file = z
  .object({
    variables: z.record(z.string(), z.string()),
    '.modpress': z.object({
      inherit: z.object({ default: z.array(z.string()) }),
      id_tokens: z.object({ MODPRESS_ID_TOKEN: z.object({ aud: z.string() }) }),
    }),
    'modpress:publish': job,
    'modpress:backfill': job,
  })
  .parse(parse(readFileSync(new URL('../../deploy/ci/backfill.yml', import.meta.url), 'utf8')));

/** The properties of a job that GitLab adds to those of the file. */
interface Job {
  readonly project: string;
  readonly variables?: Readonly<Record<string, string>>;
  readonly isProtected?: boolean;
}

/**
 * The jobs of deploy/ci/backfill.yml. The tests run their scripts as a GitLab runner does, with an id_token as in
 * GitLab.
 */
const test = base
  .extend('issuer', { scope: 'file' }, async ({}, { onCleanup }) => {
    const issuer = await Issuer.start();
    onCleanup(() => issuer.close());
    return issuer;
  })
  .override('gitlabOptions', { archiveLimit: 'off' })
  .override('settings', ({ issuer }) => ({
    PUBLIC_URL: 'https://modpress.example',
    ADMIN_TOKEN,
    ADMIN_OIDC: `issuer=${issuer.url} operators=platform/ops projects=team`,
  }))
  /** Runs the script of a job with bash. Resolves to its exit status and its output. */
  .extend('run', ({ issuer, service }) => {
    return async (
      name: 'modpress:publish' | 'modpress:backfill',
      { project, variables = {}, isProtected = true }: Job,
    ): Promise<{ status: number; output: string }> => {
      const given = { MODPRESS_URL: 'https://modpress.example', ...file.variables, ...variables };
      const expand = (text: string): string =>
        text.replace(/\$(\w+)/g, (_, key: string) => expand((given as Record<string, string>)[key] ?? ''));
      const aud = expand(file['.modpress'].id_tokens.MODPRESS_ID_TOKEN.aud);
      const token = await issuer.sign({ aud, project_path: project, ref_protected: String(isProtected) });
      // Here the service is not at its public address, and the checkout replaces the image.
      const script = file[name].script.join('\n').replaceAll('/app/dist/main.js', MAIN);
      const env = {
        PATH: process.env['PATH'],
        CI_PROJECT_PATH: project,
        MODPRESS_ID_TOKEN: token,
        MODPRESS_TARGETS: '',
        ...given,
        MODPRESS_URL: service.url,
      };
      return new Promise((resolve) => {
        execFile('bash', ['--norc', '-eu', '-o', 'pipefail', '-c', script], { env }, (error, stdout, stderr) =>
          resolve({ status: error ? Number(error.code) : 0, output: stdout + stderr }),
        );
      });
    };
  });

// The service starts before the tags exist, so that its first sweep does not find them.
test.beforeAll(({ service }) => void service);
test.beforeAll(async ({ office }) => {
  for (const path of ['team/lib', 'team/other', 'platform/ops']) {
    await pushTags(await office.gitlab.createProject(path), library(`${PREFIX}/${path}`, 'word'), 'v1.0.0');
  }
});

describe('the CI jobs', () => {
  describe('run', () => {
    const branch = {
      CI_COMMIT_BRANCH: 'main',
      CI_DEFAULT_BRANCH: 'main',
      CI_COMMIT_REF_PROTECTED: 'true',
      CI_PIPELINE_SOURCE: 'push',
    };
    const tag = {
      CI_COMMIT_TAG: 'v1.0.0',
      CI_DEFAULT_BRANCH: 'main',
      CI_COMMIT_REF_PROTECTED: 'true',
      CI_PIPELINE_SOURCE: 'push',
    };
    const mergeRequest = {
      CI_PIPELINE_SOURCE: 'merge_request_event',
      CI_DEFAULT_BRANCH: 'main',
      CI_COMMIT_REF_PROTECTED: 'true',
    };
    const schedule = { ...branch, CI_PIPELINE_SOURCE: 'schedule' };

    test.for<[string, Readonly<Record<string, string>>, string, string]>([
      ['a protected tag', tag, 'on_success', 'never'],
      [
        'an unprotected tag, for which modpress would refuse them',
        { ...tag, CI_COMMIT_REF_PROTECTED: 'false' },
        'never',
        'never',
      ],
      ['the default branch', branch, 'manual', 'manual'],
      [
        'another branch',
        { ...branch, CI_COMMIT_BRANCH: 'feature', CI_COMMIT_REF_PROTECTED: 'false' },
        'never',
        'never',
      ],
      // Otherwise GitLab creates a pipeline with this job only, and uses it as the pipeline of the merge request.
      ['a merge request', mergeRequest, 'never', 'never'],
      ['a schedule for other jobs', schedule, 'manual', 'never'],
      ['a schedule for the backfill', { ...schedule, MODPRESS_BACKFILL: 'true' }, 'manual', 'on_success'],
    ])('for %s', ([, variables, publish, backfill]) => {
      expect([whenOf('modpress:publish', variables), whenOf('modpress:backfill', variables)]).toEqual([
        publish,
        backfill,
      ]);
    });
  });

  test('inherit no defaults that are meant for other jobs', () => {
    expect(file['.modpress'].inherit).toEqual({ default: ['tags'] });
  });

  test('publish the tags of the project in which the job runs', async ({ office, service, run }) => {
    await pushTags(await office.gitlab.createProject('team/own'), library(`${PREFIX}/team/own`, 'word'), 'v1.0.0');
    const { status, output } = await run('modpress:publish', { project: 'team/own' });
    expect(output).toMatch(/projects +1\n[^]*published +1\n/);
    expect(status).toBe(0);
    expect((await fetch(`${service.url}/${PREFIX}/team/own/@v/v1.0.0.info`)).status).toBe(200);
  });

  test('publish the given targets, or everything', async ({ run }) => {
    expect(
      await run('modpress:backfill', {
        project: 'platform/ops',
        variables: { MODPRESS_TARGETS: 'team/lib team/other' },
      }),
    ).toMatchObject({ status: 0, output: expect.stringMatching(/projects +2\n/) });
    expect(await run('modpress:backfill', { project: 'platform/ops' })).toMatchObject({
      status: 0,
      output: expect.stringMatching(/projects +[34]\n/),
    });
  });

  test('do not need an id_token if ADMIN_TOKEN is set', async ({ run }) => {
    expect(
      await run('modpress:publish', { project: 'platform/ops', variables: { ADMIN_TOKEN }, isProtected: false }),
    ).toMatchObject({ status: 0 });
  });

  test('fail with a line that says why a job is not allowed', async ({ run }) => {
    expect(await run('modpress:publish', { project: 'team/lib', isProtected: false })).toMatchObject({
      status: 1,
      output: expect.stringMatching(/answered 403: .*not protected/),
    });
    expect(await run('modpress:backfill', { project: 'stranger/lib' })).toMatchObject({
      status: 1,
      output: expect.stringMatching(/answered 403: .*ADMIN_OIDC/),
    });
  });
});

/** The `when` of a job in a pipeline with these variables, from the first rule that matches. */
function whenOf(name: 'modpress:publish' | 'modpress:backfill', variables: Readonly<Record<string, string>>): string {
  const first = file[name].rules.find(
    (each) => each.if === undefined || each.if.split(' && ').every((part) => holds(part, variables)),
  );
  return first === undefined ? 'never' : (first.when ?? 'on_success');
}

/** Evaluates a condition such as `$NAME` or `$NAME == "text"`. */
function holds(condition: string, variables: Readonly<Record<string, string>>): boolean {
  const [, name = '', operator, text, other = ''] = /^\$(\w+)(?: (==|!=) (?:"(.*)"|\$(\w+)))?$/.exec(condition) ?? [];
  if (operator === undefined) return Boolean(variables[name]);
  return (variables[name] === (text ?? variables[other])) === (operator === '==');
}
