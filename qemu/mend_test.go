package qemu

import (
	"strings"
	"testing"
)

// withE2fsck is the root filesystem around the stub with Debian's e2fsck.
func withE2fsck(t *testing.T) Tree {
	t.Helper()
	files, err := SlotTools(machines(t).debian.RootFS, "usr/sbin/e2fsck")
	if err != nil {
		t.Fatal(err)
	}
	return StubTree(machines(t).stub).With(files...)
}

// A damaged overlay partition is mended by the e2fsck of the slot, and what an
// earlier boot wrote is there again. What that e2fsck dares not mend, or what
// nobody is there to mend, is left as it is, and the upper is in memory.
func TestOverlayIsMended(t *testing.T) {
	machines(t)
	tree := withE2fsck(t)
	tools(t, "debugfs", "e2fsck")
	debugfs := func(request string) func(*testing.T, string) {
		return func(t *testing.T, file string) {
			if out, err := Tool("debugfs", "-w", "-R", request, file); err != nil {
				t.Fatalf("debugfs: %v, %s", err, out)
			}
		}
	}
	const write, read = "write:/etc/mine=text", "read:/etc/mine"
	const mended = "minos: e2fsck has gone through /dev/vda3 and left no errors: overlay: "
	for _, test := range []struct {
		name    string
		tree    Tree
		damage  func(*testing.T, string)
		ends    string // what becomes of the upper
		text    string // on the console
		refused bool   // the kernel does not take it as it is
	}{
		// The kernel refuses a wrong sum over a descriptor of a block group.
		{"refused", tree, debugfs("set_bg 0 checksum 0x1234"), "keep", mended, true},
		{"with errors", tree, debugfs("ssv state 2"), "keep", mended, false},
		{"with errors, and no tool", StubTree(machines(t).stub), debugfs("ssv state 2"), "keep",
			"minos: /dev/vda3 says that it has errors, and is used unchecked, ignoring: slot A has no e2fsck in /usr/sbin, ", false},
		// Its root directory is gone: e2fsck would want to ask.
		{"beyond repair", tree, debugfs("sif <2> mode 0"), "volatile", "; it is not mended: e2fsck of /dev/vda3 ended with exit status 4: ", true},
		{"refused, and no tool", StubTree(machines(t).stub), debugfs("set_bg 0 checksum 0x1234"), "volatile",
			"; it is not mended: slot A has no e2fsck in /usr/sbin, /usr/bin, /sbin, /bin", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			image := writable(t)
			disk := StubDisk("")
			disk.RootFSA = rootfs(disk.RootFSA.MiB, test.tree, "A")
			if err := disk.Install("rootfs-a", image); err != nil {
				t.Fatal(err)
			}
			bootOnce := func(do ...string) Result {
				return boot(t, Case{Image: image, Change: keep, Append: []string{"rauc.slot=A"}, Do: append(do, "sync")})
			}
			first := bootOnce(write)
			first.handedOver(t)
			lacks(t, first.Console, "e2fsck")
			onPartition(t, image, "overlay", func(file string) {
				// Only this damage is to be mended, no journal replayed.
				if out, err := Tool("e2fsck", "-p", file); err != nil {
					t.Fatalf("e2fsck: %v, %s", err, out)
				}
				test.damage(t, file)
			})
			r := bootOnce(read)
			report := r.handedOver(t)
			if report.Overlay.Durability != test.ends || report.Degraded != (test.ends == "volatile") {
				t.Errorf("boot.json says durability %q, degraded %t %q; want %s", report.Overlay.Durability, report.Degraded, report.DegradedReasons, test.ends)
			}
			shows(t, r.Console, test.text)
			if refused := strings.Contains(r.Console, "(vda3): group descriptors corrupted") || strings.Contains(r.Console, "(vda3): mount failed"); refused != test.refused {
				t.Errorf("the kernel had refused the overlay partition: %t, want %t", refused, test.refused)
			}
			want := `"text"`
			if test.ends == "volatile" {
				want = "ENOENT"
			}
			if got := r.result(t, read); got != want {
				t.Errorf("what the first boot wrote is %s, want %s", got, want)
			}
			if _, left := r.Stub.MountAt("/mnt/tools-vda3"); left || strings.Contains(strings.Join(r.Stub.Mounts, "\n"), "tools") {
				t.Errorf("mounts for the tool are left: %q", r.Stub.Mounts)
			}
		})
	}
}

// The same for the data partition; and one without a journal that nobody has
// unmounted, which the kernel would take as it is, is looked at before.
func TestDataIsMended(t *testing.T) {
	machines(t)
	tools(t, "debugfs", "e2fsck", "tune2fs")
	tool := func(name string, args ...string) func(*testing.T, string) {
		return func(t *testing.T, file string) {
			if out, err := Tool(name, append(args, file)...); err != nil {
				t.Fatalf("%s: %v, %s", name, err, out)
			}
		}
	}
	const write, read = "write:/data/mine=text", "read:/data/mine"
	for _, test := range []struct {
		name   string
		damage []func(*testing.T, string)
		append []string
		text   string // on the console
		there  bool   // /data is
	}{
		{"refused", []func(*testing.T, string){tool("debugfs", "-w", "-R", "set_bg 0 checksum 0x1234")}, nil,
			"minos: e2fsck has gone through /dev/vda4 and left no errors: data: ", true},
		{"no journal, not unmounted", []func(*testing.T, string){tool("tune2fs", "-O", "^has_journal"), tool("debugfs", "-w", "-R", "ssv state 0")}, nil,
			"minos: e2fsck has gone through /dev/vda4 and left no errors: data: ", true},
		{"with errors, and nothing may be mended", []func(*testing.T, string){tool("debugfs", "-w", "-R", "sif lost+found links_count 7"), tool("debugfs", "-w", "-R", "ssv state 2")}, []string{"fsck.repair=no"},
			"cannot mount the data partition: it is not mended: e2fsck of /dev/vda4 ended with exit status 4: ", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			image := writable(t)
			disk := StubDisk("")
			disk.RootFSA = rootfs(disk.RootFSA.MiB, withE2fsck(t), "A")
			if err := disk.Install("rootfs-a", image); err != nil {
				t.Fatal(err)
			}
			bootOnce := func(do ...string) Result {
				return boot(t, Case{Image: image, Change: keep, Append: append([]string{"rauc.slot=A"}, test.append...), Do: append(do, "sync")})
			}
			first := bootOnce(write)
			first.handedOver(t)
			lacks(t, first.Console, "e2fsck")
			onPartition(t, image, "data", func(file string) {
				tool("e2fsck", "-p")(t, file) // only this damage is to be mended, no journal replayed
				for _, damage := range test.damage {
					damage(t, file)
				}
			})
			r := bootOnce(read)
			if report := r.handedOver(t); report.Degraded == test.there {
				t.Errorf("boot.json says degraded %t %q; want %t", report.Degraded, report.DegradedReasons, !test.there)
			}
			shows(t, r.Console, test.text)
			lacks(t, r.Console, "mounting unchecked fs")
			if got, want := r.result(t, read), map[bool]string{true: `"text"`, false: "ENOENT"}[test.there]; got != want {
				t.Errorf("what the first boot wrote is %s, want %s", got, want)
			}
		})
	}
}
