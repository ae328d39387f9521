package kmod

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/minos-os/minos-init/pkg/sys"
)

const (
	release = "6.12.1"
	libDir  = "/lib/modules"
)

// fakeKernel has files in memory and remembers which modules were loaded.
type fakeKernel struct {
	sys.Kernel // nothing else is used
	files      fstest.MapFS

	mu     sync.Mutex
	loads  []string
	params map[string]string         // that modules got, by file name
	refuse map[string]error          // by file name
	during func(file string)         // called while a module is being loaded
	panics func(file string) (v any) // what a load panics with, nil for nothing
}

func newKernel(index string) *fakeKernel {
	return &fakeKernel{
		files: fstest.MapFS{
			"lib/modules/" + release + "/" + IndexFile: {Data: []byte(index)},
			"proc/filesystems":                         {Data: []byte("nodev\tproc\n\text3\n\text4\n")},
		},
		refuse: make(map[string]error),
		params: make(map[string]string),
	}
}

func (k *fakeKernel) Uname() (sys.Uname, error) { return sys.Uname{Release: release}, nil }

func (k *fakeKernel) ReadFile(name string) ([]byte, error) {
	return k.files.ReadFile(strings.TrimPrefix(name, "/"))
}

func (k *fakeKernel) ReadDir(name string) ([]string, error) {
	entries, err := k.files.ReadDir(strings.TrimPrefix(name, "/"))
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, err
}

func (k *fakeKernel) LoadModule(file, params string) error {
	if k.during != nil {
		k.during(path.Base(file))
	}
	if k.panics != nil {
		if v := k.panics(path.Base(file)); v != nil {
			panic(v)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loads = append(k.loads, file)
	k.params[path.Base(file)] = params
	if err := k.refuse[path.Base(file)]; err != nil {
		return &fs.PathError{Op: "finit_module", Path: file, Err: err}
	}
	return nil
}

func (k *fakeKernel) device(bus, name, modalias string) {
	k.files["sys/bus/"+bus+"/devices/"+name+"/modalias"] = &fstest.MapFile{Data: []byte(modalias + "\n")}
}

func mustNew(t *testing.T, k *fakeKernel) *Loader {
	t.Helper()
	l, err := New(k, libDir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func wantLoaded(t *testing.T, l *Loader, want ...string) {
	t.Helper()
	got := l.Loaded()
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("loaded (-want +got):\n%s", diff)
	}
}

func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q lacks %q", err, word)
		}
	}
	if strings.Count(err.Error(), "cannot") > 1 {
		t.Errorf("error %q says cannot twice", err)
	}
}

func TestNew(t *testing.T) {
	t.Run("modules of other kernels only", func(t *testing.T) {
		k := newKernel("")
		k.files = fstest.MapFS{"lib/modules/6.1.0/minos.modules": {}, "lib/modules/6.6.0/minos.modules": {},
			"proc/filesystems": {Data: []byte("\text4\n")}}
		l, err := New(k, libDir, nil)
		var other *ReleaseError
		if !errors.As(err, &other) {
			t.Fatalf("error %v, want a *ReleaseError", err)
		}
		if diff := cmp.Diff(&ReleaseError{Running: release, Image: []string{"6.1.0", "6.6.0"}}, other); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		wantError(t, err, "modules for 6.1.0, 6.6.0, the running kernel is 6.12.1", "MODULES=")
		if err := l.Filesystem("ext4"); err != nil {
			t.Errorf("a filesystem that is built in: %v", err)
		}
	})
	t.Run("no modules at all", func(t *testing.T) {
		k := newKernel("")
		k.files = fstest.MapFS{}
		l := mustNew(t, k)
		if err := l.Device("virtio:d00000002v00001AF4"); err != nil {
			t.Error(err)
		}
		if err := l.Coldplug("/sys"); err != nil {
			t.Error(err)
		}
		wantLoaded(t, l)
	})
	t.Run("broken index", func(t *testing.T) {
		_, err := New(newKernel("ext4\n"), libDir, nil)
		wantError(t, err, "/lib/modules/6.12.1/minos.modules: line 1")
	})
}

func TestFilesystem(t *testing.T) {
	k := newKernel(sample + "nls_ascii nls_ascii.ko - fs-ext4\noverlay overlay.ko -\n")
	l := mustNew(t, k)
	for _, fstype := range []string{"erofs", "ext3", "ext4", "overlay", "erofs"} {
		if err := l.Filesystem(fstype); err != nil {
			t.Errorf("%s: %v", fstype, err)
		}
	}
	// ext4 is built in; its companion is loaded all the same.
	wantLoaded(t, l, "crc32c_generic", "erofs", "libcrc32c", "nls_ascii", "overlay")

	if err := l.Filesystem("btrfs"); err != nil {
		t.Errorf("btrfs, which may be built in: %v", err)
	}
	wantError(t, l.Unknown("btrfs"), "btrfs", "kernel 6.12.1", "/lib/modules/6.12.1/minos.modules", "EXTRA=btrfs", "SETS=")
	if err := l.Unknown("ext4"); err != nil {
		t.Errorf("ext4, which is built in: %v", err)
	}
}

func TestDependenciesComeFirst(t *testing.T) {
	k := newKernel(sample)
	l := mustNew(t, k)
	if err := l.Device("scsi:t-0x00"); err != nil {
		t.Fatal(err)
	}
	position := make(map[string]int)
	for i, name := range l.Loaded() {
		position[name] = i
	}
	for _, pair := range [][2]string{{"scsi_common", "scsi_mod"}, {"scsi_mod", "sd_mod"}, {"crc32c_generic", "sd_mod"}} {
		if position[pair[0]] >= position[pair[1]] {
			t.Errorf("%s was not loaded before %s: %v", pair[0], pair[1], l.Loaded())
		}
	}
	wantLoaded(t, l, "crc32c_generic", "scsi_common", "scsi_mod", "sd_mod")
}

func TestColdplug(t *testing.T) {
	k := newKernel(`virtio_mmio virtio_mmio.ko - of:N*T*Cvirtio,mmio
sdhci_acpi sdhci_acpi.ko - acpi*:80860F14:*
virtio_blk virtio_blk.ko - virtio:d00000002v*
sdhci_pci sdhci_pci.ko - pci:v*d*sv*sd*bc08sc05i*
nvme nvme.ko - pci:v*d*sv*sd*bc01sc08i02*
`)
	k.device("platform", "a000000.virtio_mmio", "of:Nvirtio_mmioT(null)Cvirtio,mmio")
	k.device("platform", "a000200.virtio_mmio", "of:Nvirtio_mmioT(null)Cvirtio,mmio")
	k.device("platform", "gpio", "of:NgpioT(null)Carm,pl061")
	k.device("platform", "80860F14:00", "acpi:80860F14:PNP0D40:")
	k.device("virtio", "virtio0", "virtio:d00000002v554D4551")
	k.device("pci", "0000:00:01.0", "pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02")
	k.files["sys/bus/pci/devices/0000:00:02.0/vendor"] = &fstest.MapFile{} // a device without a name
	l := mustNew(t, k)
	if err := l.Coldplug("/sys"); err != nil {
		t.Fatal(err)
	}
	wantLoaded(t, l, "nvme", "sdhci_acpi", "virtio_blk", "virtio_mmio")
}

// One driver that fails keeps no other from its device.
func TestColdplugGoesOn(t *testing.T) {
	k := newKernel("a a.ko - x:a\nb b.ko - x:b\n")
	k.device("x", "1", "x:a")
	k.device("x", "2", "x:b")
	k.refuse["a.ko"] = syscall.ENODEV
	l := mustNew(t, k)
	wantError(t, l.Coldplug("/sys"), "kernel module a does not load: ", "no such device")
	wantLoaded(t, l, "b")
}

func TestLoadErrors(t *testing.T) {
	t.Run("a module of another build", func(t *testing.T) {
		k := newKernel(sample)
		k.refuse["crc32c_generic.ko"] = syscall.ENOENT // only wanted: no reason to stop
		k.refuse["erofs.ko"] = syscall.ENOEXEC
		l := mustNew(t, k)
		wantError(t, l.Filesystem("erofs"), "kernel module erofs does not load: ", "/lib/modules/6.12.1/erofs.ko",
			"another build of the kernel than the running 6.12.1")
		wantLoaded(t, l, "libcrc32c")
	})
	t.Run("a dependency fails", func(t *testing.T) {
		k := newKernel(sample)
		k.refuse["scsi_common.ko"] = syscall.EKEYREJECTED
		l := mustNew(t, k)
		wantError(t, l.Device("scsi:t-0x00"), "kernel module scsi_common, which sd_mod needs, does not load: ")
		wantLoaded(t, l, "crc32c_generic")
		if slices.Contains(k.loads, "/lib/modules/6.12.1/scsi_mod.ko") {
			t.Error("scsi_mod was tried without what it needs")
		}
	})
	t.Run("a wanted one panics", func(t *testing.T) {
		k := newKernel(sample)
		k.panics = func(file string) any {
			if file == "crc32c_generic.ko" {
				return "broken"
			}
			return nil
		}
		l := mustNew(t, k)
		var panicked *sys.PanicError
		if err := l.Filesystem("erofs"); !errors.As(err, &panicked) {
			t.Errorf("error %v, want the panic", err)
		}
	})
}

// Many ask for the same modules at the same time: each is loaded once, and
// nobody returns before it is there.
func TestOnceForAll(t *testing.T) {
	k := newKernel(sample)
	l := mustNew(t, k)
	var asked []<-chan error
	for range 20 {
		asked = append(asked, sys.Go(func() error {
			if err := l.Device("scsi:t-0x07"); err != nil {
				return err
			}
			if !slices.Contains(l.Loaded(), "sd_mod") {
				return fmt.Errorf("sd_mod is not there yet: %v", l.Loaded())
			}
			return nil
		}), sys.Go(func() error { return l.Filesystem("erofs") }))
	}
	for _, done := range asked {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if len(k.loads) != 6 {
		t.Errorf("%d loads, want one for each of the 6 modules: %v", len(k.loads), k.loads)
	}
}

// Modules that do not depend on each other are loaded side by side: each load
// ends only when the other has begun.
func TestSideBySide(t *testing.T) {
	k := newKernel("a a.ko - x:*\nb b.ko - x:*\n")
	var both sync.WaitGroup
	both.Add(2)
	k.during = func(string) {
		both.Done()
		both.Wait()
	}
	l := mustNew(t, k)
	if err := l.Device("x:1"); err != nil {
		t.Fatal(err)
	}
	wantLoaded(t, l, "a", "b")
}
