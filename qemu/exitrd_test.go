package qemu

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cleanOnDisk fails unless the filesystems of data and overlay were unmounted:
// no journal is left to be recovered.
func cleanOnDisk(t *testing.T, disk Disk, image string) {
	t.Helper()
	tools(t, "debugfs")
	for _, r := range disk.Ranges() {
		if r.Name != "data" && r.Name != "overlay" {
			continue
		}
		file := filepath.Join(t.TempDir(), r.Name)
		if err := r.Extract(file, image); err != nil {
			t.Fatal(err)
		}
		cleanExt4(t, r.Name, file)
	}
}

func cleanExt4(t *testing.T, name, file string) {
	t.Helper()
	super, err := Tool("debugfs", "-R", "show_super_stats -h", file)
	if err != nil || !strings.Contains(string(super), "Filesystem features:") {
		t.Fatalf("debugfs of %s: %v, %s", name, err, super)
	}
	if strings.Contains(string(super), "needs_recovery") {
		t.Errorf("%s has a journal that is to be played back: it was not unmounted", name)
	}
	if !strings.Contains(string(super), "Filesystem state:         clean\n") {
		t.Errorf("%s is not clean:\n%s", name, super)
	}
}

// The way out, as systemd goes it: whatever was mounted, the filesystems are
// whole afterwards, and the machine ends as was asked for.
func TestWayOut(t *testing.T) {
	machines(t)
	const leaked = "minos: ext4 /dev/vda4 on /data does not let go, ignoring: "
	for _, test := range []struct {
		name  string
		end   string // of the stub
		words []string
		do    []string
		want  Ending
		shows []string // on the console
		lacks []string
	}{
		{name: "poweroff", end: "exitrd:poweroff", do: []string{"write:/etc/mine=text", "write:/data/mine=text"}, want: PowerOff,
			shows: []string{"minos: shut down: 5 of 5 filesystems unmounted, took=", "next: poweroff"}, lacks: []string{"ignoring", "cannot"}},
		{name: "reboot with an argument", end: "exitrd:reboot", want: Reset,
			do:    []string{"write:/data/mine=text", "mkdir:/run/systemd", "write:/run/systemd/reboot-param=0%20tryboot"},
			shows: []string{`minos: shut down: 5 of 5 filesystems unmounted, took=`, `next: reboot "0 tryboot"`, `reboot: Restarting system with command '0 tryboot'`}},
		{name: "an init that is not systemd", end: "become:reboot", do: []string{"write:/etc/mine=text", "write:/data/mine=text"}, want: Reset,
			shows: []string{"minos: shut down: 5 of 5 filesystems unmounted, took=", "next: reboot"}, lacks: []string{"ignoring", "cannot"}},
		{name: "no kernel for kexec", end: "exitrd:kexec", want: Reset, shows: []string{
			"minos: the machine restarts, ignoring: reboot(2) to kexec: "}},
		{name: "upper in memory", end: "exitrd:poweroff", words: []string{"minos.overlay=volatile"}, do: []string{"write:/etc/mine=text"}, want: PowerOff,
			shows: []string{"minos: shut down: 4 of 4 filesystems unmounted"}, lacks: []string{"ignoring"}},
		{name: "a process that was left", end: "exitrd:poweroff", do: []string{"hold:/data/held", "hold:/etc/held"}, want: PowerOff,
			shows: []string{"(exe) is killed, since it holds /oldroot/sbin/init of overlay overlay on /, ignoring: it", "minos: shut down: 5 of 5 filesystems unmounted"},
			lacks: []string{"does not let go"}},
		{name: "a file that PID 1 holds", end: "exitrd:poweroff", do: []string{"write:/data/mine=text", "leak:/data/mine"}, want: PowerOff,
			shows: []string{leaked, "minos: shut down: 1 of 5 filesystems unmounted"}, lacks: []string{"stays writable"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			image := writable(t)
			r := boot(t, Case{Image: image, Change: keep, Do: test.do,
				Append: append([]string{"rauc.slot=A", "stub.end=" + test.end}, test.words...)})
			if r.Ending != test.want {
				t.Errorf("the machine ended with %s, want %s", r.Ending, test.want)
			}
			for _, done := range r.Stub.Done {
				if !strings.HasSuffix(done, " ok") {
					t.Errorf("the stub did %s", done)
				}
			}
			shows(t, r.Console, test.shows...)
			_, after, _ := strings.Cut(r.Console, "STUB end")
			lacks(t, after, test.lacks...)
			cleanOnDisk(t, StubDisk(""), image)
		})
	}
}

// A filesystem in a file of another one goes before that one.
func TestWayOutOfALoopDevice(t *testing.T) {
	machines(t)
	tools(t, "debugfs", "mke2fs")
	module := filepath.Join(machines(t).debian.Modules, "kernel/drivers/block/loop.ko.xz")
	nested := filepath.Join(t.TempDir(), "nested")
	if err := (Ext4{Label: "nested"}).Make(nested, 8*mib); err != nil {
		t.Fatal(err)
	}
	image := writable(t)
	if err := StubDisk("").PutFiles("data", image, File{Name: "nested", Mode: 0o644, From: nested}, File{Name: "loop.ko.xz", Mode: 0o644, From: module}); err != nil {
		t.Fatal(err)
	}
	r := boot(t, Case{Image: image, Change: keep, Append: []string{"rauc.slot=A", "stub.end=exitrd:poweroff"},
		Do: []string{"module:/data/loop.ko.xz", "loop:/data/nested=/mnt/nested", "write:/mnt/nested/mine=text"}})
	r.did(t, "module:/data/loop.ko.xz ok", "loop:/data/nested=/mnt/nested ok", "write:/mnt/nested/mine=text ok")
	shows(t, r.Console, "minos: shut down: 6 of 6 filesystems unmounted")
	lacks(t, r.Console, "does not let go")
	cleanOnDisk(t, StubDisk(""), image)
	onPartition(t, image, "data", func(file string) {
		back := filepath.Join(t.TempDir(), "back")
		if out, err := Tool("debugfs", "-R", "dump /nested "+back, file); err != nil {
			t.Fatalf("debugfs: %v, %s", err, out)
		}
		if info, err := os.Stat(back); err != nil || info.Size() != 8*mib {
			t.Fatalf("the nested filesystem: %v, %v", info, err)
		}
		cleanExt4(t, "nested", back)
	})
}
