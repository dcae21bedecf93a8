import pLimit from 'p-limit';
import { withCore } from '../app/core.ts';
import { loadHooksConfig } from '../config/command-config.ts';
import { messageOf } from '../errors.ts';
import { examine } from '../webhook-admin/examine.ts';
import { explained, HookFailure, nameOf } from '../webhook-admin/failure.ts';
import {
  findPlaces,
  SIDE_BY_SIDE,
  UnknownTarget,
  type HookParts,
  type Place,
  type Places,
} from '../webhook-admin/places.ts';
import { registerHook } from '../webhook-admin/register.ts';
import { repairHook } from '../webhook-admin/repair.ts';
import {
  checkedLine,
  checkedObject,
  coveredLine,
  coveredObject,
  isAllWell,
  registeredLine,
  textWriter,
  type Checked,
} from '../webhook-admin/report.ts';
import { printError, printJson, UsageError } from './command.ts';

/** The arguments of `modpress hooks`. */
export interface HooksOptions {
  readonly action: 'add' | 'check';
  /** Full paths of groups and projects. */
  readonly paths: readonly string[];
  readonly system: boolean;
  /** Base URL of the service, without a final slash. */
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
    throw new UsageError(['no group or project is given: name some, set GITLAB_SCOPE, or use --system']);
  const wanted = {
    url: `${publicUrl}/-/webhook`,
    token: config.webhookTokens[0],
    signingToken: config.webhookSigningTokens[0],
  };
  try {
    return await withCore(config, async (core) => {
      const parts: HookParts = { gitlab: core.gitlab(), hooks: core.webhooks(), wanted };
      const places = await findPlaces(parts, { paths, system });
      for (const note of places.notes) printError(note);
      return await (action === 'add' ? add(parts, places) : check(parts, places, options));
    });
  } catch (error) {
    if (error instanceof UnknownTarget) throw new UsageError([error.message]);
    const failure = explained(error);
    printError(
      failure instanceof HookFailure
        ? failure.message
        : `${messageOf(failure)}; run the command again when GitLab works`,
    );
    return 1;
  }
}

async function add(parts: HookParts, { places, covered }: Places): Promise<number> {
  const write = lineWriter({ places, covered });
  const isAllDone = await forEachPlace(places, async (place) => {
    const registered = await registerHook(parts, place);
    write(registeredLine(place, registered));
    if (registered.noSecret)
      printError(
        `${nameOf(place.owner)}: this GitLab ignores signing tokens (they need 19.0), so the service will refuse every delivery: set WEBHOOK_TOKEN`,
      );
    return !registered.noSecret;
  });
  for (const owner of covered) write(coveredLine(owner));
  return isAllDone ? 0 : 1;
}

async function check(parts: HookParts, { places, covered }: Places, { repair, json }: HooksOptions): Promise<number> {
  const write = lineWriter({ places, covered });
  const isWell = await forEachPlace(places, async (place) => {
    const checked = await (repair ? checkAndRepair(parts, place) : checkOnly(parts, place));
    if (json) printJson(checkedObject(checked));
    else write(checkedLine(checked));
    return isAllWell(checked);
  });
  for (const owner of covered) {
    if (json) printJson(coveredObject(owner));
    else write(coveredLine(owner));
  }
  return isWell ? 0 : 1;
}

function lineWriter({ places, covered }: Pick<Places, 'places' | 'covered'>): ReturnType<typeof textWriter> {
  return textWriter(
    process.stdout,
    [...places, ...covered].map(({ owner }) => nameOf(owner)),
  );
}

async function checkOnly(parts: HookParts, place: Place): Promise<Checked> {
  const health = place.hook && (await examine(parts, place.owner, place.hook));
  return { place, health, repaired: undefined };
}

async function checkAndRepair(parts: HookParts, place: Place): Promise<Checked> {
  const { health, ...repaired } = await repairHook(parts, place);
  return { place, health, repaired };
}

/**
 * Does the work for all places, several at a time. Returns whether it succeeded for all of them. A failure that concerns
 * one place alone is printed, and the others go on. Any other failure ends the work.
 */
async function forEachPlace(places: readonly Place[], work: (place: Place) => Promise<boolean>): Promise<boolean> {
  const limit = pLimit(SIDE_BY_SIDE);
  try {
    const results = await limit.map(places, async (place) => {
      try {
        return await work(place);
      } catch (error) {
        if (!(error instanceof HookFailure) || !error.single) throw error;
        printError(error.message);
        return false;
      }
    });
    return results.every(Boolean);
  } finally {
    limit.clearQueue();
  }
}
