package main

import (
	"archive/tar"
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"

	"github.com/minos-os/minos-init/qemu"
)

//go:embed guest
var guestSources embed.FS

// programs are the files that the machines run besides init, by path.
type programs struct {
	start, finish, floor   string // in C
	startImage, floorImage string // the same for the layout image
	copy                   string // cp and fsync, in C
	// The same for the layout tryboot.
	startTryboot, floorTryboot string
	// The same for the layout modules.
	startModules, floorModules string
	// The same for the layout profiles.
	startProfiles, floorProfiles string
	empty, stub                  string // in Go
	busybox                      string
}

// buildPrograms makes them in dir, for arm64.
func buildPrograms(cache *qemu.Cache, dir string) (programs, error) {
	in := func(name string) string { return filepath.Join(dir, name) }
	p := programs{start: in("start"), finish: in("finish"), floor: in("floor"), empty: in("empty"),
		startImage: in("start_image"), floorImage: in("floor_image"), copy: in("copy"),
		startTryboot: in("start_tryboot"), floorTryboot: in("floor_tryboot"),
		startModules: in("start_modules"), floorModules: in("floor_modules"),
		startProfiles: in("start_profiles"), floorProfiles: in("floor_profiles")}
	if err := os.CopyFS(in("src"), guestSources); err != nil {
		return p, fmt.Errorf("cannot unpack the sources of the guest's programs: %w", err)
	}
	for _, c := range []struct{ program, source, layout string }{
		{p.start, "start.c", "SLOTS"}, {p.startImage, "start.c", "IMAGE"}, {p.finish, "finish.c", "SLOTS"},
		{p.floor, "floor.c", "SLOTS"}, {p.floorImage, "floor_image.c", "IMAGE"}, {p.copy, "copy.c", "IMAGE"},
		{p.startTryboot, "start.c", "TRYBOOT"}, {p.floorTryboot, "floor_tryboot.c", "TRYBOOT"},
		{p.startModules, "start.c", "MODULES"}, {p.floorModules, "floor_modules.c", "MODULES"},
		{p.startProfiles, "start.c", "PROFILES"}, {p.floorProfiles, "floor_profiles.c", "PROFILES"},
	} {
		source := filepath.Join(in("src"), "guest", c.source)
		if _, err := output("aarch64-linux-gnu-gcc", nil, "-static", "-Os", "-s", "-Wall", "-Wextra", "-Werror", "-D"+c.layout, "-o", c.program, source); err != nil {
			return p, fmt.Errorf("cannot compile %s (\"sh qemu/host-packages.sh bench\" installs the compiler): %w", c.source, err)
		}
	}
	arm64 := []string{"GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0"}
	if _, err := output("go", arm64, "build", "-trimpath", "-ldflags=-s -w", "-o", p.empty, "github.com/minos-os/minos-init/qemu/bench/empty"); err != nil {
		return p, fmt.Errorf("cannot build the empty program: %w", err)
	}
	var err error
	if p.stub, err = qemu.BuildStub(dir); err != nil {
		return p, err
	}
	p.busybox, err = busybox(cache)
	return p, err
}

// output runs a program of the workstation, with env besides this process's own,
// and returns what it printed. The error has its complaints.
func output(name string, env []string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, bytes.TrimSpace(complaints.Bytes()))
	}
	return out.Bytes(), nil
}

// busybox returns Debian's static busybox for arm64, and fetches it first where
// the cache does not have it.
func busybox(cache *qemu.Cache) (string, error) {
	const suite = "trixie"
	dir, err := cache.Get("busybox", "1 "+suite, func(dir string) error {
		return cache.Progress.Step("downloading busybox for arm64 (about 15 s)", func() error {
			archive := filepath.Join(dir, "packages.tar")
			if _, err := output("fakeroot", nil, "mmdebstrap", "--mode=chrootless", "--architectures=arm64", "--variant=extract",
				"--include=busybox-static", suite, archive); err != nil {
				return fmt.Errorf("cannot fetch busybox-static (is a mirror reachable?): %w", err)
			}
			return errors.Join(unpackBusybox(archive, filepath.Join(dir, "busybox")), os.Remove(archive))
		})
	})
	return filepath.Join(dir, "busybox"), err
}

func unpackBusybox(archive, to string) error {
	f, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("cannot open the packages: %w", err)
	}
	defer f.Close()
	in := tar.NewReader(f)
	for {
		h, err := in.Next()
		if err != nil {
			return fmt.Errorf("cannot find busybox in the package busybox-static: %w", err)
		}
		if h.Typeflag != tar.TypeReg || path.Base(h.Name) != "busybox" {
			continue
		}
		program, err := io.ReadAll(in)
		if err != nil {
			return fmt.Errorf("cannot unpack busybox: %w", err)
		}
		if err := os.WriteFile(to, program, 0o755); err != nil {
			return fmt.Errorf("cannot keep busybox: %w", err)
		}
		return nil
	}
}
