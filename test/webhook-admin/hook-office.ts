import { call } from '../fake-gitlab/api-client.ts';
import type { StandIn } from '../fake-gitlab/stand-in.ts';
import { runModpress, type CommandResult } from '../e2e/service.ts';

/** The value of WEBHOOK_TOKEN. No command may print it. */
export const SECRET = 's3cret-of-the-hook';
/** A value for WEBHOOK_SIGNING_TOKEN. No command may print it. */
export const SIGNING = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

/** The option for the address of the service, which does not exist. */
export const PUBLIC_URL = '--public-url https://go.example';
/** The address of the hooks that modpress registers for `PUBLIC_URL`. */
export const HOOK_URL = 'https://go.example/-/webhook';
/** A hook as modpress registers it with `PUBLIC_URL`. */
export const DESIRED = {
  url: HOOK_URL,
  push_events: false,
  tag_push_events: true,
  enable_ssl_verification: true,
  token_present: true,
  signing_token_present: false,
};

/** A hook as the API shows it. */
export interface ShownHook {
  readonly id: number;
  readonly url: string;
  readonly [setting: string]: unknown;
}

/** A GitLab whose hooks `modpress hooks` manages. */
export interface HookOffice {
  readonly gitlab: StandIn;
  /**
   * Runs `modpress hooks` with these arguments. Throws if it prints a secret. Each run has a token of its own, because
   * GitLab limits the tests of hooks per user.
   */
  hooks(args: string, settings?: Readonly<Record<string, string>>): Promise<CommandResult>;
  /** The hooks of `/groups/a%2Fb`, of `/projects/1`, or of the system (an empty string). */
  hooksOf(owner: string): Promise<ShownHook[]>;
  /** Registers a hook by the API, without modpress. */
  register(owner: string, settings: object): Promise<ShownHook>;
}

/** Returns functions that run `modpress hooks` and call the API of this GitLab. */
export function createHookOffice(gitlab: StandIn): HookOffice {
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
        if (secret !== '' && printed.includes(secret)) throw new Error(`a secret was printed: ${printed}`);
      return result;
    },
    async hooksOf(owner) {
      return (await call(gitlab, `${owner}/hooks?per_page=100`)).json as ShownHook[];
    },
    async register(owner, settings) {
      const response = await call(gitlab, `${owner}/hooks`, { method: 'POST', body: settings });
      if (response.status !== 201) throw new Error(`GitLab answered ${response.status}: ${response.bytes.toString()}`);
      return response.json as ShownHook;
    },
  };
}
