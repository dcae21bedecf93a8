import { validate } from 'dockerfile-utils';
import ignore from 'ignore';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { execForm, readStages, type Stage } from './dockerfile.ts';

const root = new URL('../../', import.meta.url);

function text(path: string): string {
  return readFileSync(new URL(path, root), 'utf8');
}

/** The last stage, which is the image. */
function imageOf(path: string): Stage {
  const image = readStages(new URL(path, root)).at(-1);
  if (!image) throw new Error(`${path} has no stage`);
  return image;
}

function argumentsOf(stage: Stage, keyword: string): string[] {
  return stage.instructions
    .filter((instruction) => instruction.keyword === keyword)
    .map((instruction) => instruction.text);
}

describe.each(['Dockerfile', 'deploy/minio.Dockerfile'])('%s', (path) => {
  it('has no lint errors', () => {
    expect(validate(text(path)).map(({ message, range }) => ({ message, line: range.start.line + 1 }))).toEqual([]);
  });

  it('runs as a dedicated user, given by number and never root', () => {
    expect(argumentsOf(imageOf(path), 'USER').at(-1)).toMatch(/^[1-9][0-9]{3,}:[1-9][0-9]{3,}$/);
  });

  it('can write to its volume', () => {
    const image = imageOf(path);
    const [user = ''] = argumentsOf(image, 'USER').at(-1)?.split(':') ?? [];
    expect(argumentsOf(image, 'VOLUME')).toEqual(['["/data"]']);
    const owned = image.instructions.some(
      ({ flags, text: command }) =>
        flags.get('chown') === `${user}:${user}` || command.includes(`--owner=${user} --group=${user}`),
    );
    expect(owned).toBe(true);
  });

  it('starts its program directly, so that the program receives signals', () => {
    const image = imageOf(path);
    expect(argumentsOf(image, 'STOPSIGNAL')).toEqual(['SIGTERM']);
    expect(execForm(image, 'ENTRYPOINT')[0]).not.toMatch(/sh$/);
    expect(execForm(image, 'CMD').length).toBeGreaterThan(0);
    expect(execForm(image, 'HEALTHCHECK').length).toBeGreaterThan(0);
  });

  it('copies from existing stages, and uses base images with a version', () => {
    const stages = readStages(new URL(path, root));
    for (const [index, stage] of stages.entries()) {
      expect(stage.image).toMatch(/^[a-z]+:[0-9][0-9a-z.-]*$/);
      const earlier = stages.slice(0, index).map(({ name }) => name);
      for (const { keyword, flags } of stage.instructions) {
        const from = flags.get('from');
        if (keyword === 'COPY' && from !== undefined) expect(earlier).toContain(from);
      }
    }
  });
});

describe('the build context', () => {
  it('has every file that the Dockerfile copies', () => {
    const ignored = ignore().add(text('.dockerignore'));
    const copied = readStages(new URL('Dockerfile', root))
      .flatMap(({ instructions }) => instructions)
      .filter(({ keyword, flags }) => keyword === 'COPY' && !flags.has('from'))
      .flatMap((instruction) => instruction.text.split(' ').slice(0, -1));
    expect(copied.length).toBeGreaterThan(0);
    for (const path of copied) {
      expect(existsSync(new URL(path, root)), path).toBe(true);
      expect(ignored.ignores(path), path).toBe(false);
    }
  });

  it('has no other files, and no secrets', () => {
    const ignored = ignore().add(text('.dockerignore'));
    for (const path of [
      '.git/config',
      'node_modules/yazl/index.js',
      'data/x',
      'deploy/secrets/gitlab_token',
      'deploy/.env',
      'test/x.ts',
    ]) {
      expect(ignored.ignores(path), path).toBe(true);
    }
  });
});

describe('MinIO', () => {
  it('is deployed in the version of the tests', () => {
    const tested = /github\.com\/minio\/minio@\S+?(?=')/.exec(text('test/services/minio.ts'))?.[0];
    expect(tested).toBeDefined();
    expect(text('deploy/minio.Dockerfile')).toContain(`go install ${tested}\n`);
  });
});
