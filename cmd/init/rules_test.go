package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the path that our own imports begin with.
const module = "github.com/minos-os/minos-init/"

// mayImport is the table of rooms: what each package may import of ours. An
// arrow that is not here points up, or past a room.
var mayImport = map[string][]string{
	"pkg/sys":            {},
	"pkg/sys/systest":    {"pkg/sys"},
	"pkg/config":         {},
	"pkg/report":         {},
	"pkg/slots":          {"pkg/slots/ubootenv"},
	"pkg/slots/tryboot":  {"pkg/slots"},
	"pkg/slots/ubootenv": {},
	"pkg/block":          {"pkg/sys"},
	"pkg/kmod":           {"pkg/sys"},
	"pkg/mount":          {"pkg/sys"},
	"pkg/adopt":          {"pkg/block", "pkg/mount", "pkg/sys"},
	"pkg/jsondoc":        {},
	"pkg/modset":         {"pkg/firstboot", "pkg/jsondoc", "pkg/mount", "pkg/sys"},
	"pkg/profiles":       {"pkg/jsondoc"},
	"pkg/firstboot":      {"pkg/block", "pkg/mount", "pkg/sys"},
	"pkg/layout":         {"pkg/adopt", "pkg/block", "pkg/config", "pkg/firstboot", "pkg/modset", "pkg/mount", "pkg/profiles", "pkg/report", "pkg/slots", "pkg/slots/tryboot", "pkg/slots/ubootenv", "pkg/sys"},
	"cmd/init":           {"pkg/block", "pkg/config", "pkg/firstboot", "pkg/kmod", "pkg/layout", "pkg/modset", "pkg/mount", "pkg/report", "pkg/slots/ubootenv", "pkg/sys"},
	"cmd/minosctl":       {"pkg/block", "pkg/config", "pkg/firstboot", "pkg/mount", "pkg/profiles", "pkg/profiles/drift", "pkg/profiles/store", "pkg/report", "pkg/slots", "pkg/slots/tryboot", "pkg/slots/ubootenv", "pkg/sys"},
	// What minosctl does with profiles, and init does not link.
	"pkg/btrfs":           {},
	"pkg/btrfs/btrfstest": {},
	"pkg/profiles/drift":  {},
	"pkg/profiles/store":  {"pkg/btrfs", "pkg/profiles"},
	// The builder reads the keys and writes the index that init reads: each
	// has one home.
	"initramfs": {"pkg/config", "pkg/kmod"},
	// What proves us must not share our mistakes.
	"qemu":             {},
	"qemu/bench":       {"qemu"},
	"qemu/bench/empty": {},
	"qemu/demo":        {"qemu"},
	"qemu/stub":        {},
	"qemu/fuzz":        {},
	"qemu/torture":     {"qemu"},
}

// neverLinked is what init does without, and why.
var neverLinked = map[string]string{
	"net":                                "a resolver and its start-up time; the kernel's events come over a raw socket",
	"os/exec":                            "a search path and pipes; sys.Run starts the one program of a debug image",
	"os/signal":                          "a goroutine outside sys.Go; PID 1 gets no signal that it has not asked for",
	"encoding/json":                      "170 kB of the compressed image; pkg/report writes the one document there is",
	"encoding/xml":                       "nobody needs it",
	"regexp":                             "patterns of modules are globs",
	"text/template":                      "reflection, which keeps every method of every type",
	"html/template":                      "reflection",
	"net/http":                           "there is no network",
	"flag":                               "init is configured by the kernel command line",
	"log":                                "only cmd/init speaks, through the kernel log",
	"compress/gzip":                      "modules are unpacked when the image is built",
	"crypto/tls":                         "there is no network",
	"debug/elf":                          "modules are read when the image is built",
	"github.com/u-root/u-root/pkg/mount": "its switch_root empties the initramfs before it knows that init can be started",
}

// notInInit are the packages below pkg that only minosctl links.
var notInInit = []string{"pkg/btrfs", "pkg/btrfs/btrfstest", "pkg/profiles/drift", "pkg/profiles/store"}

// TestImports holds the arrows of the table of rooms.
func TestImports(t *testing.T) {
	seen := map[string]bool{}
	eachFile(t, func(file string, f *ast.File) {
		dir := path.Dir(file)
		seen[dir] = true
		allowed, known := mayImport[dir]
		if !known {
			t.Errorf("%s: %s is no room of the house; give it a line in the table of rooms and in docs/architecture.md", file, dir)
			return
		}
		for _, spec := range f.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			ours, isOurs := strings.CutPrefix(name, module)
			if isOurs && !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s: %s may import only %q of ours", file, ours, dir, allowed)
			}
		}
	})
	for dir := range mayImport {
		if !seen[dir] {
			t.Errorf("the table of rooms has %s, which is not there", dir)
		}
	}
}

// TestLinkedPackages watches what init pays for in bytes and start-up time.
func TestLinkedPackages(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", ".")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal("go list -deps: ", err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, "syscall") {
		t.Fatalf("go list -deps shows no dependencies: %q", deps)
	}
	for _, dep := range deps {
		if why, no := neverLinked[dep]; no {
			t.Errorf("init links %s: %s", dep, why)
		}
		if ours, ok := strings.CutPrefix(dep, module); ok && slices.Contains(notInInit, ours) {
			t.Errorf("init links %s, which is for minosctl", dep)
		}
	}
}

// TestLibrariesAreSilent: a package below pkg neither speaks nor ends the
// process, and starts goroutines only where a panic comes back.
func TestLibrariesAreSilent(t *testing.T) {
	eachFile(t, func(file string, f *ast.File) {
		inInit := strings.HasPrefix(file, "pkg/") || strings.HasPrefix(file, "cmd/init/")
		if !inInit || strings.HasPrefix(file, "pkg/sys/systest/") {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				if file != "pkg/sys/go.go" && file != "cmd/init/faults.go" {
					t.Errorf("%s: a goroutine that sys.Go did not start; its panic would end PID 1", file)
				}
			case *ast.SelectorExpr:
				if !strings.HasPrefix(file, "pkg/") {
					return true
				}
				for _, no := range []string{"fmt.Print", "fmt.Println", "fmt.Printf", "log.Print", "log.Printf", "log.Fatal", "os.Exit"} {
					if x, ok := n.X.(*ast.Ident); ok && x.Name+"."+n.Sel.Name == no {
						t.Errorf("%s: %s; only cmd/init speaks and ends", file, no)
					}
				}
			}
			return true
		})
	})
}

// Layouts 6.2, statement 1: the layout's name is looked at in one place.
func TestStatement6_2_1_NamesOfLayouts(t *testing.T) {
	names := []string{"slots", "image", "modules", "profiles", "tryboot"}
	eachFile(t, func(file string, f *ast.File) {
		looks := func(exprs ...ast.Expr) {
			for _, e := range exprs {
				lit, ok := e.(*ast.BasicLit)
				if !ok || file == "pkg/layout/layout.go" {
					continue
				}
				if text, _ := strconv.Unquote(lit.Value); slices.Contains(names, text) {
					t.Errorf("%s decides by the layout %q; only the table in pkg/layout/layout.go may", file, text)
				}
			}
		}
		if !strings.HasPrefix(file, "pkg/") && !strings.HasPrefix(file, "cmd/init/") {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				looks(n.X, n.Y)
			case *ast.CaseClause:
				looks(n.List...)
			case *ast.KeyValueExpr:
				looks(n.Key)
			case *ast.IndexExpr:
				looks(n.Index)
			}
			return true
		})
	})
}

// eachFile parses the files of the repository that are no tests. Names are
// relative to its top.
func eachFile(t *testing.T, visit func(file string, f *ast.File)) {
	t.Helper()
	top := filepath.Join("..", "..")
	files := 0
	for _, dir := range []string{"cmd", "pkg", "initramfs", "qemu"} {
		err := filepath.WalkDir(filepath.Join(top, dir), func(name string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Name() == "testdata" {
				return fs.SkipDir
			}
			if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(top, name)
			files++
			visit(filepath.ToSlash(rel), f)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 30 {
		t.Fatalf("found only %d files; this test looks at nothing", files)
	}
}
