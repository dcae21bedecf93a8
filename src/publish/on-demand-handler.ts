import type { Logger } from 'pino';
import { messageOf, Refuse, Retry, Skip } from '../errors.ts';
import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import { madeUpGoMod } from '../resolve/go-mod.ts';
import type { ResolvedVersion, Resolver } from '../resolve/resolver.ts';
import { moduleKey } from '../store/layout.ts';
import { publishedVersions } from '../store/published-versions.ts';
import { StoreUnavailable } from '../store/store.ts';
import { describeWithdrawal, readWithdrawal } from '../store/withdrawal.ts';
import { readOutcome, writeOutcome, type Outcome } from '../store/outcome.ts';
import type { OnDemandAnswer, OnDemandRequest } from '../requests/on-demand-request.ts';
import { withdrawalOf } from './withdraw.ts';
import { writeVersion, type WriterParts } from './write-version.ts';

/** What answering questions needs. */
export interface OnDemandParts extends WriterParts {
  readonly resolver: Resolver;
  readonly log: Logger;
  /** Told of a project that has versions which should have been published long ago. */
  readonly onMissed: (projectId: number) => void;
  /** Told of every answer, and the seconds that it took. */
  readonly onAnswered: (ask: OnDemandRequest['kind'], answer: OnDemandAnswer['kind'], seconds: number) => void;
}

/** When the other side did not say when to ask again, in milliseconds. */
const AGAIN_MS = 10_000;

/** Answers what the store cannot: what branches and commits are, and versions that nobody has published yet. */
export class OnDemand {
  readonly #parts: OnDemandParts;

  constructor(parts: OnDemandParts) {
    this.#parts = parts;
  }

  /** The answer to a question. Rejects only for what is a bug. */
  async answer(question: OnDemandRequest): Promise<OnDemandAnswer> {
    const started = performance.now();
    const answer = await this.#answer(question);
    this.#parts.onAnswered(question.kind, answer.kind, (performance.now() - started) / 1000);
    return answer;
  }

  async #answer(question: OnDemandRequest): Promise<OnDemandAnswer> {
    try {
      return await this.#find(question);
    } catch (error) {
      if (error instanceof Skip || error instanceof Refuse) return { kind: 'absent', reason: error.message };
      const passes = error instanceof Retry || error instanceof StoreUnavailable;
      if (!passes) throw error;
      this.#parts.log.warn({ ...question, reason: messageOf(error) }, 'a question could not be answered now');
      const reason = error instanceof Retry ? publicReason(error) : 'the module store cannot be reached';
      return { kind: 'later', reason, afterMs: (error instanceof Retry ? error.afterMs : undefined) ?? AGAIN_MS };
    }
  }

  async #find(question: OnDemandRequest): Promise<OnDemandAnswer> {
    if (question.kind === 'info')
      return { kind: 'info', text: await this.#parts.resolver.info(question.module, question.query) };
    if (question.kind === 'publish') return await this.#publish(question.module, question.version);
    if (question.kind === 'mod') return await this.#goMod(question.module, question.version);
    return await this.#list(question.module);
  }

  /** The go.mod alone: who only wants to know what a version requires does not have to wait for its zip. */
  async #goMod(module: ModulePath, version: Version): Promise<OnDemandAnswer> {
    const { gomod = madeUpGoMod(module), tag, project } = await this.#resolve(module, version);
    if (tag !== undefined) this.#parts.onMissed(project.id);
    return { kind: 'mod', base64: gomod.toString('base64') };
  }

  async #resolve(module: ModulePath, version: Version): Promise<ResolvedVersion> {
    const withdrawal = await readWithdrawal(this.#parts.store, module, version);
    if (withdrawal) throw new Refuse(describeWithdrawal(withdrawal));
    const resolved = await this.#parts.resolver.resolve(module, version);
    if (resolved.version !== version) throw new Skip(`${module}@${version} is ${resolved.version}`);
    const { tag, project, commit } = resolved;
    const ofTag = tag === undefined ? undefined : await readOutcome(this.#parts.store, project.id, tag, commit);
    const before = ofTag && (await withdrawalOf(this.#parts.store, ofTag));
    if (before) throw new Refuse(describeWithdrawal(before));
    return resolved;
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
    const resolved = await this.#resolve(module, version);
    const record = await this.#recordOf(resolved, startedAt);
    const known = await readOutcome(store, record.projectId, record.tag, resolved.commit);
    if (known?.status === 'refused') throw new Refuse(known.reason ?? 'it was refused before');
    try {
      const written = await writeVersion(this.#parts, resolved);
      await writeOutcome(store, { ...record, status: 'published', ...written, finishedAt: new Date().toISOString() });
      log.info(
        { module, version, project: resolved.project.path, commit: resolved.commit, h1: written.h1 },
        'version published on demand',
      );
    } catch (error) {
      if (!(error instanceof Refuse)) throw error;
      // So that asking again costs no archive.
      await writeOutcome(store, {
        ...record,
        status: 'refused',
        reason: error.message,
        finishedAt: new Date().toISOString(),
      });
      log.warn({ module, version, project: resolved.project.path, reason: error.message }, 'version refused on demand');
      throw error;
    }
    if (resolved.tag !== undefined) onMissed(resolved.project.id);
    return { kind: 'published' };
  }

  /** What is known of an outcome beforehand. It stands under the tag, unless there is no tag or it has brought forth another module. */
  async #recordOf(
    { project, tag, commit, path, version }: ResolvedVersion,
    startedAt: string,
  ): Promise<Omit<Outcome, 'status' | 'finishedAt'>> {
    const ofTag = tag === undefined ? undefined : await readOutcome(this.#parts.store, project.id, tag, commit);
    const isFree = tag !== undefined && (ofTag === undefined || ofTag.status === 'skipped');
    const name = isFree ? tag : `${path}@${version}`;
    return { projectId: project.id, project: project.path, tag: name, commit, module: path, version, startedAt };
  }
}

/** What a developer may read of a failure: GitLab's own words stay in the log. */
function publicReason(error: Retry): string {
  return error.message.startsWith('GitLab allows') ? error.message : 'GitLab does not answer as it should';
}
