import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { Router, type Request, type Response } from 'express';
import type { ApiContext } from './api/context.ts';
import { ApiError, notFound } from './api/error.ts';
import { text } from './api/query.ts';
import type { Git } from './git.ts';
import { lastPart, type ProjectRecord } from './instance.ts';

const WINDOW_MS = 60_000;
/** GitLab's limit for requests without a token. */
const ANONYMOUS_LIMIT = 100;

type Format = 'tar' | 'tar.gz' | 'zip';

/**
 * Serves `/projects/:id/repository/archive[.format]` with the output of `git archive`, called as Gitaly calls it. The
 * first response is streamed without Content-Length while it fills the cache. Later responses come from the cache, with
 * Content-Length.
 */
export class Archives {
  readonly #context: ApiContext;
  readonly #git: Git;
  readonly #folder: string;
  readonly #limit: number | 'off';
  readonly #windows = new Map<string, { start: number; count: number }>();

  /** `folder` contains the cache. `limit` is the number of requests per minute, token and project. */
  constructor(context: ApiContext, git: Git, folder: string, limit: number | 'off') {
    this.#context = context;
    this.#git = git;
    this.#folder = folder;
    this.#limit = limit;
  }

  routes(): Router {
    const router = Router();
    router.get('/projects/:id/repository/archive', (request, response) =>
      this.#answer(request, response, request.params.id, 'tar.gz'),
    );
    router.get('/projects/:id/repository/archive.:format', (request, response) => {
      const format = formatOf(request.params.format);
      if (format === undefined) throw new ApiError(404, { error: '404 Not Found' });
      return this.#answer(request, response, request.params.id, format);
    });
    return router;
  }

  async #answer(request: Request, response: Response, id: string, format: Format): Promise<void> {
    const { access } = this.#context;
    const project = access.project(request, id);
    // The order of these checks is GitLab's (lib/api/repositories.rb). A refused request counts too.
    this.#countRequest(project, access.token(request)?.value);
    if (isHotlink(request)) throw new ApiError(406, { message: '406 Not Acceptable' });
    const ref = text(request, 'sha') ?? (await project.repository.defaultBranch());
    const commit = await project.repository.commit(ref);
    if (commit === undefined) throw notFound('File');

    const path = (text(request, 'path') ?? '').replace(/^\/+|\/+$/g, '');
    const excluded = (text(request, 'exclude_paths') ?? '').split(',').filter((part) => part !== '');
    const prefix = [lastPart(project.fullPath), dashed(ref), commit.id, ...(path === '' ? [] : [dashed(path)])].join(
      '-',
    );
    const name = `${prefix}.${format}`;
    const key = createHash('sha256')
      .update(JSON.stringify([project.id, name, path, excluded]))
      .digest('hex');
    const cached = join(this.#folder, key);

    response.setHeader('Content-Type', format === 'zip' ? 'application/zip' : 'application/octet-stream');
    response.setHeader('Content-Disposition', `attachment; filename="${name}"`);
    response.setHeader('Content-Transfer-Encoding', 'binary');
    response.setHeader('Cache-Control', 'max-age=0, private');
    const size = await stat(cached).then(
      ({ size: bytes }) => bytes,
      () => undefined,
    );
    if (size !== undefined) {
      response.setHeader('Content-Length', size);
      await pipeline(createReadStream(cached), response).catch(leftEarly);
      return;
    }
    const pathspecs = [path === '' ? '.' : path, ...excluded.map((part) => `:(exclude)${part}`)];
    await this.#stream(project, { prefix, format, commit: commit.id, pathspecs }, cached, response);
  }

  /** Streams an archive while git produces it. If git fails, the body ends early, because status 200 has been sent. */
  async #stream(
    project: ProjectRecord,
    archive: { prefix: string; format: Format; commit: string; pathspecs: readonly string[] },
    cached: string,
    response: Response,
  ): Promise<void> {
    const format = archive.format === 'zip' ? 'zip' : 'tar';
    const child = this.#git.start(
      ['archive', `--format=${format}`, `--prefix=${archive.prefix}/`, archive.commit, '--', ...archive.pathspecs],
      { cwd: project.repository.directory },
    );
    child.stderr.resume();
    const ended = once(child, 'close') as Promise<[number | null]>;
    const partial = `${cached}.${randomUUID()}`;
    const body: Readable = archive.format === 'tar.gz' ? gzipped(child.stdout) : child.stdout;
    const copy = new PassThrough();
    const saved = pipeline(copy, createWriteStream(partial));
    try {
      await pipeline(
        body,
        async function* tee(source: AsyncIterable<Buffer>) {
          for await (const chunk of source) {
            if (!copy.write(chunk)) await once(copy, 'drain');
            yield chunk;
          }
        },
        response,
      );
      copy.end();
      await saved;
      const [status] = await ended;
      if (status === 0) await rename(partial, cached);
    } catch (error) {
      child.kill('SIGKILL');
      copy.destroy();
      await Promise.allSettled([saved, ended]);
      leftEarly(error);
    } finally {
      await rm(partial, { force: true });
    }
  }

  /**
   * Counts requests in windows of a minute that begin with the first request. GitLab's windows begin with the minutes
   * of the clock, so GitLab can allow twice the limit around the turn of a minute. The stand-in never does, so tests
   * can rely on the limit.
   */
  #countRequest(project: ProjectRecord, token: string | undefined): void {
    if (this.#limit === 'off') return;
    const key = `${project.id} ${token ?? ''}`;
    const now = performance.now();
    let window = this.#windows.get(key);
    if (window === undefined || now - window.start >= WINDOW_MS) {
      window = { start: now, count: 0 };
      this.#windows.set(key, window);
    }
    window.count += 1;
    if (window.count > (token === undefined ? ANONYMOUS_LIMIT : this.#limit)) {
      throw new ApiError(429, {
        message: { error: 'This archive has been requested too many times. Try again later.' },
      });
    }
  }
}

function formatOf(extension: string): Format | undefined {
  if (/^(?:tar\.gz|tgz|gz)$/.test(extension)) return 'tar.gz';
  return extension === 'tar' || extension === 'zip' ? extension : undefined;
}

/**
 * Detects hotlinks as GitLab does: requests from scripts of web pages, and requests for images, videos or style sheets.
 */
function isHotlink(request: Request): boolean {
  const mode = request.headers['sec-fetch-mode'];
  if (mode === 'cors' || mode === 'no-cors' || mode === 'websocket') return true;
  return /^(?:image|video|audio)\/|^text\/css|^application\/ogg/.test(request.headers.accept ?? '');
}

function dashed(ref: string): string {
  return ref.replaceAll('/', '-');
}

function gzipped(source: Readable): Readable {
  const gzip = createGzip();
  source.on('error', (error) => gzip.destroy(error));
  return source.pipe(gzip);
}

/**
 * Ignores the error of a client that disconnects early, because it is not a failure of the server. Rethrows every other
 * error.
 */
function leftEarly(error: unknown): void {
  const code = (error as NodeJS.ErrnoException).code;
  if (code !== 'ERR_STREAM_PREMATURE_CLOSE' && code !== 'ECONNRESET' && code !== 'EPIPE' && code !== 'ABORT_ERR')
    throw error;
}
