package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// target is a fuzz target, and what it is there for.
type target struct {
	pkg    string // directory, seen from the root of the module
	name   string
	covers []span
	wrong  error // its comment does not name what it covers
}

// span is the code of a function.
type span struct {
	function string // with the name of its receiver: Type.method
	file     string // without its directory
	from, to int    // lines
}

// covers is the line in a fuzz target's comment that names functions and files, of
// which its seeds have to reach four fifths.
const covers = "//fuzz:covers"

// A parser is a function with such a name. Each has to be in the comment of a
// target, or in exempt.
var isParser = regexp.MustCompile(`^(parse|Parse|decode|Decode)[A-Z]?`)

// exempt are the parsers that need no target of their own, with the reason.
var exempt = map[string]string{
	"cmd/minosctl.call.parse": "the flag package of Go does it, and who types it is root",
	"cmd/minosctl.parseSize":  "an argument that somebody types on a workstation",
	"pkg/btrfs.parseInfo":     "the kernel writes it, of a size that is fixed",
	"initramfs.parseOptions":  "the flag package of Go does it",
}

// findTargets reads the packages below these directories of the module: all fuzz targets,
// and the parsers that none of them covers.
func findTargets(root string, below ...string) (targets []target, uncovered []string, err error) {
	for _, top := range below {
		err := filepath.WalkDir(filepath.Join(root, top), func(name string, d os.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			if d.Name() == "testdata" {
				return filepath.SkipDir
			}
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			found, missing, err := readPackage(root, rel)
			targets, uncovered = append(targets, found...), append(uncovered, missing...)
			return err
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return targets, uncovered, nil
}

// readPackage is findTargets of one directory.
func readPackage(root, pkg string) (targets []target, uncovered []string, err error) {
	names, err := filepath.Glob(filepath.Join(root, pkg, "*.go"))
	if err != nil {
		return nil, nil, err
	}
	var spans []span
	var fuzz []*ast.FuncDecl
	for _, name := range names {
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, nil, err
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			switch {
			case !ok || f.Body == nil:
			case !strings.HasSuffix(name, "_test.go"):
				spans = append(spans, span{receiver(f) + f.Name.Name, filepath.Base(name), files.Position(f.Pos()).Line, files.Position(f.End()).Line})
			case strings.HasPrefix(f.Name.Name, "Fuzz"):
				fuzz = append(fuzz, f)
			}
		}
	}
	covered := map[string]bool{}
	for _, f := range fuzz {
		t := readTarget(pkg, f, spans)
		for _, s := range t.covers {
			covered[s.function] = true
		}
		targets = append(targets, t)
	}
	for _, s := range spans {
		method := s.function[strings.LastIndex(s.function, ".")+1:]
		if isParser.MatchString(method) && !covered[s.function] && exempt[pkg+"."+s.function] == "" {
			uncovered = append(uncovered, pkg+"."+s.function)
		}
	}
	return targets, uncovered, nil
}

// receiver is the type of a method with a dot behind it, and nothing of a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if generic, ok := t.(*ast.IndexExpr); ok {
		t = generic.X
	}
	if name, ok := t.(*ast.Ident); ok {
		return name.Name + "."
	}
	return ""
}

// readTarget looks up what the comment of a target names.
func readTarget(pkg string, f *ast.FuncDecl, spans []span) target {
	t := target{pkg: pkg, name: f.Name.Name}
	var words []string
	if f.Doc != nil {
		for _, c := range f.Doc.List {
			if rest, ok := strings.CutPrefix(c.Text, covers); ok {
				words = append(words, strings.Fields(rest)...)
			}
		}
	}
	if len(words) == 0 {
		t.wrong = fmt.Errorf("%s.%s does not say what it covers: it needs a line %s with functions or files of its package", pkg, t.name, covers)
	}
	for _, word := range words {
		before := len(t.covers)
		for _, s := range spans {
			if (s.function == word || s.file == word) && !slices.Contains(t.covers, s) {
				t.covers = append(t.covers, s)
			}
		}
		if len(t.covers) == before {
			t.wrong = fmt.Errorf("%s.%s covers %s, which is no other function or file of its package", pkg, t.name, word)
		}
	}
	return t
}
