import { call } from '../fake-gitlab/api-client.ts';
import { startGitLab, type StandIn, type StandInOptions } from '../fake-gitlab/stand-in.ts';
import { runModpress, type CommandResult } from '../e2e/service.ts';

/** A secret that must not be seen anywhere. */
export const SECRET = 's3cret-of-the-hook';
export const SIGNING = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

/** A hook as the API shows it. */
export interface ShownHook {
  readonly id: number;
  readonly url: string;
  readonly [setting: string]: unknown;
}

/** A GitLab whose hooks are to be handled, with whatever `modpress hooks` needs to be run. */
export interface HookOffice extends AsyncDisposable {
  readonly gitlab: StandIn;
  /** Runs `modpress hooks` with these arguments; fails if a secret is printed. A token of its own each time: GitLab's limits are for a user. */
  hooks(args: string, settings?: Readonly<Record<string, string>>): Promise<CommandResult>;
  /** The hooks of `/groups/a%2Fb`, `/projects/1`, or of the system. */
  shown(owner: string): Promise<ShownHook[]>;
  /** Registers a hook without modpress. */
  register(owner: string, settings: object): Promise<ShownHook>;
}

export async function openHookOffice(options: StandInOptions = {}): Promise<HookOffice> {
  const gitlab = await startGitLab(options);
  return {
    gitlab,
    async hooks(args, settings = {}) {
      const token = gitlab.createToken({ scopes: ['api'] });
      const env = {
        GITLAB_URL: gitlab.url,
        GITLAB_TOKEN: token,
        GITLAB_RATE: '1000',
        WEBHOOK_TOKEN: SECRET,
        ...settings,
      };
      const result = await runModpress(['hooks', ...args.split(' ')], env);
      const printed = result.stdout + result.stderr;
      for (const secret of [SECRET, SIGNING, env.GITLAB_TOKEN])
        if (secret !== '' && printed.includes(secret)) throw new Error(`a secret is printed: ${printed}`);
      return result;
    },
    async shown(owner) {
      return (await call(gitlab, `${owner}/hooks?per_page=100`)).json as ShownHook[];
    },
    async register(owner, settings) {
      const answer = await call(gitlab, `${owner}/hooks`, { method: 'POST', body: settings });
      if (answer.status !== 201) throw new Error(`GitLab answered ${answer.status}: ${answer.bytes.toString()}`);
      return answer.json as ShownHook;
    },
    [Symbol.asyncDispose]: () => gitlab.close(),
  };
}
