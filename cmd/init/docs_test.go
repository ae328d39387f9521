package main

import (
	"go/ast"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// neverShown is what has the form of a message and reaches nobody, with why.
var neverShown = map[string]string{
	"no event within the time given":                                                             "block.Watcher goes on waiting",
	"device events were lost":                                                                    "block.Watcher scans again",
	"not a device event of the kernel: %.40q":                                                    "block.Watcher passes over it",
	"a device event without action or path: %.40q":                                               "block.Watcher passes over it",
	"the block device %s has no name":                                                            "the device is left out",
	"the block device %s: %w":                                                                    "the device is left out",
	"another device is meant":                                                                    "the layout modules passes over the device",
	"kernel without this part of the mount API":                                                  "sys.Linux takes the older call",
	"statfs of the directory to empty: %w":                                                       "freeing the initramfs is best effort",
	"stat of the directory to empty: %w":                                                         "freeing the initramfs is best effort",
	"the directory to empty is not in memory (filesystem type %#x)":                              "freeing the initramfs is best effort",
	"read of the partition table: %w":                                                            "a disk that cannot be read is not one that somebody has named",
	"the GPT is damaged, in both of its copies: %w":                                              "minosctl reads partition tables of images, init leaves them to the kernel",
	"the logical partitions of the MBR have no end: sector %d is their table again":              "minosctl reads partition tables of images, init leaves them to the kernel",
	"the table of the logical partition %d, in sector %d, has no signature":                      "minosctl reads partition tables of images, init leaves them to the kernel",
	"autoboot.txt names no boot_partition in [all]":                                              "minosctl commits a trial, init only reads",
	"autoboot.txt names no boot_partition in [tryboot] that holds for a trial":                   "minosctl commits a trial, init only reads",
	"autoboot.txt names the same boot_partition in [all] and [tryboot]":                          "minosctl commits a trial, init only reads",
	"autoboot.txt has a boot_partition at the end of a line that is too long for another number": "minosctl commits a trial, init only reads",
	"%s is not understood: %w":                                                                   "minosctl reads profile.json, init does not",
	"cannot hold the filesystem of the profiles":                                                 "it is held already, which cannot fail",
	"%s is no terminal: %w":                                                                      "nobody is there to be asked, and the usual answer counts",
	"set the mode of %s: %w":                                                                     "nobody is there to be asked, and the usual answer counts",
	"write to %s: %w":                                                                            "nobody is there to be asked, and the usual answer counts",
	"make %s descriptor %d: %w":                                                                  "there may be no console, and then nobody to tell",
}

// TestMessagesAreExplained: docs/failure.md has every message that init can
// print, and none that it cannot.
//
// In the page a message is a list entry of its own or stands within one, in
// backquotes: capitals and … stand for what a format fills in.
func TestMessagesAreExplained(t *testing.T) {
	explained := explainedMessages(t)
	formats := messageFormats(t)
	matched := map[string]bool{}
	for format, file := range formats {
		if _, never := neverShown[format]; never {
			continue
		}
		pattern := messagePattern(format)
		found := false
		for _, message := range explained {
			if pattern.MatchString(message) {
				found, matched[message] = true, true
			}
		}
		if !found {
			t.Errorf("docs/failure.md does not explain this message of %s:\n\t%s", file, format)
		}
	}
	for _, message := range explained {
		if looksLikeAMessage(message) && !matched[message] {
			t.Errorf("docs/failure.md explains a message that init does not have:\n\t%s", message)
		}
	}
	for format := range neverShown {
		if _, there := formats[format]; !there {
			t.Errorf("the list of what reaches nobody has a message that is not there any more:\n\t%s", format)
		}
	}
}

// TestStoryPointsAtTheCode: each function that docs/architecture.md gives for a
// step of the boot is in a file that it gives for it.
func TestStoryPointsAtTheCode(t *testing.T) {
	declared := map[string]map[string]bool{} // names by file
	eachFile(t, func(file string, f *ast.File) {
		names := map[string]bool{}
		declared[file] = names
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				names[n.Name.Name] = true
			case *ast.Field: // of a struct
				for _, name := range n.Names {
					names[name.Name] = true
				}
			}
			return true
		})
	})
	_, story, _ := strings.Cut(readPage(t, "docs/architecture.md"), "\n## The story of a boot\n")
	story, _, _ = strings.Cut(story, "\n## ")
	pointers := 0
	for row := range strings.Lines(story) {
		cells := strings.Split(row, "|")
		if len(cells) != 5 {
			continue
		}
		files := quotedTexts(cells[3])
		for _, function := range quotedTexts(cells[2]) {
			pointers++
			name := function[strings.LastIndexByte(function, '.')+1:]
			if !slices.ContainsFunc(files, func(file string) bool { return declared[file][name] }) {
				t.Errorf("docs/architecture.md says that %s is in %q", function, files)
			}
		}
	}
	if pointers < 30 {
		t.Fatalf("the story points at only %d functions; this test looks at nothing", pointers)
	}
}

// TestLinksLeadSomewhere follows the links from one page to another.
func TestLinksLeadSomewhere(t *testing.T) {
	pages := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md",
		"docs/architecture.md", "docs/cmdline.md", "docs/failure.md", "docs/first-boot.md", "docs/layouts/slots.md", "docs/layouts/modules.md", "docs/layouts/image.md", "docs/layouts/tryboot.md", "docs/layouts/profiles.md", "docs/pi-gen.md", "docs/minosctl.md"}
	link := regexp.MustCompile(`\]\(([^):#]*)(#[^)]*)?\)`)
	for _, page := range pages {
		for _, found := range link.FindAllStringSubmatch(readPage(t, page), -1) {
			target, anchor := path.Join(path.Dir(page), found[1]), found[2]
			if found[1] == "" {
				target = page
			}
			if _, err := os.Stat(filepath.Join("..", "..", target)); err != nil {
				t.Errorf("%s links to %s, which is not there", page, target)
				continue
			}
			if anchor != "" && !slices.Contains(anchorsOf(readPage(t, target)), anchor) {
				t.Errorf("%s links to %s%s, and that page has no such heading", page, target, anchor)
			}
		}
	}
}

// anchorsOf are the anchors of a page's headings, as GitHub makes them.
func anchorsOf(page string) (anchors []string) {
	for line := range strings.Lines(page) {
		if _, heading, ok := strings.Cut(line, "# "); ok && strings.HasPrefix(line, "#") {
			kept := strings.Map(func(r rune) rune {
				switch {
				case r == ' ':
					return '-'
				case r == '-' || unicode.IsLetter(r) || unicode.IsDigit(r):
					return unicode.ToLower(r)
				}
				return -1
			}, strings.TrimSpace(heading))
			anchors = append(anchors, "#"+kept)
		}
	}
	return anchors
}

func readPage(t *testing.T, name string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// quotedTexts are the texts in backquotes, each on one line.
func quotedTexts(page string) (texts []string) {
	for _, quoted := range regexp.MustCompile("`[^`]+`").FindAllString(page, -1) {
		texts = append(texts, strings.Join(strings.Fields(strings.Trim(quoted, "`")), " "))
	}
	return texts
}

// explainedMessages are the texts in backquotes on the page.
func explainedMessages(t *testing.T) []string {
	t.Helper()
	messages := quotedTexts(readPage(t, "docs/failure.md"))
	if len(messages) < 50 {
		t.Fatalf("docs/failure.md has only %d messages; this test looks at nothing", len(messages))
	}
	return messages
}

// looksLikeAMessage tells messages from paths, words and shell commands that
// the page has in backquotes, too.
func looksLikeAMessage(text string) bool {
	return strings.Contains(text, "ignoring") || strings.HasPrefix(text, "cannot ") ||
		strings.Contains(text, ": …") && strings.Count(text, " ") > 1
}

// messageFormats collects what a person can get to read, with the file that
// has it.
func messageFormats(t *testing.T) map[string]string {
	t.Helper()
	formats := map[string]string{}
	eachFile(t, func(file string, f *ast.File) {
		if !saysSomething(file) {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			for _, e := range messagesOf(n) {
				format := strings.TrimSpace(formatOf(e))
				if lettersOf(format) >= 7 { // less is only glue between others
					formats[format] = file
				}
			}
			return true
		})
	})
	if len(formats) < 50 {
		t.Fatalf("found only %d messages; this test looks at nothing", len(formats))
	}
	return formats
}

// saysSomething tells whether the messages of a file can come from an image.
func saysSomething(file string) bool {
	inInit := strings.HasPrefix(file, "cmd/init/") || strings.HasPrefix(file, "pkg/")
	return inInit && !slices.Contains(notInInit, path.Dir(file)) && !strings.HasPrefix(file, "pkg/sys/systest/") && file != "cmd/init/faults.go"
}

// messagesOf are the texts of a node that become messages.
func messagesOf(n ast.Node) (texts []ast.Expr) {
	switch n := n.(type) {
	case *ast.CallExpr:
		return messagesOfCall(n)
	case *ast.KeyValueExpr: // of a mount.Step: a title follows "cannot"
		switch key, _ := n.Key.(*ast.Ident); {
		case key != nil && key.Name == "Title":
			return []ast.Expr{&ast.BinaryExpr{X: literal("cannot "), Op: token.ADD, Y: n.Value}}
		case key != nil && key.Name == "Loss":
			return []ast.Expr{n.Value}
		}
	case *ast.ValueSpec:
		if n.Names[0].Name == "loss" {
			return n.Values
		}
	case *ast.AssignStmt:
		if name, ok := n.Lhs[0].(*ast.Ident); ok && name.Name == "loss" {
			return n.Rhs
		}
	case *ast.CompositeLit: // what happens next
		if name, ok := n.Type.(*ast.Ident); ok && name.Name == "ending" {
			return n.Elts
		}
	case *ast.FuncDecl: // the text of an error
		if n.Name.Name == "Error" && n.Recv != nil && n.Type.Params.NumFields() == 0 {
			ast.Inspect(n.Body, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					texts = append(texts, lit)
				}
				return true
			})
		}
	}
	return texts
}

// messagesOfCall are the formats of errors and warnings, and those of the
// texts that are gathered for one.
func messagesOfCall(call *ast.CallExpr) []ast.Expr {
	if len(call.Args) == 0 {
		return nil
	}
	name := ""
	switch f := call.Fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
		if x, ok := f.X.(*ast.Ident); ok {
			name = x.Name + "." + name
		}
	}
	switch {
	case name == "fmt.Errorf", name == "errors.New", strings.HasSuffix(name, "Warn"), strings.HasSuffix(name, ".Error"):
		return call.Args[:1]
	case strings.HasSuffix(name, ".Say"), strings.HasSuffix(name, ".Tell"):
		return formatsIn(call.Args)
	case name == "append":
		return formatsIn(call.Args[1:])
	}
	return nil
}

// formatsIn are the formats that are filled in as these arguments.
func formatsIn(args []ast.Expr) (texts []ast.Expr) {
	for _, arg := range args {
		if inner, ok := arg.(*ast.CallExpr); ok && len(inner.Args) > 0 {
			if f, ok := inner.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Sprintf" {
				texts = append(texts, inner.Args[0])
			}
		}
	}
	return texts
}

func literal(text string) ast.Expr {
	return &ast.BasicLit{Kind: token.STRING, Value: strconv.Quote(text)}
}

// formatOf is a text as a format: what is not written out in it becomes %s.
func formatOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return text
		}
	case *ast.BinaryExpr:
		return formatOf(e.X) + formatOf(e.Y)
	}
	return "%s"
}

var verb = regexp.MustCompile(`%[-+# 0-9.]*[a-zA-Z]`)

// lettersOf counts the letters that a format has of its own.
func lettersOf(format string) int {
	n := 0
	for _, r := range verb.ReplaceAllString(format, "") {
		if unicode.IsLetter(r) {
			n++
		}
	}
	return n
}

// messagePattern matches a message that a format makes.
func messagePattern(format string) *regexp.Regexp {
	if strings.HasPrefix(format, "internal error: ") {
		format = "internal error: %s" // they are all explained at once
	}
	var pattern strings.Builder
	for i, fixed := range verb.Split(format, -1) {
		if i > 0 {
			pattern.WriteString(".+")
		}
		pattern.WriteString(regexp.QuoteMeta(fixed))
	}
	return regexp.MustCompile(pattern.String())
}
