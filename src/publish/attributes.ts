import ignore from 'ignore';

/** A .gitattributes file: the directory it stands in, empty for the root of the repository, and its text. */
export interface AttributesFile {
  readonly directory: string;
  readonly text: string;
}

/** Attributes with which git changes bytes on their way out of the repository. */
const CONVERSION = /(?:^|\s)(?:eol=crlf|crlf|ident|working-tree-encoding=\S+)(?=\s|$)/;

/**
 * Whether any line of these files may give the path an attribute that changes its bytes. It errs on the side of
 * yes: patterns match as in .gitignore, which covers more, later lines that take an attribute back do not count,
 * and with macros everything is possible.
 */
export function mayConvert(files: readonly AttributesFile[], path: string): boolean {
  return files.some(({ directory, text }) => {
    const relative = directory === '' ? path : path.slice(directory.length + 1);
    if (directory !== '' && !path.startsWith(`${directory}/`)) return false;
    const lines = text.split('\n').filter((line) => !line.startsWith('#') && CONVERSION.test(line));
    if (lines.length > 0 && /^\[attr\]/m.test(text)) return true;
    return lines.some((line) => ignore().add(patternOf(line)).ignores(relative));
  });
}

function patternOf(line: string): string {
  return /^\s*("(?:[^"\\]|\\.)*"|\S+)/.exec(line)?.[1]?.replace(/^"(.*)"$/, '$1') ?? '';
}
