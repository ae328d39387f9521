package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/report"
	"github.com/minos-os/minos-init/pkg/slots"
	"github.com/minos-os/minos-init/pkg/sys"
)

// host is the machine that minosctl runs on.
type host struct {
	root     string        // where its files are, "/"
	lockWait time.Duration // how long another writer is waited for
	kernel   sys.Kernel    // for files that a power cut must not halve
	keygen   keygen        // makes SSH host keys
	restart  func() error  // asks systemd for it

	// The effects on the boot partition's mount, by its directory.
	makeWritable func(dir string) (restore func() error, err error)
	space        func(dir string) (space, error)
}

// The files that are looked at.
const (
	bootFile    = "/run/minos/boot.json"
	fwEnvFile   = "/etc/fw_env.config"
	lockFile    = "/var/lock/fw_printenv.lock" // of libubootenv (src/uboot_env.c) and of U-Boot's own tools
	cmdlineFile = "/proc/cmdline"
)

func (h host) path(name string) string { return filepath.Join(h.root, name) }

// running is what is known of the boot that the machine is in.
type running struct {
	Slot  slots.Slot // "" when nothing tells
	Boot  *boot      // nil when init left no report
	Files int        // the set of boot files; -1 when nothing tells
}

// boot is boot.json, as far as it is of use here. pkg/report describes it.
type boot struct {
	Schema  int    `json:"schema"`
	Version string `json:"version"`
	Layout  string `json:"layout"`
	Choice  struct {
		What     string `json:"what"`
		Value    string `json:"value"`
		Source   string `json:"source"`
		Reason   string `json:"reason"`
		Rejected []struct {
			Value  string `json:"value"`
			Reason string `json:"reason"`
		} `json:"rejected"`
	} `json:"choice"`
	Base struct {
		Value string `json:"value"`
	} `json:"base"`
	Disk      string `json:"disk"`
	BootState struct {
		Device string `json:"device"`
		Offset int64  `json:"offset"`
		Size   int64  `json:"size"`
		Second int64  `json:"second"`
	} `json:"boot_state"`
	Overlay struct {
		Lowers []string `json:"lowers"`
		Upper  string   `json:"upper"`
	} `json:"overlay"`
	Roles []struct {
		Name      string `json:"name"`
		Device    string `json:"device"`
		MountedAt string `json:"mounted_at"`
		State     string `json:"state"`
	} `json:"roles"`
	FirstBoot       []string `json:"first_boot"`
	Warnings        []string `json:"warnings"`
	Degraded        bool     `json:"degraded"`
	DegradedReasons []string `json:"degraded_reasons"`
	Timeline        []mark   `json:"timeline"`
}

// mark is something of a boot's timeline, in microseconds since the kernel
// started.
type mark struct {
	Name  string `json:"name"`
	Began int64  `json:"began_us"`
	Ended int64  `json:"at_us"`
}

// running reads what init left, and the kernel command line. An error says
// that there is a report and that it cannot be read.
func (h host) running() (running, error) {
	r := running{Files: -1}
	var named slots.Slot
	if cmdline, err := os.ReadFile(h.path(cmdlineFile)); err == nil {
		conf := config.Parse(nil, cmdline)
		named, _ = slots.Named(conf.Slots)
		r.Files = conf.Files
	}
	data, err := os.ReadFile(h.path(bootFile))
	if err == nil {
		r.Boot = &boot{}
		if err := json.Unmarshal(data, r.Boot); err != nil {
			return running{}, fmt.Errorf("cannot read %s: %w", bootFile, err)
		}
		if r.Boot.Schema != report.Schema {
			return running{}, fmt.Errorf("cannot read %s: it has schema %d, and this minosctl knows %d; use the minosctl that was built with init", bootFile, r.Boot.Schema, report.Schema)
		}
		if slot, ok := slots.Named([]string{r.Boot.Choice.Value}); ok && r.Boot.Choice.What == "slot" {
			r.Slot = slot
			return r, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return running{}, fmt.Errorf("cannot read what init left: %w", err)
	}
	// Without it a bootloader's word counts, which is what RAUC goes by too.
	r.Slot = named
	return r, nil
}

// took is how long init took, from its first mark to its last.
func (b boot) took() time.Duration {
	if len(b.Timeline) == 0 {
		return 0
	}
	first, last := b.Timeline[0].Began, b.Timeline[0].Ended
	for _, m := range b.Timeline {
		first, last = min(first, m.Began), max(last, m.Ended)
	}
	return time.Duration(last-first) * time.Microsecond
}
