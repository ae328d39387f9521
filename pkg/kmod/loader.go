package kmod

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/minos-os/minos-init/pkg/sys"
)

// Loader loads modules of the image, each once: whoever asks for a module that
// is being loaded waits for that load. All its methods may be called at the
// same time.
type Loader struct {
	kernel  sys.Kernel
	dir     string // of the running release: where Module.File is
	release string
	modules map[string]Module
	byBus   map[string][]driver
	params  map[string]string // by the name of the module

	mu     sync.Mutex
	loads  map[string]*load
	loaded []string
}

// driver is one alias of a module.
type driver struct {
	pattern string
	module  string
}

// load is one module's load, under way or done.
type load struct {
	done chan struct{} // closed when err is final
	err  error
}

// New reads the index of the running kernel's modules below dir, which is
// /lib/modules. words are those of the kernel command line, as they were
// written; the modules get their parameters from them. Where the image has no modules at all, the Loader has none
// either. Where it has modules for other kernels only, New returns a Loader
// without modules and a *ReleaseError: the running kernel may need none.
func New(k sys.Kernel, dir string, words []string) (*Loader, error) {
	uname, err := k.Uname()
	if err != nil {
		return nil, fmt.Errorf("the running kernel's release is not known: %w", err)
	}
	l := &Loader{
		kernel:  k,
		dir:     filepath.Join(dir, uname.Release),
		release: uname.Release,
		params:  parameters(words),
		loads:   make(map[string]*load),
	}

	file := filepath.Join(l.dir, IndexFile)
	text, err := k.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return l, l.checkOtherReleases(dir)
	}
	if err != nil {
		return l, fmt.Errorf("the list of kernel modules is not readable: %w", err)
	}
	index, err := ParseIndex(text)
	if err != nil {
		return l, fmt.Errorf("the list of kernel modules is damaged: %s: %w", file, err)
	}
	l.use(index)
	return l, nil
}

// use makes the index quick to look up.
func (l *Loader) use(index Index) {
	l.modules = make(map[string]Module, len(index))
	l.byBus = make(map[string][]driver)
	for _, module := range index {
		l.modules[module.Name] = module
		for _, alias := range module.Aliases {
			bus := aliasBus(alias)
			l.byBus[bus] = append(l.byBus[bus], driver{alias, module.Name})
		}
	}
}

// aliasBus is the part of an alias that says what kind of thing it names, "" in
// a plain name such as fs-ext4. The kernel's headers write acpi*:, not acpi:.
func aliasBus(alias string) string {
	bus, _, found := strings.Cut(alias, ":")
	if !found {
		return ""
	}
	return strings.TrimSuffix(bus, "*")
}

// ReleaseError says that the image's modules are for other kernels than the
// running one.
type ReleaseError struct {
	Running string   // release of the running kernel
	Image   []string // releases that the image has modules for
}

func (e *ReleaseError) Error() string {
	return fmt.Sprintf("the image has kernel modules for %s, the running kernel is %s: none is loaded; build the image with MODULES= of the kernel that is started with it",
		strings.Join(e.Image, ", "), e.Running)
}

func (l *Loader) checkOtherReleases(dir string) error {
	releases, err := l.kernel.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(releases) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the image's kernel modules are not readable: %w", err)
	}
	return &ReleaseError{Running: l.release, Image: releases}
}

// LoadError says which module the kernel did not take.
type LoadError struct {
	Module   string
	NeededBy string // the module that was asked for, when Module is only what it needs
	Params   string // what the command line gave it
	Err      error
}

func (e *LoadError) Error() string {
	text := "kernel module " + e.Module
	if e.NeededBy != "" {
		text += ", which " + e.NeededBy + " needs,"
	}
	text += " does not load"
	if e.Params != "" {
		text += " with the parameters " + e.Params + " of the command line"
	}
	return text + ": " + e.Err.Error()
}

func (e *LoadError) Unwrap() error { return e.Err }

// Loaded are the names of the modules that were loaded, in the order in which
// the kernel was done with them.
func (l *Loader) Loaded() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.loaded...)
}

// loadAll loads modules side by side. It tries them all; the error has what
// went wrong with each.
func (l *Loader) loadAll(names []string) error {
	if len(names) == 1 {
		return l.load(names[0])
	}
	results := make([]<-chan error, len(names))
	for i, name := range names {
		results[i] = sys.Go(func() error { return l.load(name) })
	}
	var errs []error
	for _, result := range results {
		errs = append(errs, <-result)
	}
	return errors.Join(errs...)
}

// load loads a module, or waits until whoever was first has done it. A wait
// ends: the index is such that no module can wait for itself.
func (l *Loader) load(name string) error {
	l.mu.Lock()
	current, underWay := l.loads[name]
	if !underWay {
		current = &load{
			done: make(chan struct{}),
			// What the others see should loadOne panic.
			err: &LoadError{Module: name, Err: errors.New("its load was given up")},
		}
		l.loads[name] = current
	}
	l.mu.Unlock()

	if underWay {
		<-current.done
		return current.err
	}
	defer close(current.done)
	current.err = l.loadOne(l.modules[name])
	return current.err
}

// loadOne loads a module after those that it depends on.
func (l *Loader) loadOne(module Module) error {
	if err := l.loadDependencies(module); err != nil {
		return err
	}
	file := filepath.Join(l.dir, module.File)
	params := l.params[module.Name]
	if err := l.kernel.LoadModule(file, params); err != nil {
		if errors.Is(err, syscall.ENOEXEC) {
			err = fmt.Errorf("%w: it was made for another build of the kernel than the running %s; build the image with MODULES= of that very kernel",
				err, l.release)
		}
		return &LoadError{Module: module.Name, Params: params, Err: err}
	}
	l.mu.Lock()
	l.loaded = append(l.loaded, module.Name)
	l.mu.Unlock()
	return nil
}

// loadDependencies loads what a module needs and wants, side by side.
func (l *Loader) loadDependencies(module Module) error {
	wants := sys.Go(func() error { return l.loadAll(module.Wants) })
	needsErr := l.loadAll(module.Needs)
	wantsErr := <-wants

	// A wanted module that fails, because the processor has no such
	// instruction for example, is no reason to do without this one. A panic is
	// a fault of ours and must not pass unseen.
	if panicked := (*sys.PanicError)(nil); errors.As(wantsErr, &panicked) {
		return panicked
	}
	// The first failure is reason enough. It may be shared with others who
	// wait for the same load: it is copied.
	if failed := (*LoadError)(nil); errors.As(needsErr, &failed) {
		return &LoadError{Module: failed.Module, NeededBy: module.Name, Params: failed.Params, Err: failed.Err}
	}
	return needsErr
}
