import type { FileContent } from '../gitlab/work-tree.ts';

/**
 * A repository and the tags in it, to be published and compared with what `GOPROXY=direct` makes of it. Unless a
 * case says otherwise, everything in `files` is one commit on main and `tags` point at it.
 */
export interface Case {
  /** What is awkward about it. */
  readonly name: string;
  /** Full path of the project; a made-up one by default. */
  readonly project?: string;
  readonly files: Readonly<Record<string, FileContent>>;
  /** A second commit, for `laterTags`. */
  readonly later?: Readonly<Record<string, FileContent>>;
  readonly tags: readonly string[];
  readonly laterTags?: readonly string[];
  readonly annotated?: boolean;
  readonly committerZone?: string;
  /** The module versions that come of it, in the order of the tags, `PROJECT` standing for the module path of the root. */
  readonly modules: readonly string[];
}

const mod = (path = 'PROJECT', go = '1.24'): string => `module ${path}\n\ngo ${go}\n`;
const LINES = 'one\n$Id$\ntwo\n';
const CODE = 'package lib\n\nfunc Answer() int { return 42 }\n';

/** Shapes that the go command accepts. */
export const CASES: readonly Case[] = [
  { name: 'a plain module', files: { 'go.mod': mod(), 'lib.go': CODE }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'an annotated tag', annotated: true, files: { 'go.mod': mod(), 'lib.go': CODE }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'a committer far east', committerZone: '+1245', files: { 'go.mod': mod(), 'lib.go': CODE }, tags: ['v0.1.0'], modules: ['PROJECT@v0.1.0'] },
  { name: 'a pre-release', files: { 'go.mod': mod() }, tags: ['v1.0.0-rc.1'], modules: ['PROJECT@v1.0.0-rc.1'] },
  { name: 'a pre-release in capitals', files: { 'go.mod': mod() }, tags: ['v1.0.0-RC.1'], modules: ['PROJECT@v1.0.0-RC.1'] },
  { name: 'several tags on one commit', files: { 'go.mod': mod(), 'lib.go': CODE }, tags: ['v1.0.0', 'v1.0.1'], modules: ['PROJECT@v1.0.0', 'PROJECT@v1.0.1'] },
  { name: 'two commits', files: { 'go.mod': mod(), 'lib.go': CODE }, tags: ['v1.0.0'], later: { 'new.go': CODE }, laterTags: ['v1.1.0'], modules: ['PROJECT@v1.0.0', 'PROJECT@v1.1.0'] },
  { name: 'nested subgroups', project: 'group/deep/deeper/lib', files: { 'go.mod': mod(), 'lib.go': CODE }, tags: ['v1.2.3'], modules: ['PROJECT@v1.2.3'] },
  { name: 'capitals in the path', project: 'Group/Sub/LibX', files: { 'go.mod': mod(), 'lib.go': CODE }, tags: ['v1.2.3'], modules: ['PROJECT@v1.2.3'] },
  { name: 'a path with .git', project: 'group/sub/dotgit', files: { 'go.mod': mod('gitlab.example/group/sub/dotgit.git'), 'lib.go': CODE }, tags: ['v1.0.0'], modules: ['PROJECT.git@v1.0.0'] },
  { name: 'a path with .git, v2', project: 'group/sub/dotgit2', files: { 'go.mod': mod('gitlab.example/group/sub/dotgit2.git/v2') }, tags: ['v2.0.0'], modules: ['PROJECT.git/v2@v2.0.0'] },
  { name: 'a path with .git, in a directory', project: 'group/sub/dotgit3', files: { 'x/y/go.mod': mod('gitlab.example/group/sub/dotgit3.git/x/y'), 'x/y/lib.go': CODE }, tags: ['x/y/v1.0.0'], modules: ['PROJECT.git/x/y@v1.0.0'] },
  { name: 'a module in a directory', files: { 'sub/dir/go.mod': mod('PROJECT/sub/dir'), 'sub/dir/lib.go': CODE, 'other.go': CODE }, tags: ['sub/dir/v1.2.3'], modules: ['PROJECT/sub/dir@v1.2.3'] },
  { name: 'LICENSE inherited from the root', files: { LICENSE: 'root licence\n', 'sub/go.mod': mod('PROJECT/sub'), 'sub/lib.go': CODE }, tags: ['sub/v1.0.0'], modules: ['PROJECT/sub@v1.0.0'] },
  { name: 'LICENSE inherited by a directory that sorts before it', files: { LICENSE: 'root licence\n', 'A/go.mod': mod('PROJECT/A'), 'A/Z.go': CODE }, tags: ['A/v1.0.0'], modules: ['PROJECT/A@v1.0.0'] },
  { name: 'LICENSE of its own', files: { LICENSE: 'root\n', 'sub/LICENSE': 'own\n', 'sub/go.mod': mod('PROJECT/sub') }, tags: ['sub/v1.0.0'], modules: ['PROJECT/sub@v1.0.0'] },
  { name: 'LICENSE in between is ignored', files: { LICENSE: 'root\n', 'a/LICENSE': 'between\n', 'a/b/go.mod': mod('PROJECT/a/b') }, tags: ['a/b/v1.0.0'], modules: ['PROJECT/a/b@v1.0.0'] },
  { name: 'LICENSE at the root a symlink', files: { LICENSE: { symlink: 'COPYING' }, COPYING: 'text\n', 'sub/go.mod': mod('PROJECT/sub') }, tags: ['sub/v1.0.0'], modules: ['PROJECT/sub@v1.0.0'] },
  { name: 'LICENSE of its own a symlink', files: { LICENSE: 'root\n', 'sub/LICENSE': { symlink: '../LICENSE' }, 'sub/go.mod': mod('PROJECT/sub') }, tags: ['sub/v1.0.0'], modules: ['PROJECT/sub@v1.0.0'] },
  { name: 'LICENSE with line ends that attributes change', files: { LICENSE: 'one\ntwo\n', '.gitattributes': 'LICENSE eol=crlf\n', 'sub/go.mod': mod('PROJECT/sub') }, tags: ['sub/v1.0.0'], modules: ['PROJECT/sub@v1.0.0'] },
  { name: 'no LICENSE anywhere', files: { 'sub/go.mod': mod('PROJECT/sub'), 'sub/lib.go': CODE }, tags: ['sub/v1.0.0'], modules: ['PROJECT/sub@v1.0.0'] },
  { name: 'v2 on a branch', files: { 'go.mod': mod('PROJECT/v2'), 'lib.go': CODE }, tags: ['v2.1.0'], modules: ['PROJECT/v2@v2.1.0'] },
  { name: 'v2 in a directory', files: { 'go.mod': mod(), 'lib.go': CODE, 'v2/go.mod': mod('PROJECT/v2'), 'v2/lib.go': CODE, LICENSE: 'x' }, tags: ['v1.9.0', 'v2.0.0'], modules: ['PROJECT@v1.9.0', 'PROJECT/v2@v2.0.0'] },
  { name: 'v3 in a directory of a directory', files: { 'sub/v3/go.mod': mod('PROJECT/sub/v3'), 'sub/v3/lib.go': CODE }, tags: ['sub/v3.0.1'], modules: ['PROJECT/sub/v3@v3.0.1'] },
  { name: 'v10 on a branch in a directory', files: { 'sub/go.mod': mod('PROJECT/sub/v10') }, tags: ['sub/v10.0.0'], modules: ['PROJECT/sub/v10@v10.0.0'] },
  { name: 'nested modules', files: { 'go.mod': mod(), 'lib.go': CODE, 'tools/go.mod': mod('PROJECT/tools'), 'tools/t.go': CODE, 'tools/deep/u.go': CODE, 'toolsx/v.go': CODE }, tags: ['v1.0.0', 'tools/v0.1.0'], modules: ['PROJECT@v1.0.0', 'PROJECT/tools@v0.1.0'] },
  { name: 'a nested module by capitals', files: { 'go.mod': mod(), 'caps/GO.MOD': 'x', 'caps/x.go': CODE }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'a symlink called go.mod', files: { 'go.mod': mod(), 'n/go.mod': { symlink: '../go.mod' }, 'n/x.go': CODE }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'a directory called go.mod', files: { 'go.mod': mod(), 'n/go.mod/x.go': CODE, 'n/y.go': CODE }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'symlinks', files: { 'go.mod': mod(), 'lib.go': CODE, link: { symlink: 'lib.go' }, 'd/up': { symlink: '../..' }, dangling: { symlink: 'nowhere' } }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'executables', files: { 'go.mod': mod(), 'run.sh': { executable: '#!/bin/sh\n' } }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'a submodule', files: { 'go.mod': mod(), 'lib.go': CODE, third: { submodule: '82b3d5ae55f7080f1e6022629cdb57bfae7cccc7' } }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'vendored files before go 1.24', files: { 'go.mod': mod('PROJECT', '1.23'), 'vendor/modules.txt': '# x\n', 'vendor/x.y/z/z.go': CODE, 'vendor/root.go': CODE, 'pkg/vendor/v.go': CODE, 'a/vendor/v.go': CODE, 'abcdefg/vendor/v.go': CODE }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'vendored files from go 1.24', files: { 'go.mod': mod(), 'vendor/modules.txt': '# x\n', 'vendor/x.y/z/z.go': CODE, 'vendor/root.go': CODE, 'pkg/vendor/v.go': CODE, 'pkg/vendor/q/v.go': CODE }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'vendored files and no go line', files: { 'go.mod': 'module PROJECT\n', 'vendor/modules.txt': '# x\n', 'pkg/vendor/v.go': CODE }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'a badly named file in vendor', files: { 'go.mod': mod(), 'vendor/x.y/bad:name': 'x' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'a badly named file in a nested module', files: { 'go.mod': mod(), 'n/go.mod': mod('x.y/n'), 'n/bad:name': 'x' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore', files: { 'go.mod': mod(), 'lib.go': CODE, '.gitattributes': 'testdata export-ignore\n.gitattributes export-ignore\n', 'testdata/a': 'a\n', 'testdata/b/c': 'c\n', 'z.go': CODE }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore of go.mod itself', files: { 'go.mod': mod(), 'lib.go': CODE, '.gitattributes': 'go.mod export-ignore\n' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore of everything', files: { 'go.mod': mod(), 'lib.go': CODE, '.gitattributes': '* export-ignore\n' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore beside line ends elsewhere', files: { 'go.mod': mod(), 'run.bat': 'echo\n', '.gitattributes': '*.bat eol=crlf\n/docs export-ignore\n', 'docs/x.md': 'x\n' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore of a large file', files: { 'go.mod': mod(), 'big.bin': Buffer.alloc(3 << 20, 'abc'), '.gitattributes': '*.bin export-ignore\n' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore and CRLF by attribute', files: { 'go.mod': mod(), '.gitattributes': 'docs export-ignore\n*.txt text eol=crlf\n', 'docs/a.txt': LINES, 'docs/b.md': LINES, 'c.txt': LINES }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore and text=auto eol=crlf', files: { 'go.mod': mod(), '.gitattributes': '* text=auto eol=crlf export-ignore\n', lf: LINES, crlf: 'one\r\ntwo\r\n', mixed: 'one\r\ntwo\n', cr: 'one\rtwo\n', zero: 'one\0\n', control: '\u0001\u0002\n', 'mostly text': `${'x'.repeat(256)}\u0001\u0002\n`, 'not quite': `${'x'.repeat(255)}\u0001\u0002\n`, 'end of file': 'one\n\u001a', empty: '', latin: Buffer.from([0xe9, 0x0a]) }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore and text=auto with CRLF in the blob', files: { 'go.mod': mod(), '.gitattributes': '* text=auto\n*.txt export-ignore\n', 'a.txt': 'one\r\ntwo\r\n' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore, CRLF, and CR in the blob', files: { 'go.mod': mod(), '.gitattributes': '* eol=crlf export-ignore\n', a: '\none\r\n\r\r\ntwo\n\n', b: '\0\n' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore and -text', files: { 'go.mod': mod(), '.gitattributes': '* eol=crlf export-ignore\n*.dat -text\n', 'a.dat': LINES, 'b.txt': LINES }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore and text eol=lf', files: { 'go.mod': mod(), '.gitattributes': '*.sh text eol=lf\n*.bat text eol=crlf\nscripts export-ignore\n', 'scripts/a.sh': LINES, 'scripts/b.bat': LINES }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore and ident', files: { 'go.mod': mod(), '.gitattributes': '* ident export-ignore\n', a: '$Id$ $Id: old $ $Id:$\n', b: '$Id: of another system $Id$\n', c: '$Id: broken\n$Id$\n', d: '$Identity$ $Id' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore, ident and CRLF', files: { 'go.mod': mod(), '.gitattributes': '*.txt ident eol=crlf export-ignore\n', 'a.txt': '$Id$\nnext\n' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore and patterns with directories', files: { 'go.mod': mod(), '.gitattributes': '* export-ignore\n/a.txt eol=crlf\ndocs/*.txt eol=crlf\n**/deep/c.txt eol=crlf\nsrc/**/d.txt eol=crlf\nall/** eol=crlf\nfolder/ eol=crlf\nwhole eol=crlf\n', 'a.txt': LINES, 'x/a.txt': LINES, 'docs/b.txt': LINES, 'docs/x/b.txt': LINES, 'x/docs/b.txt': LINES, 'deep/c.txt': LINES, 'x/y/deep/c.txt': LINES, 'src/d.txt': LINES, 'src/x/y/d.txt': LINES, 'all/x/e': LINES, 'folder/f': LINES, 'whole/g': LINES, 'x/whole': LINES }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore and patterns with wildcards', files: { 'go.mod': mod(), '.gitattributes': '* export-ignore\n*.[ch] eol=crlf\n"with space" eol=crlf\nm?n eol=crlf\n[!a-y].txt eol=crlf\n\\#x eol=crlf\n!no eol=crlf\n#c eol=crlf\nbad eol=crlf -\n', 'x.c': LINES, 'x.cc': LINES, 'with space': LINES, man: LINES, 'm\u00e9n': LINES, 'a.txt': LINES, 'z.txt': LINES, '#x': LINES, no: LINES, '!no': LINES, '#c': LINES, bad: LINES }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore and later lines that override', files: { 'go.mod': mod(), '.gitattributes': '* eol=crlf ident export-ignore\n*.lf eol=lf\nb.* -ident\nb.lf eol=crlf\n', 'a.lf': LINES, 'b.lf': LINES, 'b.x': LINES, 'c.x': LINES }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore and .gitattributes in directories that override', files: { 'go.mod': mod(), '.gitattributes': '* eol=crlf export-ignore\nx/y/b eol=lf\n', 'x/.gitattributes': '* eol=lf\n/b ident\n', 'x/a': LINES, 'x/b': LINES, 'x/y/.gitattributes': 'b eol=crlf\n', 'x/y/a': LINES, 'x/y/b': LINES, 'xa/b': LINES }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore and attributes from above the module', files: { '.gitattributes': 'sub/** eol=crlf export-ignore\n', 'sub/.gitattributes': 'b ident\n', 'sub/mod/go.mod': mod('PROJECT/sub/mod'), 'sub/mod/a': LINES, 'sub/mod/b': LINES }, tags: ['sub/mod/v1.0.0'], modules: ['PROJECT/sub/mod@v1.0.0'] },
  { name: 'export-ignore and the macro binary', files: { 'go.mod': mod(), '.gitattributes': '* eol=crlf export-ignore\n*.bin binary\nb.bin -binary\nc.bin text\nd.bin text binary\ne.bin binary text\nf.bin binary !text\n', 'a.bin': LINES, 'b.bin': LINES, 'c.bin': LINES, 'd.bin': LINES, 'e.bin': LINES, 'f.bin': LINES }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore and macros of its own', files: { 'go.mod': mod(), '.gitattributes': '[attr]dos text eol=crlf\n[attr]keyed dos ident\n* export-ignore\n*.bat dos\n*.key keyed\nb.* -dos\n', 'a.bat': LINES, 'b.bat': LINES, 'a.key': LINES, 'x/.gitattributes': '[attr]unix eol=lf\n*.bat unix\n', 'x/a.bat': LINES }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore and !eol', files: { 'go.mod': mod(), '.gitattributes': '* text eol=crlf export-ignore\n*.txt !eol\n*.md !text\n', 'a.txt': LINES, 'a.md': LINES, 'a.x': LINES }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore and the old attribute crlf', files: { 'go.mod': mod(), '.gitattributes': '* eol=crlf export-ignore\na -crlf\nb -crlf text\nc crlf=input eol=lf\nd crlf !eol\n', a: LINES, b: LINES, c: LINES, d: LINES }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore of a directory with converted files in it', files: { 'go.mod': mod(), '.gitattributes': 'testdata export-ignore\n*.bat eol=crlf\n*.go ident\n', 'testdata/x/y/run.bat': LINES, 'testdata/x/a.go': LINES, 'testdata/.gitattributes': 'x/y/*.txt eol=crlf\n', 'testdata/x/y/z.txt': LINES, 'run.bat': LINES, 'b.go': LINES }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore and an encoding that changes nothing', files: { 'go.mod': mod(), '.gitattributes': '*.txt working-tree-encoding=utf-8 eol=crlf export-ignore\n', 'a.txt': LINES }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-ignore and a pattern that is not read, elsewhere', files: { 'go.mod': mod(), '.gitattributes': 'x[[:alpha:]].bat eol=crlf\ntestdata export-ignore\n', 'testdata/a.txt': LINES, 'xa.bat': LINES }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-subst', files: { 'go.mod': mod(), 'version.go': 'package lib\n\nconst Commit = "$Format:%H$"\nconst When = "$Format:%cI$"\n', '.gitattributes': 'version.go export-subst\n' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-subst with line ends', files: { 'go.mod': mod(), 'v.txt': 'commit\n$Format:%H$\n$Id$\nend\n', '.gitattributes': '*.txt export-subst eol=crlf ident\n' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-subst at the end of each line, with line ends', files: { 'go.mod': mod(), '.git_archival.txt': 'node: $Format:%H$\nnode-date: $Format:%cI$\n', 'v.txt': '$Format:%B$\n', '.gitattributes': '*.txt export-subst eol=crlf\n' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'line ends after what export-subst would expand', files: { 'go.mod': mod(), 'v.txt': 'node: $Format:%H$\n', '.gitattributes': '*.txt eol=crlf\n' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'export-subst in a directory', files: { '.gitattributes': '*.txt export-subst\n', 'sub/go.mod': mod('PROJECT/sub'), 'sub/v.txt': '$Format:%h$ and $Format:%an$\n' }, tags: ['sub/v1.0.0'], modules: ['PROJECT/sub@v1.0.0'] },
  { name: 'CRLF by attribute', files: { 'go.mod': mod(), 'a.txt': 'one\ntwo\n', '.gitattributes': '*.txt text eol=crlf\n' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'CRLF in go.mod by attribute', files: { 'go.mod': mod(), 'lib.go': CODE, '.gitattributes': 'go.mod text eol=crlf\n' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'CRLF committed', files: { 'go.mod': mod().replaceAll('\n', '\r\n'), 'a.txt': 'one\r\ntwo\r\n' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'a large file with CRLF by attribute', files: { 'go.mod': mod(), 'big.txt': 'a line of text\n'.repeat(150_000), '.gitattributes': '*.txt eol=crlf\n' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'ident', files: { 'go.mod': mod(), 'a.go': 'package a // $Id$\n', 'b.go': 'package a // $Id: old $\n', '.gitattributes': '*.go ident\n' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'ident of another version control system', files: { 'go.mod': mod(), 'a.go': 'package a // $Id: a.go 12 of somebody $Id$\n', '.gitattributes': '*.go ident\n' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'another encoding by attribute', files: { 'go.mod': mod(), 'a.txt': 'caf\u00e9\nnext\n', '.gitattributes': '*.txt text working-tree-encoding=UTF-16LE eol=crlf\n' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'LFS pointers', files: { 'go.mod': mod(), 'a.bin': 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n', '.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'names in many scripts', files: { 'go.mod': mod(), 'café.go': CODE, '日本語/文.go': CODE, '\u{20000}.go': CODE, '\uff21.go': CODE, 'z.go': CODE }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'names with spaces and punctuation', files: { 'go.mod': mod(), "a b/!#$%&()+,-.=@[]^_{}~": 'x', '-dash': 'x', 'til~1': 'x' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'names that sort otherwise as directories', files: { 'go.mod': mod(), 'a/b.go': CODE, 'a-b.go': CODE, 'a.go': CODE, 'a0.go': CODE }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'names longer than a tar header', files: { 'go.mod': mod(), [`${'long-directory-name/'.repeat(12)}file.go`]: CODE, [`${'x'.repeat(200)}.go`]: CODE }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'empty files, and files on the edge of a tar block', files: { 'go.mod': mod(), empty: '', one: 'x', b511: 'x'.repeat(511), b512: 'x'.repeat(512), b513: 'x'.repeat(513) }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'files on the edge of what is held in memory', files: { 'go.mod': mod(), m: Buffer.alloc(1 << 20, 'm'), n: Buffer.alloc((1 << 20) + 1, 'n'), o: Buffer.alloc(5 << 20, 'o') }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'binary files', files: { 'go.mod': mod(), 'all.bin': Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7) % 256)) }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'files that look like version control', files: { 'go.mod': mod(), '.hg/x': 'x', '.svn/y': 'y', '.hg_archival.txt': 'x', '.gitignore': '*\n', '.gitmodules': '' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'a fork that declares another path', files: { 'go.mod': mod('example.com/original'), 'lib.go': CODE }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'a gopkg.in path declared', files: { 'go.mod': mod('gopkg.in/yaml.v2') }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'a quoted path', files: { 'go.mod': 'module "PROJECT"\n' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'a go.mod with a syntax error further down', files: { 'go.mod': 'module PROJECT\n\nrequire (\n' }, tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
  { name: 'thousands of files', files: Object.fromEntries([['go.mod', mod()], ...Array.from({ length: 2500 }, (_, i) => [`d${i % 50}/f${i}.go`, `package d // ${i}\n`])]), tags: ['v1.0.0'], modules: ['PROJECT@v1.0.0'] },
];

/** Shapes that are no version for the go command; `says` is part of the reason that modpress gives. */
export interface Rejection {
  readonly name: string;
  readonly status: 'skipped' | 'refused';
  readonly files: Readonly<Record<string, FileContent>>;
  readonly tag: string;
  readonly says: string;
  /** What to ask the go command for, which must fail; undefined where it would publish what nobody asked for. */
  readonly query: string | undefined;
}

export const REJECTIONS: readonly Rejection[] = [
  { name: 'no go.mod', status: 'skipped', files: { 'lib.go': CODE }, tag: 'v1.0.0', says: 'no go.mod', query: undefined },
  { name: 'no go.mod in the directory', status: 'skipped', files: { 'go.mod': mod(), 'sub/x.go': CODE }, tag: 'sub/v1.0.0', says: 'no sub/go.mod', query: 'PROJECT/sub@v1.0.0' },
  { name: 'a short version', status: 'skipped', files: { 'go.mod': mod() }, tag: 'v1.2', says: 'not a version', query: undefined },
  { name: 'build metadata', status: 'skipped', files: { 'go.mod': mod() }, tag: 'v1.2.3+meta', says: 'not a version', query: undefined },
  { name: 'a leading zero', status: 'skipped', files: { 'go.mod': mod() }, tag: 'v01.2.3', says: 'not a version', query: undefined },
  { name: 'a capital V', status: 'skipped', files: { 'go.mod': mod() }, tag: 'V1.2.3', says: 'not a version', query: undefined },
  { name: 'no version at all', status: 'skipped', files: { 'go.mod': mod() }, tag: 'release/2024', says: 'not a version', query: undefined },
  { name: 'a pseudo-version as a tag', status: 'skipped', files: { 'go.mod': mod() }, tag: 'v0.0.0-20240101000000-abcdefabcdef', says: 'pseudo-version', query: 'PROJECT@v0.0.0-20240101000000-abcdefabcdef' },
  { name: 'v2 without a suffix', status: 'refused', files: { 'go.mod': mod() }, tag: 'v2.0.0', says: 'does not end in /v2', query: 'PROJECT/v2@v2.0.0' },
  { name: 'v1 with a suffix', status: 'refused', files: { 'go.mod': mod('PROJECT/v2') }, tag: 'v1.0.0', says: 'has a major version suffix', query: 'PROJECT@v1.0.0' },
  { name: 'v2 claimed twice', status: 'refused', files: { 'go.mod': mod('PROJECT/v2'), 'v2/go.mod': mod('PROJECT/v2') }, tag: 'v2.0.0', says: 'both', query: 'PROJECT/v2@v2.0.0' },
  { name: 'v2/go.mod with another path', status: 'refused', files: { 'go.mod': mod('PROJECT/v2'), 'v2/go.mod': mod('PROJECT/v3') }, tag: 'v2.0.0', says: 'does not end in /v2', query: 'PROJECT/v2@v2.0.0' },
  { name: 'a go.mod without module path', status: 'refused', files: { 'go.mod': 'go 1.24\n' }, tag: 'v1.0.0', says: 'no module path', query: 'PROJECT@v1.0.0' },
  { name: 'a malformed module path', status: 'refused', files: { 'go.mod': mod('PROJECT/v1') }, tag: 'v1.0.0', says: 'declares module path', query: 'PROJECT@v1.0.0' },
  { name: 'a directory called like a major version', status: 'skipped', files: { 'v2/go.mod': mod('PROJECT') }, tag: 'v2/v1.0.0', says: 'should be v2', query: 'PROJECT/v2@v1.0.0' },
  { name: 'a case collision', status: 'refused', files: { 'go.mod': mod(), 'a.go': CODE, 'A.go': CODE }, tag: 'v1.0.0', says: 'case-insensitive', query: 'PROJECT@v1.0.0' },
  { name: 'the Kelvin sign', status: 'refused', files: { 'go.mod': mod(), 'k.go': CODE, '\u212a.go': CODE }, tag: 'v1.0.0', says: 'case-insensitive', query: 'PROJECT@v1.0.0' },
  { name: 'a colon', status: 'refused', files: { 'go.mod': mod(), 'a:b': 'x' }, tag: 'v1.0.0', says: 'a:b', query: 'PROJECT@v1.0.0' },
  { name: 'a Windows name', status: 'refused', files: { 'go.mod': mod(), 'aux.go': CODE }, tag: 'v1.0.0', says: 'Windows', query: 'PROJECT@v1.0.0' },
  { name: 'an emoji', status: 'refused', files: { 'go.mod': mod(), '😀.go': CODE }, tag: 'v1.0.0', says: 'invalid character', query: 'PROJECT@v1.0.0' },
  { name: 'a combining mark', status: 'refused', files: { 'go.mod': mod(), 'cafe\u0301.go': CODE }, tag: 'v1.0.0', says: 'invalid character', query: 'PROJECT@v1.0.0' },
  { name: 'a name that is no UTF-8', status: 'refused', files: { 'go.mod': mod(), 'latin1:caf\u00e9.go': CODE }, tag: 'v1.0.0', says: 'invalid', query: 'PROJECT@v1.0.0' },
  { name: 'a badly named symlink', status: 'refused', files: { 'go.mod': mod(), 'a:b': { symlink: 'x' } }, tag: 'v1.0.0', says: 'a:b', query: 'PROJECT@v1.0.0' },
  { name: 'a LICENSE directory under an inherited LICENSE', status: 'refused', files: { LICENSE: 'x', 'sub/go.mod': mod('PROJECT/sub'), 'sub/LICENSE/x': 'y' }, tag: 'sub/v1.0.0', says: 'both a file and a directory', query: 'PROJECT/sub@v1.0.0' },
  { name: 'license beside an inherited LICENSE', status: 'refused', files: { LICENSE: 'x', 'sub/go.mod': mod('PROJECT/sub'), 'sub/license': 'y' }, tag: 'sub/v1.0.0', says: 'case-insensitive', query: 'PROJECT/sub@v1.0.0' },
  { name: 'export-ignore and another encoding', status: 'refused', files: { 'go.mod': mod(), '.gitattributes': '*.txt working-tree-encoding=UTF-16LE export-ignore\n', 'a.txt': LINES }, tag: 'v1.0.0', says: 'a.txt is export-ignore, and .gitattributes also converts it', query: undefined },
  { name: 'export-ignore and a pattern that is not read', status: 'refused', files: { 'go.mod': mod(), '.gitattributes': '[[:alpha:]].txt eol=crlf export-ignore\n', 'a.txt': LINES }, tag: 'v1.0.0', says: 'a.txt is export-ignore, and .gitattributes also converts it', query: undefined },
  { name: 'a directory that no module path can hold', status: 'refused', files: { 'a+b/go.mod': mod() }, tag: 'a+b/v1.0.0', says: 'not a legal module path', query: undefined },
];
