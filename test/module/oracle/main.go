// The oracle answers questions with golang.org/x/mod. It reads one JSON question and writes one JSON answer per line.
package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"
)

type question struct {
	Op    string
	Text  string
	Other string
	Int   int64
	Bytes []byte
	Parts []string
	Files []file
}

type file struct {
	Path    string
	Symlink bool
	Content string
}

type answer struct {
	OK    bool
	Error string
	Text  string
	Parts []string
	Int   int
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	out := bufio.NewWriter(os.Stdout)
	for in.Scan() {
		var q question
		if err := json.Unmarshal(in.Bytes(), &q); err != nil {
			panic(err)
		}
		line, err := json.Marshal(reply(q))
		if err != nil {
			panic(err)
		}
		out.Write(append(line, '\n'))
		out.Flush()
	}
}

func reply(q question) answer {
	switch q.Op {
	case "checkPath":
		return check(module.CheckPath(q.Text))
	case "checkFilePath":
		return check(module.CheckFilePath(q.Text))
	case "splitPathVersion":
		prefix, major, ok := module.SplitPathVersion(q.Text)
		return answer{OK: ok, Parts: []string{prefix, major}}
	case "escapePath":
		text, err := module.EscapePath(q.Text)
		return withText(text, err)
	case "unescapePath":
		text, err := module.UnescapePath(q.Text)
		return withText(text, err)
	case "unescapeVersion":
		text, err := module.UnescapeVersion(q.Text)
		return withText(text, err)
	case "escapeVersion":
		text, err := module.EscapeVersion(q.Text)
		return withText(text, err)
	case "isSemver":
		return answer{OK: semver.IsValid(q.Text)}
	case "canonicalVersion":
		return answer{OK: true, Text: module.CanonicalVersion(q.Text)}
	case "majorOf":
		return answer{OK: true, Text: semver.Major(q.Text)}
	case "prereleaseOf":
		return answer{OK: true, Text: semver.Prerelease(q.Text)}
	case "compareVersions":
		return answer{OK: true, Int: semver.Compare(q.Text, q.Other)}
	case "isPseudoVersion":
		return answer{OK: module.IsPseudoVersion(q.Text)}
	case "matchesMajor":
		return answer{OK: module.MatchPathMajor(q.Text, q.Other)}
	case "check":
		return check(module.Check(q.Text, q.Other))
	case "pseudoVersion":
		return pseudoVersion(q.Text, q.Other, q.Int)
	case "parsePseudoVersion":
		return parsePseudoVersion(q.Text)
	case "modulePath":
		return answer{OK: true, Text: modfile.ModulePath(textOf(q))}
	case "parseLax":
		return parseLax(textOf(q))
	case "isRetracted":
		low, high := q.Parts[0], q.Parts[1]
		return answer{OK: semver.Compare(low, q.Text) <= 0 && semver.Compare(q.Text, high) <= 0}
	case "zip":
		return createZip(q.Text, q.Other, q.Files)
	case "goModSum":
		text, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(textOf(q))), nil })
		return withText(text, err)
	case "limits":
		return answer{OK: true, Parts: []string{strconv.Itoa(modzip.MaxZipFile), strconv.Itoa(modzip.MaxGoMod), strconv.Itoa(modzip.MaxLICENSE)}}
	case "checkFiles":
		return checkFiles(q.Files)
	case "checkZip":
		return checkZip(q.Text, q.Other, q.Files[0].Path)
	}
	panic("unknown question " + q.Op)
}

func check(err error) answer {
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{OK: true}
}

func withText(text string, err error) answer {
	a := check(err)
	a.Text = text
	return a
}

// pseudoVersion returns the pseudo-version after base for a commit at a time in seconds since the epoch.
func pseudoVersion(major, base string, seconds int64) answer {
	return answer{OK: true, Text: module.PseudoVersion(major, base, time.Unix(seconds, 0), "abcdef012345")}
}

// parsePseudoVersion returns the revision, the base and the timestamp. OK is false if no version can be the base.
func parsePseudoVersion(version string) answer {
	rev, err := module.PseudoVersionRev(version)
	if err != nil {
		return answer{Error: err.Error()}
	}
	at, err := timestamp(version)
	if err != nil {
		return answer{Error: err.Error()}
	}
	base, err := module.PseudoVersionBase(version)
	a := check(err)
	a.Parts = []string{rev, base, at}
	return a
}

// timestamp returns the time of a pseudo-version. PseudoVersionTime refuses digits that are not a valid time, so they
// are taken from its error.
func timestamp(version string) (string, error) {
	at, err := module.PseudoVersionTime(version)
	var invalid *module.InvalidVersionError
	if !errors.As(err, &invalid) {
		return at.Format(module.PseudoVersionTimestampFormat), err
	}
	digits, found := strings.CutPrefix(invalid.Err.Error(), "malformed time ")
	if !found {
		return "", err
	}
	return strconv.Unquote(digits)
}

func textOf(q question) []byte {
	if q.Bytes != nil {
		return q.Bytes
	}
	return []byte(q.Text)
}

func parseLax(text []byte) answer {
	f, err := modfile.ParseLax("go.mod", text, nil)
	if err != nil {
		return answer{Error: err.Error()}
	}
	a := answer{OK: true}
	if f.Go != nil {
		a.Text = f.Go.Version
	}
	for _, r := range f.Retract {
		a.Parts = append(a.Parts, r.Low, r.High)
	}
	return a
}

// createZip creates the module zip, and returns its h1 and the names in it.
func createZip(path, version string, files []file) answer {
	var list []modzip.File
	for _, f := range files {
		list = append(list, entry{f})
	}
	var buf bytes.Buffer
	if err := modzip.Create(&buf, module.Version{Path: path, Version: version}, list); err != nil {
		return answer{Error: err.Error()}
	}
	zr, err := zip.NewReader(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil {
		return answer{Error: err.Error()}
	}
	a := answer{OK: true}
	contents := map[string]*zip.File{}
	for _, f := range zr.File {
		a.Parts = append(a.Parts, strings.TrimPrefix(f.Name, path+"@"+version+"/"))
		contents[f.Name] = f
	}
	names := make([]string, 0, len(contents))
	for name := range contents {
		names = append(names, name)
	}
	a.Text, err = dirhash.Hash1(names, func(name string) (io.ReadCloser, error) { return contents[name].Open() })
	if err != nil {
		return answer{Error: err.Error()}
	}
	return a
}

// checkFiles returns the valid files, an empty string, and the invalid files.
func checkFiles(files []file) answer {
	var list []modzip.File
	for _, f := range files {
		list = append(list, entry{f})
	}
	checked, err := modzip.CheckFiles(list)
	a := check(err)
	a.Parts = append(append(a.Parts, checked.Valid...), "")
	for _, invalid := range checked.Invalid {
		a.Parts = append(a.Parts, invalid.Path)
	}
	return a
}

// checkZip reads a zip file as the go command does after a download, and returns its h1 and the names in it.
func checkZip(path, version, name string) answer {
	checked, err := modzip.CheckZip(module.Version{Path: path, Version: version}, name)
	if err == nil {
		err = checked.Err()
	}
	if err != nil {
		return answer{Error: err.Error()}
	}
	text, err := dirhash.HashZip(name, dirhash.Hash1)
	a := withText(text, err)
	for _, valid := range checked.Valid {
		a.Parts = append(a.Parts, strings.TrimPrefix(valid, path+"@"+version+"/"))
	}
	return a
}

type entry struct{ file }

func (e entry) Path() string                { return e.file.Path }
func (e entry) Lstat() (os.FileInfo, error) { return info{e.file}, nil }
func (e entry) Open() (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(e.Content)), nil
}

type info struct{ file }

func (i info) Name() string { return i.file.Path[strings.LastIndex(i.file.Path, "/")+1:] }
func (i info) Size() int64  { return int64(len(i.Content)) }
func (i info) Mode() os.FileMode {
	if i.Symlink {
		return os.ModeSymlink | 0o777
	}
	return 0o644
}
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }
