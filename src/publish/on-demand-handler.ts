import type { Logger } from 'pino';
import { ArchiveLimitReached } from '../build/strategy.ts';
import { messageOf, Refuse, Retry, Skip } from '../errors.ts';
import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import type { OnDemandAnswer, OnDemandRequest } from '../requests/on-demand-request.ts';
import { madeUpGoMod } from '../resolve/go-mod.ts';
import type { ResolvedVersion, Resolver } from '../resolve/resolver.ts';
import { moduleKey } from '../store/layout.ts';
import { readOutcome, type Outcome } from '../store/outcome.ts';
import { publishedVersions } from '../store/published-versions.ts';
import { StoreUnavailable } from '../store/store.ts';
import { describeWithdrawal, readWithdrawal } from '../store/withdrawal.ts';
import { outcomeName, publishVersion } from './transaction.ts';
import { withdrawalOf } from './withdraw.ts';
import type { WriterParts } from './write-version.ts';

/** What the handler needs. */
export interface OnDemandParts extends WriterParts {
  readonly resolver: Resolver;
  readonly log: Logger;
  /** Called with the id of a project that has tags which should have been published long ago. */
  readonly onMissed: (projectId: number) => void;
  /** Called after each request, with its kind, the kind of its answer, and its duration in seconds. */
  readonly onAnswered: (request: OnDemandRequest['kind'], answer: OnDemandAnswer['kind'], seconds: number) => void;
}

/** When to ask again where GitLab or the store did not say so, in milliseconds. */
const RETRY_MS = 10_000;

/** Answers the requests that the store cannot serve: branches, commits, and versions that are not published yet. */
export class OnDemand {
  readonly #parts: OnDemandParts;

  constructor(parts: OnDemandParts) {
    this.#parts = parts;
  }

  /** The answer to a request. Rejects only because of a bug. */
  async answer(request: OnDemandRequest): Promise<OnDemandAnswer> {
    const started = performance.now();
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
        'GitLab or the store failed: the client has to ask again',
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

  /** The go.mod alone: a client that resolves dependencies does not have to wait for the zip. */
  async #goMod(module: ModulePath, version: Version): Promise<OnDemandAnswer> {
    const { resolved } = await this.#resolve(module, version);
    const { gomod = madeUpGoMod(module), tag, project } = resolved;
    if (tag !== undefined) this.#parts.onMissed(project.id);
    return { kind: 'mod', base64: gomod.toString('base64') };
  }

  /** The version, and the outcome under its tag if there is one. Throws Refuse for a withdrawn version. */
  async #resolve(
    module: ModulePath,
    version: Version,
  ): Promise<{ readonly resolved: ResolvedVersion; readonly ofTag: Outcome | undefined }> {
    const { store, resolver } = this.#parts;
    const withdrawal = await readWithdrawal(store, module, version);
    if (withdrawal) throw new Refuse(describeWithdrawal(withdrawal));
    const resolved = await resolver.resolve(module, version);
    if (resolved.version !== version) throw new Skip(`${module}@${version} is ${resolved.version}`);
    const { tag, project, commit } = resolved;
    const ofTag = tag === undefined ? undefined : await readOutcome(store, project.id, tag, commit);
    const withdrawnUnderTag = ofTag && (await withdrawalOf(store, ofTag));
    if (withdrawnUnderTag) throw new Refuse(describeWithdrawal(withdrawnUnderTag));
    return { resolved, ofTag };
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
    const { resolved, ofTag } = await this.#resolve(module, version);
    const { project, tag, commit } = resolved;
    // A skipped tag has no module: only somebody who asks for it gets a repository without go.mod published.
    const standing = ofTag?.status === 'skipped' ? undefined : ofTag;
    const name = outcomeName(resolved, standing);
    const known = name === tag ? standing : await readOutcome(store, project.id, name, commit);
    // So that the same request costs no second archive.
    if (known?.status === 'refused') throw new Refuse(known.reason ?? 'it was refused before');
    const outcome = await publishVersion(this.#parts, resolved, { startedAt, standing });
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

/** What a developer may read about a failure. GitLab's own words stay in the log. */
function publicReason(error: Retry | StoreUnavailable): string {
  if (error instanceof StoreUnavailable) return 'the module store cannot be reached';
  return error instanceof ArchiveLimitReached ? error.message : 'GitLab does not answer as it should';
}
