import pLimit from 'p-limit';
import { parseArgs } from 'node:util';
import { createAgreement, gitlabOptions } from '../app/coordination.ts';
import { loadHooksConfig, type HooksConfig } from '../config/commands.ts';
import { ConfigError } from '../config/reader.ts';
import { baseUrl } from '../config/values.ts';
import { messageOf } from '../errors.ts';
import { GitLabClient } from '../gitlab/client.ts';
import { WebhookClient } from '../gitlab/webhooks.ts';
import { inspectHook } from '../webhook-admin/inspect.ts';
import { explainError, HookFailure, ownerName } from '../webhook-admin/hook-failure.ts';
import {
  findLocations,
  CONCURRENT_OWNERS,
  UnknownTarget,
  type WebhookAdminParts,
  type WebhookLocation,
  type WebhookLocations,
} from '../webhook-admin/webhook-locations.ts';
import { registerHook } from '../webhook-admin/register.ts';
import { repairHook } from '../webhook-admin/repair.ts';
import {
  checkLine,
  checkObject,
  coveredLine,
  coveredObject,
  isHealthy,
  registrationLine,
  lineWriter,
  type CheckResult,
} from '../webhook-admin/report.ts';
import { createLog } from '../app/log.ts';
import type { RateLimiter } from '../rate-limit/rate-limiter.ts';
import { usageError } from './usage-error.ts';

const HELP = `Usage: modpress hooks add [GROUP|PROJECT ...] [--system] --public-url URL
       modpress hooks check [GROUP|PROJECT ...] [--system] --public-url URL [--repair] [--json]

add registers the webhook that tells the service of pushed tags: for the groups and projects named, else for those in
GITLAB_SCOPE. Where GitLab has no group hooks (they need a Premium licence), each project of the group and of those below
it gets one. What is registered already is brought to what it should be, with its secrets set again; nothing is registered
twice, so that the command can be run again at any time, such as for new projects, or after WEBHOOK_TOKEN=new,old. What
lies in a group with a hook needs none of its own.

check says of each hook whether it is there, enabled, and reaches the service with the right secret, for which GitLab makes
a test call, and what became of its last deliveries. A hook that GitLab has disabled after failures is not tested, since a
test that succeeds enables it.

  --public-url URL  where GitLab reaches the service, without /-/webhook
  --system          the system hook, which hears of the whole instance; groups and projects only if they are named
  --repair          registers what is missing, sets settings and secrets again where something is wrong, enables what is
                    disabled, and sends deliveries of the last day that failed again, of each hook as many as GitLab
                    allows a minute
  --json            one JSON object a line

Exit status: 0 all is well, 1 something is wrong or GitLab does not allow it, 2 wrong arguments or settings.

Settings: GITLAB_URL; GITLAB_TOKEN, which needs the scope api, and the role Maintainer for a project, Owner for a group, an
administrator's for --system; GITLAB_SCOPE; GITLAB_RATE, and REDIS_URL where the service has it; WEBHOOK_TOKEN or
WEBHOOK_SIGNING_TOKEN, of which the first is set.
`;

/** What is asked for on the command line. */
interface Options {
  readonly command: 'add' | 'check';
  readonly paths: readonly string[];
  readonly system: boolean;
  readonly publicUrl: string;
  readonly repair: boolean;
  readonly json: boolean;
}

/** `modpress hooks`: resolves to the exit status, as its help tells. */
export async function hooks(args: readonly string[]): Promise<number> {
  const options = readArguments(args);
  if (typeof options === 'string') {
    process.stdout.write(options);
    return 0;
  }
  if (options instanceof Error) return usageError('hooks', [options.message]);
  try {
    const config = loadHooksConfig(process.env);
    const paths = options.paths.length > 0 || options.system ? options.paths : config.gitlabScope;
    if (paths.length === 0 && !options.system)
      return usageError('hooks', [
        'nothing says for what: name groups or projects, or set GITLAB_SCOPE, or use --system',
      ]);
    return await run(config, paths, options);
  } catch (error) {
    if (error instanceof ConfigError) return usageError('hooks', error.faults);
    if (error instanceof UnknownTarget) return usageError('hooks', [error.message]);
    const failure = explainError(error);
    fail(
      failure instanceof HookFailure
        ? failure.message
        : `${messageOf(failure)}; run the command again when GitLab works`,
    );
    return 1;
  }
}

/** With REDIS_URL it keeps within the limits together with the service that runs. */
async function run(config: HooksConfig, paths: readonly string[], options: Options): Promise<number> {
  const { system, publicUrl, command } = options;
  // What goes wrong with Redis ends the command, with the reason.
  const agreement = createAgreement(config.redisUrl, createLog('silent'));
  try {
    const parts = partsOf(config, agreement.rateLimiter, publicUrl);
    const found = await findLocations(parts, { paths, system });
    for (const note of found.notes) process.stderr.write(`modpress: ${note}\n`);
    return await (command === 'add' ? add(parts, found) : check(parts, found, options));
  } finally {
    agreement[Symbol.dispose]();
  }
}

async function add(parts: WebhookAdminParts, { locations, covered }: WebhookLocations): Promise<number> {
  const write = lineWriter(
    process.stdout,
    [...locations, ...covered].map(({ owner }) => ownerName(owner)),
  );
  const results = await sideBySide(locations, async (place) => {
    const registered = await registerHook(parts, place);
    write(registrationLine(place, registered));
    if (registered.noSecret)
      fail(
        `${ownerName(place.owner)}: this GitLab ignores signing tokens (they need 19.0), so that the service will refuse every delivery: set WEBHOOK_TOKEN`,
      );
    return !registered.noSecret;
  });
  for (const each of covered) write(coveredLine(each));
  return results.every(Boolean) ? 0 : 1;
}

async function check(
  parts: WebhookAdminParts,
  { locations, covered }: WebhookLocations,
  { repair, json }: Options,
): Promise<number> {
  const write = lineWriter(
    process.stdout,
    [...locations, ...covered].map(({ owner }) => ownerName(owner)),
  );
  const results = await sideBySide(locations, async (place) => {
    const checked = await (repair ? repaired(parts, place) : checkedOnly(parts, place));
    if (json) printObject(checkObject(checked));
    else write(checkLine(checked));
    return isHealthy(checked);
  });
  for (const each of covered) {
    if (json) printObject(coveredObject(each));
    else write(coveredLine(each));
  }
  return results.every(Boolean) ? 0 : 1;
}

async function checkedOnly(parts: WebhookAdminParts, place: WebhookLocation): Promise<CheckResult> {
  const health = place.hook && (await inspectHook(parts, place.owner, place.hook));
  return { location: place, health, repair: undefined };
}

async function repaired(parts: WebhookAdminParts, place: WebhookLocation): Promise<CheckResult> {
  const { health, ...rest } = await repairHook(parts, place);
  return { location: place, health, repair: rest };
}

/** Whether the work succeeded, of each place. What concerns one place alone is told, and the others go on; anything else ends it. */
async function sideBySide(
  places: readonly WebhookLocation[],
  work: (place: WebhookLocation) => Promise<boolean>,
): Promise<boolean[]> {
  const limit = pLimit(CONCURRENT_OWNERS);
  try {
    return await limit.map(places, async (place) => {
      try {
        return await work(place);
      } catch (error) {
        if (!(error instanceof HookFailure) || !error.concernsOneOwner) throw error;
        fail(error.message);
        return false;
      }
    });
  } finally {
    limit.clearQueue();
  }
}

function partsOf(config: HooksConfig, rateLimiter: RateLimiter, publicUrl: string): WebhookAdminParts {
  const options = gitlabOptions(config, rateLimiter);
  const desired = {
    url: `${publicUrl}/-/webhook`,
    token: config.webhookTokens[0],
    signingToken: config.webhookSigningTokens[0],
  };
  return { gitlab: new GitLabClient(options), hooks: new WebhookClient(options), desired };
}

/** What the arguments ask for, the help text, or what is wrong with them. */
function readArguments(args: readonly string[]): Options | string | Error {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        'public-url': { type: 'string' },
        system: { type: 'boolean' },
        repair: { type: 'boolean' },
        json: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
    if (values.help) return HELP;
    const [command, ...targets] = positionals;
    if (command !== 'add' && command !== 'check')
      return new Error('hooks takes add or check, and then groups or projects');
    if (command === 'add' && (values.repair || values.json))
      return new Error('--repair and --json belong to hooks check');
    const paths = targets.map((target) => target.replaceAll(/^\/+|\/+$/g, ''));
    if (paths.includes('')) return new Error('the path of a group or project is empty');
    const publicUrl = readPublicUrl(values['public-url']);
    if (publicUrl instanceof Error) return publicUrl;
    return {
      command,
      paths,
      system: values.system === true,
      publicUrl,
      repair: values.repair === true,
      json: values.json === true,
    };
  } catch (error) {
    return new Error(messageOf(error));
  }
}

function readPublicUrl(value: string | undefined): string | Error {
  if (value === undefined) return new Error('--public-url is missing: say where GitLab reaches the service');
  try {
    return baseUrl(value).replace(/\/-\/webhook$/, '');
  } catch (error) {
    return new Error(`--public-url ${messageOf(error)}`);
  }
}

function printObject(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

function fail(line: string): void {
  process.stderr.write(`modpress: ${line.replaceAll(/\s+/g, ' ')}\n`);
}
