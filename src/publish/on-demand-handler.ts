import type { Logger } from 'pino';
import { messageOf, Postponed, Refuse, Retry, Skip } from '../errors.ts';
import { legacyGoMod } from '../module/modfile.ts';
import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import type { OnDemandAnswer, OnDemandRequest } from '../requests/on-demand-request.ts';
import type { ResolvedVersion, Resolver } from '../resolve/resolver.ts';
import { moduleKey } from '../store/layout.ts';
import { readOutcome, type Outcome } from '../store/outcome.ts';
import { publishedVersions } from '../store/published-versions.ts';
import { StoreUnavailable } from '../store/store.ts';
import { describeWithdrawal, readWithdrawal } from '../store/withdrawal.ts';
import { outcomeName, publishVersion } from './transaction.ts';
import { withdrawalOf } from './withdraw.ts';
import type { WriterParts } from './write-version.ts';

/** The dependencies of the handler. */
export interface OnDemandParts extends WriterParts {
  readonly resolver: Resolver;
  readonly log: Logger;
  /** Called with the id of a project that may have tags for which no webhook arrived. */
  readonly onMissed: (projectId: number) => void;
  /** Called after each request with its kind, the kind of its answer, and its duration in seconds. */
  readonly onAnswered: (request: OnDemandRequest['kind'], answer: OnDemandAnswer['kind'], seconds: number) => void;
}

/** The wait before the client repeats the request if GitLab specified no wait, in milliseconds. */
const RETRY_MS = 10_000;

/**
 * Answers on-demand requests for what the store does not have: branches, commits, and versions that are not published
 * yet.
 */
export class OnDemand {
  readonly #parts: OnDemandParts;
  /** The time of the newest change that the caches of the resolver contain. */
  #newestChange = 0;

  constructor(parts: OnDemandParts) {
    this.#parts = parts;
  }

  /**
   * Resolves to the answer to a request. `changedAt` is the time of the last change of the project (see
   * RequestHandler). Rejects only because of a bug.
   */
  async answer(request: OnDemandRequest, changedAt = 0): Promise<OnDemandAnswer> {
    const started = performance.now();
    if (changedAt > this.#newestChange) {
      this.#newestChange = changedAt;
      this.#parts.resolver.forgetChanging();
    }
    const answer = await this.#answer(request);
    this.#parts.onAnswered(request.kind, answer.kind, (performance.now() - started) / 1000);
    return answer;
  }

  async #answer(request: OnDemandRequest): Promise<OnDemandAnswer> {
    try {
      return await this.#handle(request);
    } catch (error) {
      if (error instanceof Skip || error instanceof Refuse) return { kind: 'absent', reason: error.message };
      if (!(error instanceof Retry || error instanceof StoreUnavailable)) throw error;
      this.#parts.log.warn(
        { event: 'on-demand.postponed', ...request, reason: messageOf(error) },
        'GitLab or the store failed: the client has to repeat the request',
      );
      const afterMs = error instanceof Retry ? error.afterMs : undefined;
      return { kind: 'later', reason: publicReason(error), afterMs: afterMs ?? RETRY_MS };
    }
  }

  async #handle(request: OnDemandRequest): Promise<OnDemandAnswer> {
    if (request.kind === 'info') {
      return { kind: 'info', text: await this.#parts.resolver.info(request.module, request.query) };
    }
    if (request.kind === 'publish') return await this.#publish(request.module, request.version);
    if (request.kind === 'mod') return await this.#goMod(request.module, request.version);
    return await this.#list(request.module);
  }

  /** Reads only the go.mod. A client that resolves dependencies does not have to wait for the zip. */
  async #goMod(module: ModulePath, version: Version): Promise<OnDemandAnswer> {
    const { resolved } = await this.#resolve(module, version);
    const { gomod = legacyGoMod(module), tag, project } = resolved;
    if (tag !== undefined) this.#parts.onMissed(project.id);
    return { kind: 'mod', base64: gomod.toString('base64') };
  }

  /** Resolves the version, and reads the outcome of its tag if there is one. Throws Refuse for a withdrawn version. */
  async #resolve(
    module: ModulePath,
    version: Version,
  ): Promise<{ readonly resolved: ResolvedVersion; readonly tagOutcome: Outcome | undefined }> {
    const { store, resolver } = this.#parts;
    const withdrawal = await readWithdrawal(store, module, version);
    if (withdrawal) throw new Refuse(describeWithdrawal(withdrawal));
    const resolved = await resolver.resolve(module, version);
    if (resolved.version !== version) throw new Skip(`${module}@${version} resolves to ${resolved.version}`);
    const { tag, project, commit } = resolved;
    const tagOutcome = tag === undefined ? undefined : await readOutcome(store, project.id, tag, commit);
    const tagWithdrawal = tagOutcome && (await withdrawalOf(store, tagOutcome));
    if (tagWithdrawal) throw new Refuse(describeWithdrawal(tagWithdrawal));
    return { resolved, tagOutcome };
  }

  async #list(module: ModulePath): Promise<OnDemandAnswer> {
    const { store, resolver, onMissed } = this.#parts;
    const { project, versions } = await resolver.list(module);
    const published = new Set<string>();
    for await (const version of publishedVersions(store, module)) published.add(version);
    const complete = versions.every((version) => published.has(version));
    if (!complete) onMissed(project.id);
    return { kind: 'list', versions: [...versions], complete };
  }

  async #publish(module: ModulePath, version: Version): Promise<OnDemandAnswer> {
    const { store, log, onMissed } = this.#parts;
    if (await store.stat(moduleKey(module, version, 'info'))) return { kind: 'published' };
    const startedAt = new Date().toISOString();
    const { resolved, tagOutcome: recorded } = await this.#resolve(module, version);
    const { project, tag, commit } = resolved;
    // A skipped outcome has no module path, so it may be replaced. For example, a repository without go.mod is
    // published only on demand.
    const tagOutcome = recorded?.status === 'skipped' ? undefined : recorded;
    const name = outcomeName(resolved, tagOutcome);
    const earlier = name === tag ? tagOutcome : await readOutcome(store, project.id, name, commit);
    // A version that was refused before is not built again, because the build would need another archive.
    if (earlier?.status === 'refused') throw new Refuse(earlier.reason ?? 'the version was refused before');
    const outcome = await publishVersion(this.#parts, resolved, { startedAt, tagOutcome });
    const fields = { module, version, project: project.path, commit };
    if (outcome.status === 'refused') {
      const reason = outcome.reason ?? '';
      log.warn({ event: 'version.refused', ...fields, reason }, 'version refused on demand');
      throw new Refuse(reason);
    }
    log.info({ event: 'version.published', ...fields, h1: outcome.h1 }, 'version published on demand');
    if (tag !== undefined) onMissed(project.id);
    return { kind: 'published' };
  }
}

/** Returns the reason of a failure for developers. GitLab's error text is only logged. */
function publicReason(error: Retry | StoreUnavailable): string {
  if (error instanceof StoreUnavailable) return 'the module store cannot be reached';
  return error instanceof Postponed ? error.message : 'GitLab cannot be reached or returned an error';
}
