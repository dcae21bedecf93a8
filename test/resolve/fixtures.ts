import { Ownership } from '../../src/resolve/ownership.ts';
import { Resolver } from '../../src/resolve/resolver.ts';
import { test as base } from '../fake-gitlab/fixtures.ts';

/** First part of all module paths. */
export const PREFIX = 'gitlab.example';

/** Tests of queries for module versions in a fake GitLab. */
export const test = base
  .override('gitlabOptions', { archiveLimit: 'off' })
  /** Creates a resolver for which these versions of every module are withdrawn. */
  .extend(
    'createResolver',
    { scope: 'file' },
    ({ client }) =>
      (...withdrawn: readonly string[]) =>
        new Resolver(client, new Ownership(PREFIX), { withdrawnOf: async () => new Set(withdrawn) }),
  );
