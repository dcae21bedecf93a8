import { parseCommit } from '../gitlab/schema.ts';
import { hashGoMod } from '../module/hash.ts';
import { madeUpGoMod } from '../resolve/go-mod.ts';
import { withTemporaryFolder } from '../io/temporary-folder.ts';
import { moduleKey, type VersionFile } from '../store/layout.ts';
import type { ReadStore } from '../store/store.ts';
import type { Finding, FindingKind } from './finding.ts';
import type { Rebuilder } from './rebuild.ts';
import type { PublishRecord } from './records.ts';
import type { StoredVersion } from './stored-versions.ts';
import { readStoredFiles, type Stored, type StoredFiles } from './stored-files.ts';

/** What a check of a version needs. */
export interface CheckParts {
  readonly store: ReadStore;
  /** Folder for temporary files. */
  readonly temporaryRoot: string;
  /** Builds the version again from GitLab; undefined to look at the store alone. */
  readonly rebuilder: Rebuilder | undefined;
}

type Subject = Pick<StoredVersion, 'module' | 'version'>;

/**
 * Checks a published version: its files against each other, against the record of its publishing, and against GitLab.
 * Resolves to everything that is wrong. Rejects with errors of the store, and once `signal` is aborted.
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

/** What to do about a version that the store has lost or spoilt. */
export function repairAdvice({ module, version }: Subject, record: PublishRecord | undefined): string {
  const keys = [moduleKey(module, version, 'info'), ...(record ? [record.key] : [])];
  return `put it back from a backup, or delete ${keys.join(' and ')}, so that the next sweep publishes it again from GitLab`;
}

/** What is wrong with the files by themselves. */
function checkFiles(subject: Subject, files: StoredFiles, record: PublishRecord | undefined): Finding[] {
  const advice = repairAdvice(subject, record);
  const findings: Finding[] = [];
  for (const file of ['info', 'mod', 'zip'] as const) {
    const stored: Stored<unknown> = files[file];
    if (stored.is === 'missing')
      findings.push({ kind: 'missing', ...subject, file, problem: `.${file} is missing`, advice });
    if (stored.is === 'bad')
      findings.push({ kind: 'different', ...subject, file, problem: `.${file} ${stored.problem}`, advice });
  }
  const fault = files.zip.is === 'read' ? files.zip.value.fault : undefined;
  if (fault !== undefined)
    findings.push({
      kind: 'different',
      ...subject,
      file: 'zip',
      problem: `.zip is not a zip of this version: ${fault}`,
      advice,
    });
  return findings;
}

/** Compares with what was written down; `.mod`, without a record, with the go.mod in the zip. */
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
  compare('zip', '.zip is not what was published', record?.h1, zip?.h1);
  compare('mod', '.mod is not what was published', record?.goModH1, mod);
  if (zip && record?.goModH1 === undefined)
    compare('mod', '.mod is not the go.mod in the zip', zip.goModH1 ?? hashGoMod(madeUpGoMod(subject.module)), mod);
  if (!record) {
    findings.push({
      kind: 'unrecorded',
      ...subject,
      problem: 'no outcome tells with which checksums it was published',
      advice: `modpress verify ${subject.module}@${subject.version} --from-gitlab compares it with the repository`,
    });
  }
  return findings;
}

/** Builds the version again and compares. What cannot be read was found before. */
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
    const advice = `if it should be there, run modpress verify ${module}@${version} --from-gitlab again later`;
    return [{ kind: 'unchecked', ...subject, problem: `could not be checked${at}: ${built.reason}`, advice }];
  }
  const compared = [
    { file: 'zip', expected: built.h1, found: zip.is === 'read' ? zip.value.h1 : undefined },
    { file: 'mod', expected: built.goModH1, found: mod.is === 'read' ? mod.value : undefined },
  ] as const;
  return compared.flatMap(({ file, expected, found }) => {
    if (found === undefined || found === expected) return [];
    const kind: FindingKind = 'different';
    const problem = `.${file} is not what the repository gives${at}`;
    return [
      {
        kind,
        ...subject,
        file,
        problem,
        expected,
        found,
        advice: 'find out which was changed; a go.sum that has the version tells what was published',
      },
    ];
  });
}
