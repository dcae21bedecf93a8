import type { FileContent } from '../fake-gitlab/work-tree.ts';

/** Modules m00 to m29 with a few files each, and a LICENSE for all. */
export function thirtyModules(seed: number): Record<string, FileContent> {
  const files: Record<string, FileContent> = {
    LICENSE: 'licence\n',
    'README.md': 'read\n',
    '.gitattributes': '*.bat eol=crlf\ndocs/* export-ignore\n',
  };
  // No archive contains these files, so they must not cause a request for another archive.
  for (let index = 0; index < 20; index++) files[`docs/${index}.txt`] = `${index}\n`;
  for (const name of moduleNames()) {
    files[`${name}/go.mod`] = `module gitlab.example/x/${name}\n\ngo 1.24\n`;
    files[`${name}/a.go`] = `package ${name} // ${seed}\n`;
    files[`${name}/run.bat`] = `echo ${name}\necho\n`;
    files[`${name}/shared.go`] = 'package shared\n';
  }
  return files;
}

/** The directories of the modules. */
export function moduleNames(): string[] {
  return Array.from({ length: 30 }, (_, index) => `m${String(index).padStart(2, '0')}`);
}
