package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/minos-os/minos-init/pkg/kmod"
)

// kernelTree is a kernel's /lib/modules/VERSION. modules.dep is not looked at:
// a kernel's package has none until depmod has run, and .modinfo of each module
// says the same.
type kernelTree struct {
	dir     string
	release string
	arch    architecture
	files   map[string]string // path of each module, by normalized name
	// builtin are the modules that are part of the kernel. It is nil when the
	// kernel does not say (no modules.builtin).
	builtin map[string]bool
	// builtinAliases are their further names.
	builtinAliases map[string]bool
	aliases        map[string][]string // exact aliases of all modules; nil until asked for
}

// kernelModule is a module as it goes into the image.
type kernelModule struct {
	name    string
	content []byte // of the ELF file, not compressed
	info    modinfo
}

func openKernelTree(dir string, arch architecture) (*kernelTree, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot find the kernel's modules: %w", err)
	}
	tree := &kernelTree{dir: dir, release: filepath.Base(dir), arch: arch, files: make(map[string]string)}
	if err := filepath.WalkDir(dir, tree.addFile); err != nil {
		return nil, fmt.Errorf("cannot list the kernel's modules: %w", err)
	}
	if len(tree.files) == 0 {
		return nil, fmt.Errorf("cannot find a kernel module below %s: -modules (MODULES=) is a kernel's .../lib/modules/VERSION", dir)
	}
	return tree, tree.readBuiltin()
}

// moduleSuffixes are the endings of module files.
func moduleSuffixes() []string { return []string{".ko", ".ko.xz", ".ko.zst", ".ko.gz"} }

func (t *kernelTree) addFile(path string, entry fs.DirEntry, err error) error {
	if err != nil || !entry.Type().IsRegular() {
		return err
	}
	for _, suffix := range moduleSuffixes() {
		name, isModule := strings.CutSuffix(entry.Name(), suffix)
		if !isModule {
			continue
		}
		name = kmod.Normalize(name)
		// What was installed as an update stands for the kernel's own, as with
		// depmod. It comes later in the order of the walk.
		if _, there := t.files[name]; !there || strings.HasPrefix(path, filepath.Join(t.dir, "updates")+"/") {
			t.files[name] = path
		}
	}
	return nil
}

// readBuiltin reads the two lists of what is not a module: modules.builtin has
// a path a line, modules.builtin.modinfo NAME.KEY=VALUE with NULs between.
func (t *kernelTree) readBuiltin() error {
	list, err := os.ReadFile(filepath.Join(t.dir, "modules.builtin"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read what is built into the kernel: %w", err)
	}
	t.builtin, t.builtinAliases = make(map[string]bool), make(map[string]bool)
	for line := range strings.Lines(string(list)) {
		name := strings.TrimSuffix(filepath.Base(strings.TrimSpace(line)), ".ko")
		t.builtin[kmod.Normalize(name)] = true
	}
	info, err := os.ReadFile(filepath.Join(t.dir, "modules.builtin.modinfo"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read what is built into the kernel: %w", err)
	}
	for entry := range strings.SplitSeq(string(info), "\x00") {
		if key, value, _ := strings.Cut(entry, "="); strings.HasSuffix(key, ".alias") {
			t.builtinAliases[value] = true
		}
	}
	return nil
}

// read reads a module that goes into the image, and refuses it when the kernel
// would.
func (t *kernelTree) read(name string) (kernelModule, error) {
	path := t.files[name]
	module, err := t.readAny(name)
	if err != nil {
		return kernelModule{}, err
	}
	if module.info.release != t.release {
		return kernelModule{}, fmt.Errorf("cannot use kernel module %s: it was built for kernel %s, its directory is %s's",
			path, module.info.release, t.release)
	}
	return module, nil
}

// readAny reads a module only for what it says of itself.
func (t *kernelTree) readAny(name string) (kernelModule, error) {
	path := t.files[name]
	content, err := readCompressed(path)
	if err != nil {
		return kernelModule{}, fmt.Errorf("cannot read kernel module %s: %w", path, err)
	}
	file, err := t.arch.open(content)
	if err != nil {
		return kernelModule{}, fmt.Errorf("cannot use kernel module %s: %w", path, err)
	}
	section := file.Section(".modinfo")
	if section == nil {
		return kernelModule{}, fmt.Errorf("cannot use kernel module %s: it has no section .modinfo", path)
	}
	data, err := section.Data()
	if err != nil {
		return kernelModule{}, fmt.Errorf("cannot read .modinfo of kernel module %s: %w", path, err)
	}
	info, err := parseModinfo(data)
	if err != nil {
		return kernelModule{}, fmt.Errorf("cannot use kernel module %s: %w", path, err)
	}
	return kernelModule{name: name, content: content, info: info}, nil
}

// byAlias are the modules with an alias of exactly this text. The first call
// reads every module of the kernel: some seconds for a distribution's.
func (t *kernelTree) byAlias(alias string) ([]string, error) {
	if t.aliases == nil {
		t.aliases = make(map[string][]string)
		for _, name := range sortedKeys(t.files) {
			module, err := t.readAny(name)
			if err != nil {
				return nil, err
			}
			for _, other := range module.info.aliases {
				t.aliases[other] = append(t.aliases[other], name)
			}
		}
	}
	return t.aliases[alias], nil
}

// readCompressed reads a file and unpacks it after its name.
func readCompressed(path string) ([]byte, error) {
	packed, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	reader := io.Reader(bytes.NewReader(packed))
	switch filepath.Ext(path) {
	case ".xz":
		reader, err = xz.NewReader(reader)
	case ".gz":
		reader, err = gzip.NewReader(reader)
	case ".zst":
		var unpacker *zstd.Decoder
		if unpacker, err = zstd.NewReader(reader); err == nil {
			defer unpacker.Close()
			reader = unpacker
		}
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(reader)
}
