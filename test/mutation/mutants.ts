/** A rule that is broken on purpose by replacing one passage of one file. */
export interface Mutant {
  /** The rule that no longer holds. */
  readonly breaks: string;
  readonly file: string;
  /** The passage, which occurs exactly once in the file. White space and line breaks do not count. */
  readonly find: string;
  readonly replace: string;
  /** The folder or file of the tests that must fail. */
  readonly tests:
    | 'test/hostile'
    | 'test/module'
    | 'test/resolve'
    | 'test/sweep'
    | 'test/publish/checksums.test.ts'
    | 'test/publish/long-paths.test.ts'
    | 'test/publish/many-tags.test.ts'
    | 'test/publish/publish.test.ts'
    | 'test/publish/transaction.test.ts'
    | 'test/publish/withdraw.test.ts';
}

function module(file: string, breaks: string, find: string, replace: string): Mutant {
  return { file: `src/module/${file}`, breaks, find, replace, tests: 'test/module' };
}

function resolve(file: string, breaks: string, find: string, replace: string): Mutant {
  return { file: `src/resolve/${file}`, breaks, find, replace, tests: 'test/resolve' };
}

function sweep(file: string, breaks: string, find: string, replace: string): Mutant {
  return { file: `src/sweep/${file}`, breaks, find, replace, tests: 'test/sweep' };
}

/** Each mutant must make its tests fail. If a rule moves to another place, its mutant must follow. */
export const MUTANTS: readonly Mutant[] = [
  module('tree-sieve.ts', 'vendored files are left out', 'if (isVendored(file.path, this.#isGo124) || ', 'if ('),
  module('tree-sieve.ts', 'nested modules are left out', ' || this.#isInLastNested(file.path)', ''),
  module(
    'check-files.ts',
    'GO.MOD marks a nested module too',
    "path.slice(slash).toLowerCase() === 'go.mod'",
    "path.slice(slash) === 'go.mod'",
  ),
  module(
    'check-files.ts',
    'a symlink named go.mod marks no nested module',
    "slash > 0 && kind === 'file' && path",
    'slash > 0 && path',
  ),
  module('check-files.ts', '.hg_archival.txt is left out', "if (path === '.hg_archival.txt') return 'omitted';", ''),
  module(
    'check-files.ts',
    'symlinks are left out',
    "return kind === 'file' ? 'included' : 'omitted';",
    "return 'included';",
  ),
  module(
    'check-files.ts',
    'vendor/modules.txt is left out from go 1.24',
    "if (isGo124 && path === 'vendor/modules.txt') return true;",
    '',
  ),
  module(
    'check-files.ts',
    'before go 1.24, the path after a nested vendor directory is taken from the eighth byte',
    'if (!isGo124) return',
    'if (false as boolean) return',
  ),
  module(
    'check-files.ts',
    'files directly in vendor are included',
    "return path.includes('/', offset);",
    'return true;',
  ),
  module(
    'check-files.ts',
    'the name of the root go.mod must be in lower case',
    "path !== 'go.mod' && path.toLowerCase() === 'go.mod' ?",
    "path !== path && path.toLowerCase() === 'go.mod' ?",
  ),
  module(
    'name-collisions.ts',
    'the names of directories can collide too',
    'reason = this.#check(directory, true);',
    'reason = undefined;',
  ),
  module(
    'name-collisions.ts',
    'the collision of a directory concerns each of its files',
    'reason = this.#results.get(key);',
    'reason = undefined;',
  ),
  module(
    'name-collisions.ts',
    'a name cannot be both a file and a directory',
    'if (sameKind === undefined) return',
    'if (false as boolean) return',
  ),
  module(
    'tree-sieve.ts',
    'files are in byte order',
    'sortInSlices([...this.#kept], (a, b) => compareBytes(a.path, b.path))',
    'sortInSlices([...this.#kept], (a, b) => (a.path < b.path ? -1 : 1))',
  ),
  module(
    'unicode.ts',
    'names are compared by Unicode case folding, not by lower-casing',
    'return Array.from(text, (char) => {',
    'if (text !== "") return text.toLowerCase();\n  return Array.from(text, (char) => {',
  ),
  module(
    'unicode.ts',
    'letters are the letters of Go',
    'return inRanges(letters, char.codePointAt(0) ?? 0);',
    'return /\\p{L}|\\p{M}|\\p{N}/u.test(char);',
  ),
  module(
    'hash.ts',
    'a checksum is computed over names in byte order',
    'return Buffer.compare(Buffer.from(a), Buffer.from(b));',
    'return a < b ? -1 : 1;',
  ),
  module('hash.ts', 'a line of the checksum contains two spaces', '${sha256}  ${name}', '${sha256} ${name}'),
  module(
    'hash.ts',
    'the checksum of a go.mod includes the name go.mod',
    "hashOne({ name: 'go.mod', sha256",
    "hashOne({ name: 'go.sum', sha256",
  ),
  module(
    'zip/writer.ts',
    'names in a zip begin with module@version',
    'this.#prefix = `${path}@${version}/`;',
    'this.#prefix = `${path}/`;',
  ),
  module('zip/writer.ts', 'LICENSE has at most 16 MiB', "path === 'LICENSE' ? MAX_LICENSE : MAX_ZIP", 'MAX_ZIP'),
  module('zip/writer.ts', 'go.mod has at most 16 MiB', "path === 'go.mod' ? MAX_GOMOD : ", ''),
  module('zip/writer.ts', 'a LICENSE of exactly 16 MiB is allowed', 'if (size > limit)', 'if (size >= limit)'),
  module('zip/writer.ts', 'the limit of go.mod is the limit of the go command', 'MAX_GOMOD = 16 *', 'MAX_GOMOD = 15 *'),
  module('zip/writer.ts', 'a zip has at most 500 MiB', 'if (bytes > MAX_ZIP)', 'if (bytes < 0)'),
  module('zip/format.ts', 'many files need the 64-bit records', 'count >= ELSEWHERE_16;', 'count > 0xffffff;'),
  module('zip/writer.ts', 'a module has at most 500 MiB', 'if (this.#total > MAX_ZIP)', 'if (this.#total < 0)'),
  module(
    'path.ts',
    'a name must not end in a dot',
    "if (element.endsWith('.')) return 'trailing dot in path element';",
    '',
  ),
  module(
    'path.ts',
    'a name must not be reserved on Windows',
    'if (WINDOWS_NAMES.test(short)) return',
    'if (false as boolean) return',
  ),
  module(
    'path.ts',
    'a name in a module path must not end in a tilde and digits',
    "if (kind === 'module' && /~[0-9]+$/.test(short))",
    'if (false as boolean)',
  ),
  module(
    'path.ts',
    'an element of a module path must not begin with a dot',
    "if (kind === 'module' && element.startsWith('.'))",
    'if (false as boolean)',
  ),
  module(
    'path.ts',
    'a module path must not begin with a dash',
    "if (kind === 'module' && path.startsWith('-'))",
    'if (false as boolean)',
  ),
  module(
    'path.ts',
    'the first element must contain a dot',
    "if (!first.includes('.')) return 'missing dot in first path element';",
    '',
  ),
  module(
    'path.ts',
    'the first element must be a host in lower case',
    'if (invalid) return',
    'if (false as boolean) return',
  ),
  module(
    'path.ts',
    'a module path must not end in an invalid version suffix',
    "if (splitPathVersion(path) === undefined) return 'invalid version suffix';",
    '',
  ),
  module('path.ts', 'an escaped name must not contain upper case', '/[A-Z]|\\P{ASCII}', '/\\P{ASCII}'),
  module('path.ts', 'an escaped name must be ASCII', '|\\P{ASCII}|', '|'),
  module('path.ts', '/v1 is not a valid suffix', "&& major !== '/v1' ?", '?'),
  module(
    'path.ts',
    'gopkg.in has its own suffixes',
    "if (path.startsWith('gopkg.in/')) {",
    "if (path.startsWith('gopkg.invalid/')) {",
  ),
  module('path.ts', 'upper case is escaped', '`!${char.toLowerCase()}`', 'char.toLowerCase()'),
  module('path.ts', 'a single ! is not a valid escape', '|!(?![a-z])', ''),
  module(
    'version.ts',
    'numbers have no leading zeros',
    "if (at === start || (hasLeadingZero && part !== 'build')) return",
    "if (at === start || (hasLeadingZero && part === 'prerelease')) return",
  ),
  module(
    'version.ts',
    'numeric identifiers of a pre-release have no leading zeros',
    'const hasLeadingZero = isNumber &&',
    "const hasLeadingZero = part !== 'prerelease' &&",
  ),
  module(
    'version.ts',
    '+incompatible is the only build metadata that remains',
    "parsed.build === '+incompatible' ? parsed.build : ''",
    'parsed.build',
  ),
  module('version.ts', 'a release comes after its pre-releases', "if (a === '') return 1;", "if (a === '') return -1;"),
  module('version.ts', 'numbers compare as numbers', 'return a.length - b.length || (a < b', 'return (a < b'),
  module(
    'version.ts',
    'numeric identifiers come before other identifiers',
    'return xNumeric ? -1 : 1;',
    'return xNumeric ? 1 : -1;',
  ),
  module('version.ts', '+incompatible matches only a path without a suffix', " || build === '+incompatible';", ';'),
  module(
    'version.ts',
    'v0.0.0- pseudo-versions are valid for .v1',
    "if (suffix === '.v1' && major",
    "if (suffix === '.v1.' && major",
  ),
  module(
    'version.ts',
    '-unstable is not part of the major version',
    "pathMajor.replace(/-unstable$/, '')",
    'pathMajor',
  ),
  module('version.ts', 'the timestamp of a pseudo-version has fourteen digits', '\\d{14}', '\\d{8,14}'),
  module('pseudo.ts', 'a pseudo-version comes after its base', '+ 1n}-0.', '}-0.'),
  module(
    'pseudo.ts',
    'a base that is a pre-release keeps its pre-release part',
    "if (prereleaseOf(canonical) !== '') return",
    'if (false as boolean) return',
  ),
  module('pseudo.ts', 'no version comes before v1.0.0-0', 'before < 0n', 'before < -1n'),
  module(
    'pseudo.ts',
    'a pseudo-version without a base cannot be +incompatible',
    "build === '' ? '' : { reason:",
    "build !== '?' ? '' : { reason:",
  ),
  module(
    'pseudo.ts',
    'times are in UTC',
    "time.toISOString().replace(/\\D/g, '').slice(0, 14)",
    "new Date(time.getTime() + 3_600_000).toISOString().replace(/\\D/g, '').slice(0, 14)",
  ),
  module('modfile.ts', 'go 1.24 is the boundary of the vendor rule', 'Number(minor) >= 24', 'Number(minor) >= 25'),
  module(
    'modfile.ts',
    'a malformed require makes the file invalid',
    'if (!split || !(yield* isVersionOfMajor(version, split.major))) throw',
    'if (split === null) throw',
  ),
  module(
    'modfile.ts',
    'a retraction of an interval reads its upper bound',
    'isRange ? yield* unquoted(statement.argument(3)) : low;',
    'low;',
  ),
  module('retractions.ts', 'the lower bound of a retraction is retracted', "count('<', lowest)", "count('<=', lowest)"),
  module(
    'retractions.ts',
    'the upper bound of a retraction is retracted',
    "count('<=', highest)",
    "count('<', highest)",
  ),
  module(
    'declared-path.ts',
    'a module path may be in quotes',
    "if (quote === '\"') return",
    "if (quote === '?') return",
  ),
  module(
    'declared-path.ts',
    'a module path may be in backquotes',
    "if (quote !== '`') return",
    "if (quote !== '?') return",
  ),
  module(
    'unicode.ts',
    'a byte order mark is not white space',
    '|| OTHER_SPACES.has(code);',
    '|| OTHER_SPACES.has(code) || code === 0xfeff;',
  ),
  module(
    'modfile.ts',
    'a second go line makes the file invalid',
    'if (go !== undefined || statement.length !== 1) throw',
    'if (statement.length !== 1) throw',
  ),
  module(
    'modfile.ts',
    'a second module line makes the file invalid',
    'if (hasModule || statement.length !== 1) throw',
    'if (statement.length !== 1) throw',
  ),
  module('modfile.ts', 'only the first two numbers of a lax go version count', 'return lax;\n', 'return text;\n'),
  module(
    'modfile.ts',
    'a pre-release of a patch release is not a go version',
    'if (patch !== undefined && kind !== undefined) return false;',
    '',
  ),
  module('declared-path.ts', 'a comment ends the module line', 'comment < 0 ? endOfLine : from + comment', 'endOfLine'),
  module(
    'modfile-syntax.ts',
    'comments in C style are invalid',
    'if (byte === SLASH && bytes[at + 1] === ASTERISK) throw',
    'if (false as boolean) throw',
  ),
  module('modfile-syntax.ts', 'go blocks are skipped', "return verb === 'go' ? 'ignored' : verb;", 'return verb;'),
  module(
    'modfile-syntax.ts',
    'blocks of two words are skipped',
    "line.tokens === 2 ? verbOf(line) : 'ignored'",
    'verbOf(line)',
  ),
  module(
    'modfile-syntax.ts',
    'a block must have an end',
    "throw new ModfileSyntaxError('unterminated block');",
    'return lines.length;',
  ),
  module(
    'modfile-syntax.ts',
    'a quoted string must have an end',
    "throw new ModfileSyntaxError('unterminated string');",
    'return bytes.length;',
  ),
  resolve(
    'choose-version.ts',
    'the version of a commit is its highest tag',
    'compareVersions(highest, version) < 0)',
    'compareVersions(highest, version) > 0)',
  ),
  resolve('choose-version.ts', 'retracted versions do not count for a commit', '!retracted.has(version) &&', ''),
  resolve(
    'repositories.ts',
    'only a tag on an ancestor of a commit can be a base',
    'if (isInHistory && (await accepts(candidate))) return candidate;',
    'if (await accepts(candidate)) return candidate;',
  ),
  resolve(
    'history.ts',
    'a history that may be truncated proves nothing',
    "if (this.#endsInRoot) this.#verdicts.set(commit, 'other');",
    "this.#verdicts.set(commit, 'other');",
  ),
  resolve(
    'history.ts',
    'commits since a known commit lead to it',
    'if (isConnected) this.#adopt(ancestor);',
    'this.#adopt(ancestor);',
  ),
  resolve('history.ts', 'the rest of a known history is read', 'this.#rest = rest;', 'this.#rest = undefined;'),
  resolve(
    'history.ts',
    'an open verdict means nothing without the rest of its listing',
    "if (verdict === 'open') verdicts.delete(commit);",
    "if (verdict === 'open') verdicts.set(commit, 'other');",
  ),
  resolve(
    'choose-version.ts',
    '+incompatible needs a repository without go.mod',
    "return (await repositories.goMod(place.project.id, revision.id, '')) === undefined;",
    'return true;',
  ),
  resolve(
    'check-pseudo-version.ts',
    'the time of a pseudo-version is checked',
    'if (timestamp !== timestampOf(committedAt))',
    'if (false as boolean)',
  ),
  resolve(
    'check-pseudo-version.ts',
    'the length of the commit id is checked',
    'if (revision !== short) {',
    'if (!short.startsWith(revision) && !revision.startsWith(short)) {',
  ),
  resolve(
    'check-pseudo-version.ts',
    'the base of a pseudo-version is an ancestor of its commit',
    'return found ? undefined : `its commit does not come after the tag ${prefix}${base}`;',
    'return undefined;',
  ),
  resolve(
    'check-pseudo-version.ts',
    'a v1 pseudo-version needs a base',
    "place.major === '' && majorOf(version) === 'v1'",
    "place.major === 'x'",
  ),
  resolve(
    'repositories.ts',
    'a commit must be reachable from a branch or tag',
    'return (await this.#gitlab.isReachable(projectId, commit.id)) ? commit : undefined;',
    'return commit;',
  ),
  resolve('revision.ts', 'a commit id has at least seven digits', '{7,40}', '{4,40}'),
  resolve(
    'go-mod.ts',
    'go.mod and v2/go.mod must not both declare v2',
    'if (plainClaims && versionedClaims) throw',
    'if (false as boolean) throw',
  ),
  resolve(
    'tag.ts',
    'the root contains .git only if a go.mod declares it',
    'const root = declared.has(pathAt(withGit, directory, version)) ? withGit : withoutGit;',
    'const root = withGit;',
  ),
  {
    file: 'src/build/plan-zip.ts',
    breaks: 'a module in a directory inherits LICENSE',
    find: "if (directory === '') return files;",
    replace: 'if (directory !== "/") return files;',
    tests: 'test/publish/checksums.test.ts',
  },
  {
    file: 'src/module/name-limits.ts',
    breaks: 'a name has at most 65,535 bytes',
    find: 'if (bytes > MAX_NAME_BYTES)',
    replace: 'if (bytes >= MAX_NAME_BYTES)',
    tests: 'test/publish/long-paths.test.ts',
  },
  {
    file: 'src/module/name-limits.ts',
    breaks: 'the least size of an entry is that of git and Go',
    find: 'const ENTRY_BYTES = 94;',
    replace: 'const ENTRY_BYTES = 95;',
    tests: 'test/publish/long-paths.test.ts',
  },
  {
    file: 'src/build/plan-zip.ts',
    breaks: 'the names of the module zip contain its prefix',
    find: 'prefix: `${module.path}@${module.version}/`',
    replace: "prefix: ''",
    tests: 'test/publish/long-paths.test.ts',
  },
  {
    file: 'src/build/plan-zip.ts',
    breaks: 'a plan ends with its archive',
    find: 'signal?.throwIfAborted();',
    replace: '',
    tests: 'test/hostile',
  },
  {
    file: 'src/build/file-from-blob.ts',
    breaks: 'files from blobs are converted according to the attributes',
    find: "if (conversion.ident || conversion.crlf !== 'never') {",
    replace: 'if (conversion.ident) {',
    tests: 'test/publish/checksums.test.ts',
  },
  {
    file: 'src/build/attributes.ts',
    breaks: 'a macro is expanded only if its value is true',
    find: 'else if (macro && value === true)',
    replace: 'else if (macro)',
    tests: 'test/publish/checksums.test.ts',
  },
  {
    file: 'src/build/convert-bytes.ts',
    breaks: 'a line feed after a carriage return is not converted',
    find: 'byte === LINE_FEED && previous !== CARRIAGE_RETURN',
    replace: 'byte === LINE_FEED',
    tests: 'test/publish/checksums.test.ts',
  },
  sweep(
    'scan-decision.ts',
    'the sweep finds a push less than an hour after another',
    'const ACTIVITY_DELAY_MS = 65 * 60_000;',
    'const ACTIVITY_DELAY_MS = 0;',
  ),
  sweep('scan-decision.ts', 'every project is scanned once a day', 'elapsedMs > MAX_SCAN_INTERVAL_MS || ', ''),
  sweep('scan-decision.ts', 'a scan in the future does not count', 'elapsedMs < 0 || ', ''),
  sweep(
    'scan-decision.ts',
    'a project with missing outcomes is scanned again',
    "return last.missing.length > 0 ? 'scan if incomplete' : 'skip';",
    "return 'skip';",
  ),
  sweep(
    'scan-decision.ts',
    'a project is complete only if the store has all its outcomes',
    ' || !(await hasAllOutcomes(store, id, last.missing))',
    '',
  ),
  sweep(
    'scan-decision.ts',
    'an archived project is scanned once a day',
    "if (mayHaveChanged) return 'scan';",
    "if (mayHaveChanged && !project.archived) return 'scan';",
  ),
  sweep('scan-decision.ts', 'a moved project is scanned', 'last.path !== project.path || ', ''),
  sweep(
    'scan-project.ts',
    'the tags of a moved project are queued again',
    'if (repeats >= 0) await queueAllTags',
    'if (false as boolean) await queueAllTags',
  ),
  sweep(
    'scan-project.ts',
    'the tags of a moved project are queued in two more sweeps',
    'const MOVED_REPEATS = 2;',
    'const MOVED_REPEATS = 0;',
  ),
  sweep(
    'scan-project.ts',
    'tags that an earlier sweep queued do not count as recovered',
    'return missing.filter((key) => !missingBefore.has(key)).length;',
    'return missingBefore.size + missing.length;',
  ),
  {
    file: 'src/gitlab/targets.ts',
    breaks: 'a project that is marked for deletion does not count as moved',
    find: 'return hasCode && !isBeingDeleted;',
    replace: 'return hasCode;',
    tests: 'test/sweep',
  },
  sweep(
    'scan-decision.ts',
    'projects that failed in the last sweep come last',
    'due.sort((a, b) => Number(hasFailed(state, a.project)) - Number(hasFailed(state, b.project)));',
    '',
  ),
  sweep(
    'compare-tags.ts',
    'the newest tags come first',
    '(b.committedAt?.getTime() ?? 0) - (a.committedAt?.getTime() ?? 0)',
    '(a.committedAt?.getTime() ?? 0) - (b.committedAt?.getTime() ?? 0)',
  ),
  sweep('compare-tags.ts', 'a moved tag does not count as deleted', ' || present.has(tag.name)', ''),
  sweep(
    'compare-tags.ts',
    'a deleted tag is reported once',
    'if (!remaining.has(deletedTagKey(projectId, tag.name, tag.commit))) deleted.push(tag);',
    'deleted.push(tag);',
  ),
  sweep(
    'outage-detector.ts',
    'several consecutive failures are an outage',
    'return this.#failuresInARow >= OUTAGE_FAILURES;',
    'return false;',
  ),
  sweep('outage-detector.ts', 'a project that failed before does not count as an outage', 'failedBefore || ', ''),
  sweep(
    'outage-detector.ts',
    'a 403 does not count as an outage',
    '(error instanceof ErrorResponse && error.status === 403)',
    'false',
  ),
  sweep(
    'outage-detector.ts',
    'one project that fails does not stop the sweep',
    'this.#failuresInARow++;',
    'if (id > 0) throw error;\n      this.#failuresInARow++;',
  ),
  {
    file: 'src/publish/transaction.ts',
    breaks: 'an outcome of another module under the same tag remains',
    find: 'tagOutcome !== undefined && tagOutcome.module !== path',
    replace: 'false as boolean',
    tests: 'test/publish/transaction.test.ts',
  },
  {
    file: 'src/publish/transaction.ts',
    breaks: 'only a refusal ends a publish with an outcome',
    find: 'if (!(error instanceof Refuse)) throw error;',
    replace: "if (!(error instanceof Error)) throw new Error('not an error');",
    tests: 'test/publish/publish.test.ts',
  },
  {
    file: 'src/publish/publisher.ts',
    breaks: 'a tag that published another module before keeps the outcome of this module',
    find: "tagOutcome: recorded?.status === 'published' ? recorded : undefined",
    replace: 'tagOutcome: undefined',
    tests: 'test/publish/transaction.test.ts',
  },
  {
    file: 'src/publish/publisher.ts',
    breaks: 'a listed tag is read again after ten minutes',
    find: 'ageMs >= 0 && ageMs < CACHED_TAG_FRESH_MS',
    replace: 'ageMs >= 0',
    tests: 'test/publish/many-tags.test.ts',
  },
  {
    file: 'src/publish/publisher.ts',
    breaks: 'a tag has an outcome under its new path too',
    find: 'if (recorded && outcome.tag !== name)',
    replace: 'if (recorded && outcome.tag === undefined)',
    tests: 'test/sweep',
  },
  {
    file: 'src/publish/write-version.ts',
    breaks: 'a publish checks for a withdrawal after its last write',
    find: 'await assertInService(store, path, version);',
    replace: '',
    tests: 'test/publish/withdraw.test.ts',
  },
  {
    file: 'src/build/archive-or-blobs.ts',
    breaks: 'a few missing blobs do not cause a request for an archive',
    find: 'if (missing <= FEW_BLOBS)',
    replace: 'if (missing < 0)',
    tests: 'test/publish/many-tags.test.ts',
  },
  {
    file: 'src/build/archive-or-blobs.ts',
    breaks: 'a build waits for an archive if very many blobs are missing',
    find: 'return missing > MANY_BLOBS;',
    replace: 'return false;',
    tests: 'test/publish/many-tags.test.ts',
  },
  {
    file: 'src/build/archive-or-blobs.ts',
    breaks: 'a build uses blobs if the archive is refused',
    find: 'error.status === 429',
    replace: 'error.status === 430',
    tests: 'test/publish/many-tags.test.ts',
  },
  {
    file: 'src/build/build-zip.ts',
    breaks: 'without a permit for an archive, a push is built from blobs',
    find: "if (preferred === 'archive') {",
    replace: 'if (preferred === undefined) {',
    tests: 'test/publish/many-tags.test.ts',
  },
  {
    file: 'src/build/commit-tree.ts',
    breaks: 'an archive that is too large is requested once',
    find: 'tooLarge.set(projectId, true);',
    replace: '',
    tests: 'test/publish/many-tags.test.ts',
  },
];
