import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test as base } from 'vitest';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { GitLabClient } from '../../src/gitlab/client.ts';
import { startGitLab, type StandInOptions } from './stand-in.ts';
import { startWebhookReceiver } from './webhook-receiver.ts';

/**
 * Provides tests with a stand-in for GitLab and a temporary folder. A fixture is created for the first test or hook
 * that uses it, and removed after the last test that can use it.
 */
export const test = base
  /** Options of the stand-in. A file changes them with `test.override('gitlabOptions', …)` before its first test. */
  .extend('gitlabOptions', { scope: 'file' }, (): StandInOptions => ({}))
  /** One stand-in for the file. */
  .extend('gitlab', { scope: 'file' }, async ({ gitlabOptions }, { onCleanup }) => {
    const gitlab = await startGitLab(gitlabOptions);
    onCleanup(() => gitlab.close());
    return gitlab;
  })
  /** A server that records the calls of webhooks, for one test. */
  .extend('receiver', async ({}, { onCleanup }) => {
    const receiver = await startWebhookReceiver();
    onCleanup(() => receiver[Symbol.asyncDispose]());
    return receiver;
  })
  /** A client with a token that can only read the API, for the file. */
  .extend('client', { scope: 'file' }, ({ gitlab }) => {
    const token = gitlab.createToken({ scopes: ['read_api'], role: 'reporter' });
    return new GitLabClient({ http: new HttpClient(), url: gitlab.url, token, beforeCall: async () => undefined });
  })
  /** An empty folder for one test. */
  .extend('folder', async ({}, { onCleanup }) => {
    const folder = await mkdtemp(join(tmpdir(), 'modpress-test-'));
    onCleanup(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
    return folder;
  });
