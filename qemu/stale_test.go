package qemu

import (
	"slices"
	"strings"
	"testing"
)

// Layouts 1.7, statement 12: a rebuilt root filesystem never ends in ESTALE,
// also where the kernel's default is index=on. With it the kernel writes into
// an upper which lower it belongs to, by UUID and inode, and refuses any other.
func TestStatement1_7_12_NeverStale(t *testing.T) {
	t.Parallel()
	image := writable(t)
	install := func(uuid string, content func(Tree) Content) {
		t.Helper()
		disk := StubDisk(machines(t).stub)
		disk.RootFSA.Content = content(StubTree(machines(t).stub).With(Text("etc/minos-slot", "A\n"), Text("etc/build", uuid+"\n")))
		if err := disk.Install("rootfs-a", image); err != nil {
			t.Fatal(err)
		}
	}
	ext4 := func(uuid string) {
		install(uuid, func(tree Tree) Content { return Ext4{Label: "rootfs", UUID: uuid, Tree: tree} })
	}
	const parameter, overlayLine = "read:/sys/module/overlay/parameters/index", "grep:/proc/mounts=overlay%20/%20"
	bootOnce := func(do ...string) Result {
		t.Helper()
		r := boot(t, Case{Image: image, Change: keep, Append: []string{"rauc.slot=A", "overlay.index=Y"},
			Do: append([]string{parameter, overlayLine}, do...)})
		report := r.handedOver(t)
		if report.Degraded || report.Overlay.Durability != "keep" || !slices.Contains(report.Overlay.Options, "index=off") {
			t.Fatalf("degraded %q, durability %q, options %q", report.DegradedReasons, report.Overlay.Durability, report.Overlay.Options)
		}
		// The parameter was there when the module was loaded, so before the
		// overlay was mounted; nothing has changed it since.
		if got := r.result(t, parameter); got != `"Y\n"` {
			t.Fatalf("the kernel's default for index is %s, want Y: nothing would be shown", got)
		}
		if root := r.result(t, overlayLine); !strings.Contains(root, ",index=off") {
			t.Errorf("the overlay came up as %s, want it with index=off", root)
		}
		lacks(t, r.Console, "stale file handle", "failed to verify")
		return r
	}
	const unstamp, write, read = "rm:/run/initramfs/overlay/a/lower", "write:/etc/mine=text", "read:/etc/mine"

	ext4("6d696e6f-7300-4000-8000-000000000101")
	first := bootOnce(write, unstamp)
	if wrote, gone := first.result(t, write), first.result(t, unstamp); wrote != "ok" || gone != "ok" {
		t.Fatalf("the first boot wrote: %s, took the stamp away: %s", wrote, gone)
	}
	// An upper without a stamp, as an older init leaves it, is taken over by
	// whatever image comes next: it meets another lower.
	ext4("6d696e6f-7300-4000-8000-000000000102")
	if got := bootOnce(read, unstamp).result(t, read); got != `"text"` {
		t.Errorf("what was written over the first image is %s, want it adopted", got)
	}
	// Another filesystem, which has no UUID at all.
	install("squashfs", func(tree Tree) Content { return SquashFS{"lz4", tree} })
	if got := bootOnce(read).result(t, read); got != `"text"` {
		t.Errorf("what was written over the first image is %s, want it adopted", got)
	}
	// With its stamp the upper is put aside, and a fresh one laid over.
	ext4("6d696e6f-7300-4000-8000-000000000104")
	if got := bootOnce(read).result(t, read); got != "ENOENT" {
		t.Errorf("what was written over another image is %s, want it put aside", got)
	}
}
