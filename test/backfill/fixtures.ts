import { test as base } from '../e2e/fixtures.ts';

/** The secret ADMIN_TOKEN of a service, and of the commands that use the service. */
export const ADMIN_TOKEN = 'the-token-of-the-admins';

/** Tests of backfills by modpress as a whole. */
export const test = base.override('gitlabOptions', { archiveLimit: 'off' });
