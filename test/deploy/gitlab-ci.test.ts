import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { z } from 'zod';
import { describe, expect, it } from 'vitest';
import { readStages } from './dockerfile.ts';

const ROOT = new URL('../../', import.meta.url);
const SCHEDULE = '$CI_PIPELINE_SOURCE == "schedule"';
const RELEASE = '$CI_COMMIT_TAG =~ /^v[0-9]+\\.[0-9]+\\.[0-9]+$/';

async function text(path: string): Promise<string> {
  return await readFile(new URL(path, ROOT), 'utf8');
}

/** The jobs of .gitlab-ci.yml. */
async function readJobs() {
  const job = z.object({
    stage: z.string(),
    image: z.string().optional(),
    script: z.array(z.string()),
    artifacts: z.object({ paths: z.array(z.string()) }).optional(),
    rules: z.array(z.object({ if: z.string(), when: z.literal('never').optional() })),
  });
  return z
    .object({ stages: z.array(z.string()), check: job, mutants: job, benches: job, release: job, image: job })
    .parse(parse(await text('.gitlab-ci.yml')));
}

/** The part of a command that lists the packages, without the name of the file. Empty for other commands. */
function sbomOf(command: string): string[] {
  return command.match(/npm sbom [^>]*(?= >)/g) ?? [];
}

describe('.gitlab-ci.yml', () => {
  it('runs .ci/run for merge requests, the default branch and tags, but not for schedules', async () => {
    const { check } = await readJobs();
    expect(check.script).toEqual(['.ci/run']);
    expect(check.rules).toEqual([
      { if: SCHEDULE, when: 'never' },
      { if: '$CI_PIPELINE_SOURCE == "merge_request_event"' },
      { if: '$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH' },
      { if: '$CI_COMMIT_TAG' },
    ]);
  });

  it('runs the mutation tests and all benchmarks for schedules only', async () => {
    const { mutants, benches } = await readJobs();
    const { scripts } = z
      .object({ scripts: z.record(z.string(), z.string()) })
      .parse(JSON.parse(await text('package.json')));
    expect(mutants.script).toEqual(['npm run mutation']);
    expect(benches.script.toSorted()).toEqual(
      Object.keys(scripts)
        .filter((name) => name.startsWith('bench:'))
        .map((name) => `npm run ${name}`)
        .toSorted(),
    );
    for (const { rules } of [mutants, benches]) expect(rules).toEqual([{ if: SCHEDULE }]);
  });

  it('checks a release before it builds the image, and does both for tags vX.Y.Z only', async () => {
    const { stages, check, release, image } = await readJobs();
    expect(stages).toEqual([check.stage, release.stage, image.stage]);
    expect(release.script).toContain('node .ci/check-release.mjs "$CI_COMMIT_TAG"');
    expect(image.script.join('\n')).toContain('buildah build --format docker');
    expect(image.script.at(-1)).toBe('buildah push "$IMAGE"');
    for (const { rules } of [release, image]) expect(rules).toEqual([{ if: RELEASE }]);
  });

  it('keeps the list of packages with the release', async () => {
    const { release } = await readJobs();
    const [file = ''] = release.artifacts?.paths ?? [];
    expect(release.script.at(-1)).toBe(`npm sbom --package-lock-only --omit=dev --sbom-format=cyclonedx > ${file}`);
  });

  it('writes the list of packages with the command of the Dockerfile', async () => {
    const { release } = await readJobs();
    const steps = readStages(new URL('Dockerfile', ROOT)).flatMap(({ instructions }) => instructions);
    const ofImage = steps.filter(({ keyword }) => keyword === 'RUN').flatMap(({ text: command }) => sbomOf(command));
    expect(ofImage).toHaveLength(1);
    expect(release.script.flatMap(sbomOf)).toEqual(ofImage);
  });

  it('uses one line of Node for the release, the image and the smoke test', async () => {
    const major = /^version=(\d+)\./m.exec(await text('.ci/lts'))?.[1];
    const { release } = await readJobs();
    const images = readStages(new URL('Dockerfile', ROOT)).map(({ image }) => image);
    expect(new Set([release.image, ...images])).toEqual(new Set([`node:${major}-slim`]));
  });
});
