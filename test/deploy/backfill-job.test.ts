import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { Issuer } from '../admin/issuer.ts';
import { startInProcess, type InProcess } from '../e2e/in-process.ts';
import { library, openOffice, PREFIX, pushTags, type Office } from '../e2e/office.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const ADMIN_TOKEN = 'the-token-of-the-admins';

const job = z.object({ extends: z.literal('.modpress'), script: z.array(z.string()) });
const file = z
  .object({
    variables: z.record(z.string(), z.string()),
    '.modpress': z.object({ id_tokens: z.object({ MODPRESS_ID_TOKEN: z.object({ aud: z.string() }) }) }),
    'modpress:publish': job,
    'modpress:backfill': job,
  })
  .parse(parse(readFileSync(new URL('../../deploy/ci/backfill.yml', import.meta.url), 'utf8')));

/** What GitLab gives a job besides what the file says. */
interface Job {
  readonly project: string;
  readonly variables?: Readonly<Record<string, string>>;
  readonly isProtected?: boolean;
}

/** deploy/ci/backfill.yml: its scripts are run as a runner would, with an id_token as GitLab would make it. */
describe('the CI jobs', () => {
  let office: Office;
  let issuer: Issuer;
  let service: InProcess;

  beforeAll(async () => {
    [office, issuer] = await Promise.all([openOffice({ archiveLimit: 'off' }), Issuer.start()]);
    service = await startInProcess({
      ...office.settings,
      PUBLIC_URL: 'https://modpress.example',
      ADMIN_TOKEN,
      ADMIN_OIDC: `issuer=${issuer.url} operators=platform/ops projects=team`,
    });
    for (const path of ['team/lib', 'team/other', 'platform/ops']) {
      await pushTags(await office.gitlab.createProject(path), library(`${PREFIX}/${path}`, 'word'), 'v1.0.0');
    }
  });
  afterAll(async () => {
    await service?.[Symbol.asyncDispose]();
    await Promise.all([office?.[Symbol.asyncDispose](), issuer?.close()]);
  });

  async function run(name: 'modpress:publish' | 'modpress:backfill', { project, variables = {}, isProtected = true }: Job): Promise<{ status: number; output: string }> {
    const given = { MODPRESS_URL: 'https://modpress.example', ...file.variables, ...variables };
    const expand = (text: string): string => text.replace(/\$(\w+)/g, (_, key: string) => expand((given as Record<string, string>)[key] ?? ''));
    const aud = expand(file['.modpress'].id_tokens.MODPRESS_ID_TOKEN.aud);
    const token = await issuer.sign({ aud, project_path: project, ref_protected: String(isProtected) });
    // The service is not at its public address here, and the image is the checkout.
    const script = file[name].script.join('\n').replaceAll('/app/dist/main.js', MAIN);
    const env = { PATH: process.env['PATH'], CI_PROJECT_PATH: project, MODPRESS_ID_TOKEN: token, ...given, MODPRESS_URL: service.url };
    return new Promise((resolve) => {
      execFile('bash', ['--norc', '-eu', '-o', 'pipefail', '-c', script], { env: { MODPRESS_TARGETS: '', ...env } }, (error, stdout, stderr) =>
        resolve({ status: error ? Number(error.code) : 0, output: stdout + stderr }),
      );
    });
  }

  it('one publishes the tags of the project that it runs in', async () => {
    await pushTags(await office.gitlab.createProject('team/own'), library(`${PREFIX}/team/own`, 'word'), 'v1.0.0');
    const { status, output } = await run('modpress:publish', { project: 'team/own' });
    expect(output).toMatch(/projects +1\n[^]*published +1\n/);
    expect(status).toBe(0);
    expect((await fetch(`${service.url}/${PREFIX}/team/own/@v/v1.0.0.info`)).status).toBe(200);
  });

  it('one publishes what it is told to, or everything', async () => {
    expect(await run('modpress:backfill', { project: 'platform/ops', variables: { MODPRESS_TARGETS: 'team/lib team/other' } })).toMatchObject({ status: 0, output: expect.stringMatching(/projects +2\n/) });
    expect(await run('modpress:backfill', { project: 'platform/ops' })).toMatchObject({ status: 0, output: expect.stringMatching(/projects +[34]\n/) });
  });

  it('with ADMIN_TOKEN no id_token is looked at', async () => {
    expect(await run('modpress:publish', { project: 'platform/ops', variables: { ADMIN_TOKEN }, isProtected: false })).toMatchObject({ status: 0 });
  });

  it('a job that may not gets a line that says so, and fails', async () => {
    expect(await run('modpress:publish', { project: 'team/lib', isProtected: false })).toMatchObject({ status: 1, output: expect.stringMatching(/answers 403: .*not protected/) });
    expect(await run('modpress:backfill', { project: 'stranger/lib' })).toMatchObject({ status: 1, output: expect.stringMatching(/answers 403: .*ADMIN_OIDC/) });
  });
});
