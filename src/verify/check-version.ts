import { parseCommit } from '../gitlab/schema.ts';
import { hashGoMod } from '../module/hash.ts';
import { legacyGoMod } from '../module/modfile.ts';
import { withTemporaryFolder } from '../io/temporary-folder.ts';
import { moduleKey, type VersionFile } from '../store/layout.ts';
import type { ReadStore } from '../store/store.ts';
import type { Finding, FindingKind } from './finding.ts';
import type { Rebuilder } from './rebuild.ts';
import type { PublishRecord } from './records.ts';
import type { StoredVersion } from './stored-versions.ts';
import { readStoredFiles, type StoredFile, type StoredFiles } from './stored-files.ts';

/** The dependencies of a check. */
export interface CheckParts {
  readonly store: ReadStore;
  /** The folder in which temporary folders are created. */
  readonly temporaryRoot: string;
  /** Builds versions again from GitLab. If undefined, only the store is checked. */
  readonly rebuilder: Rebuilder | undefined;
}

type Subject = Pick<StoredVersion, 'module' | 'version'>;

/**
 * Checks a published version. Compares its files with each other, with the record of its publication, and with a new
 * build if there is a rebuilder. Resolves to all findings. Rejects with StoreUnavailable, and once `signal` is aborted.
 */
export async function checkVersion(
  parts: CheckParts,
  subject: Subject,
  record: PublishRecord | undefined,
  signal: AbortSignal,
): Promise<Finding[]> {
  const { store, temporaryRoot, rebuilder } = parts;
  const { module, version } = subject;
  const files = await withTemporaryFolder(temporaryRoot, (folder) =>
    readStoredFiles(store, module, version, folder, signal),
  );
  const findings = [...checkFiles(subject, files, record), ...compareWithRecord(subject, files, record)];
  if (rebuilder) findings.push(...(await compareWithGitLab(rebuilder, subject, files, record, signal)));
  return findings;
}

/** Returns the advice for a version that is missing or damaged in the store. */
export function repairAdvice({ module, version }: Subject, record: PublishRecord | undefined): string {
  const keys = [moduleKey(module, version, 'info'), ...(record ? [record.key] : [])];
  return `restore the version from a backup, or delete ${keys.join(' and ')} so that the next sweep publishes it again`;
}

/** Checks each file separately. */
function checkFiles(subject: Subject, files: StoredFiles, record: PublishRecord | undefined): Finding[] {
  const advice = repairAdvice(subject, record);
  const findings: Finding[] = [];
  for (const file of ['info', 'mod', 'zip'] as const) {
    const stored: StoredFile<unknown> = files[file];
    if (stored.is === 'missing')
      findings.push({ kind: 'missing', ...subject, file, problem: `.${file} is missing`, advice });
    if (stored.is === 'invalid')
      findings.push({ kind: 'different', ...subject, file, problem: `.${file} ${stored.problem}`, advice });
  }
  const fault = files.zip.is === 'read' ? files.zip.value.fault : undefined;
  if (fault !== undefined)
    findings.push({
      kind: 'different',
      ...subject,
      file: 'zip',
      problem: `.zip is not a valid zip of this version: ${fault}`,
      advice,
    });
  return findings;
}

/** Compares the files with the record. Without a recorded go.mod, compares `.mod` with the go.mod in the zip. */
function compareWithRecord(subject: Subject, files: StoredFiles, record: PublishRecord | undefined): Finding[] {
  const advice = repairAdvice(subject, record);
  const findings: Finding[] = [];
  const zip = files.zip.is === 'read' ? files.zip.value : undefined;
  const mod = files.mod.is === 'read' ? files.mod.value : undefined;
  const compare = (
    file: VersionFile,
    problem: string,
    expected: string | undefined,
    found: string | undefined,
  ): void => {
    if (expected === undefined || found === undefined || expected === found) return;
    findings.push({ kind: 'different', ...subject, file, problem, expected, found, advice });
  };
  compare('zip', '.zip differs from what was published', record?.h1, zip?.h1);
  compare('mod', '.mod differs from what was published', record?.goModH1, mod);
  if (zip && record?.goModH1 === undefined)
    compare(
      'mod',
      '.mod differs from the go.mod in the zip',
      zip.goModH1 ?? hashGoMod(legacyGoMod(subject.module)),
      mod,
    );
  if (!record) {
    findings.push({
      kind: 'unrecorded',
      ...subject,
      problem: 'no outcome records the checksums of this version',
      advice: `run modpress verify ${subject.module}@${subject.version} --from-gitlab to compare the version with its repository`,
    });
  }
  return findings;
}

/** Builds the version again and compares the checksums. Skips files that cannot be read, which `checkFiles` reports. */
async function compareWithGitLab(
  rebuilder: Rebuilder,
  subject: Subject,
  { zip, mod, info }: StoredFiles,
  record: PublishRecord | undefined,
  signal: AbortSignal,
): Promise<Finding[]> {
  const { module, version } = subject;
  const commit = record?.commit ?? parseCommit(info.is === 'read' ? info.value.commit : undefined);
  const built = await rebuilder.rebuild(module, version, commit, signal);
  const at = commit === undefined ? '' : ` at commit ${commit}`;
  if (built.is === 'impossible') {
    const advice = `if the version should exist in GitLab, run modpress verify ${module}@${version} --from-gitlab again later`;
    return [{ kind: 'unchecked', ...subject, problem: `could not be checked${at}: ${built.reason}`, advice }];
  }
  const compared = [
    { file: 'zip', expected: built.h1, found: zip.is === 'read' ? zip.value.h1 : undefined },
    { file: 'mod', expected: built.goModH1, found: mod.is === 'read' ? mod.value : undefined },
  ] as const;
  return compared.flatMap(({ file, expected, found }) => {
    if (found === undefined || found === expected) return [];
    const kind: FindingKind = 'different';
    const problem = `.${file} differs from a new build${at}`;
    return [
      {
        kind,
        ...subject,
        file,
        problem,
        expected,
        found,
        advice:
          'find out whether the store or the repository was changed: a go.sum that lists this version contains the original checksum',
      },
    ];
  });
}
