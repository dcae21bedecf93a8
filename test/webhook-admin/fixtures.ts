import { test as base } from '../fake-gitlab/fixtures.ts';
import { createHookOffice } from './hook-office.ts';

let count = 0;

/** Tests of `modpress hooks` with a fake GitLab. */
export const test = base
  /** What `modpress hooks` needs, for the file. */
  .extend('office', { scope: 'file' }, ({ gitlab }) => createHookOffice(gitlab))
  /** Creates a group that no other test uses. Returns its name. */
  .extend('createGroup', ({ gitlab }) => {
    return (): string => {
      const name = `group${++count}`;
      gitlab.createGroup(name);
      return name;
    };
  });
