import pLimit from 'p-limit';
import { withCore } from '../app/with-core.ts';
import { loadHooksConfig } from '../config/command-config.ts';
import { messageOf } from '../errors.ts';
import { explainError, HookFailure, ownerName } from '../webhook-admin/hook-failure.ts';
import { inspectHook } from '../webhook-admin/inspect.ts';
import { registerHook } from '../webhook-admin/register.ts';
import { repairHook } from '../webhook-admin/repair.ts';
import {
  checkLine,
  checkObject,
  coveredLine,
  coveredObject,
  isHealthy,
  lineWriter,
  registrationLine,
  type CheckResult,
} from '../webhook-admin/report.ts';
import {
  CONCURRENT_OWNERS,
  findLocations,
  UnknownTarget,
  type WebhookAdminParts,
  type WebhookLocation,
  type WebhookLocations,
} from '../webhook-admin/webhook-locations.ts';
import { printError, printJson, UsageError } from './command.ts';

/** The arguments of `modpress hooks`. */
export interface HooksOptions {
  readonly action: 'add' | 'check';
  /** Full paths of groups and projects. */
  readonly paths: readonly string[];
  readonly system: boolean;
  /** Base URL of the service, without a trailing slash. */
  readonly publicUrl: string;
  readonly repair: boolean;
  readonly json: boolean;
}

/** Runs `modpress hooks`. Resolves to the exit status. */
export async function runHooks(options: HooksOptions): Promise<number> {
  const { action, system, publicUrl } = options;
  const config = loadHooksConfig(process.env);
  const paths = options.paths.length > 0 || system ? options.paths : config.gitlabScope;
  if (paths.length === 0 && !system)
    throw new UsageError(['no group or project is given: name at least one, set GITLAB_SCOPE, or use --system']);
  const desired = {
    url: `${publicUrl}/-/webhook`,
    token: config.webhookTokens[0],
    signingToken: config.webhookSigningTokens[0],
  };
  try {
    return await withCore(config, async (core) => {
      const parts: WebhookAdminParts = { gitlab: core.gitlab(), hooks: core.webhooks(), desired };
      const locations = await findLocations(parts, { paths, system });
      for (const note of locations.notes) printError(note);
      return await (action === 'add' ? add(parts, locations) : check(parts, locations, options));
    });
  } catch (error) {
    if (error instanceof UnknownTarget) throw new UsageError([error.message]);
    const failure = explainError(error);
    printError(
      failure instanceof HookFailure
        ? failure.message
        : `${messageOf(failure)}; run the command again when GitLab is available`,
    );
    return 1;
  }
}

async function add(parts: WebhookAdminParts, { locations, covered }: WebhookLocations): Promise<number> {
  const write = reportWriter(locations, covered);
  const isAllDone = await forEachLocation(locations, async (location) => {
    const registered = await registerHook(parts, location);
    write(registrationLine(location, registered));
    if (registered.noSecret)
      printError(
        `${ownerName(location.owner)}: this GitLab ignores signing tokens (they need GitLab 19.0), so the service will refuse every delivery: set WEBHOOK_TOKEN`,
      );
    return !registered.noSecret;
  });
  for (const owner of covered) write(coveredLine(owner));
  return isAllDone ? 0 : 1;
}

async function check(
  parts: WebhookAdminParts,
  { locations, covered }: WebhookLocations,
  { repair, json }: HooksOptions,
): Promise<number> {
  const write = reportWriter(locations, covered);
  const areAllHealthy = await forEachLocation(locations, async (location) => {
    const checked = await (repair ? checkAndRepair(parts, location) : checkOnly(parts, location));
    if (json) printJson(checkObject(checked));
    else write(checkLine(checked));
    return isHealthy(checked);
  });
  for (const owner of covered) {
    if (json) printJson(coveredObject(owner));
    else write(coveredLine(owner));
  }
  return areAllHealthy ? 0 : 1;
}

function reportWriter(
  locations: WebhookLocations['locations'],
  covered: WebhookLocations['covered'],
): ReturnType<typeof lineWriter> {
  return lineWriter(
    process.stdout,
    [...locations, ...covered].map(({ owner }) => ownerName(owner)),
  );
}

async function checkOnly(parts: WebhookAdminParts, location: WebhookLocation): Promise<CheckResult> {
  const health = location.hook && (await inspectHook(parts, location.owner, location.hook));
  return { location, health, repair: undefined };
}

async function checkAndRepair(parts: WebhookAdminParts, location: WebhookLocation): Promise<CheckResult> {
  const { health, ...repair } = await repairHook(parts, location);
  return { location, health, repair };
}

/**
 * Runs `work` for all locations, several at a time. Resolves to whether all calls resolved to true. Prints a failure
 * that concerns only one owner, and continues with the other locations. Rejects with any other failure.
 */
async function forEachLocation(
  locations: readonly WebhookLocation[],
  work: (location: WebhookLocation) => Promise<boolean>,
): Promise<boolean> {
  const limit = pLimit(CONCURRENT_OWNERS);
  try {
    const results = await limit.map(locations, async (location) => {
      try {
        return await work(location);
      } catch (error) {
        if (!(error instanceof HookFailure) || !error.concernsOneOwner) throw error;
        printError(error.message);
        return false;
      }
    });
    return results.every(Boolean);
  } finally {
    limit.clearQueue();
  }
}
