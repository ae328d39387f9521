package qemu

import (
	"testing"
)

// Layouts 1.7, statement 5, and what minos.overlay= makes of it: whether a
// change that one boot made is there in the next.
func TestStatement1_7_5_WhatBecomesOfChanges(t *testing.T) {
	type step struct {
		slot, policy string // one boot
		do, want     string
	}
	const write, read = "write:/etc/new=text", "read:/etc/new"
	const there, gone = read + ` "text"`, read + " ENOENT"
	for _, test := range []struct {
		name  string
		boots []step
	}{
		{"keep", []step{{"A", "keep", write, write + " ok"}, {"B", "keep", read, gone}, {"A", "keep", read, there}}},
		{"reset", []step{{"B", "keep", write, write + " ok"}, {"A", "reset", read, gone}, {"B", "keep", read, there}, {"B", "reset", read, gone}, {"B", "keep", read, gone}}},
		{"volatile", []step{{"A", "volatile", write, write + " ok"}, {"A", "keep", read, gone}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			image := writable(t)
			for i, b := range test.boots {
				r := boot(t, Case{
					Image: image, Change: keep, Append: []string{"rauc.slot=" + b.slot, "minos.overlay=" + b.policy}, Do: []string{b.do},
				})
				report := r.handedOver(t)
				r.did(t, b.want)
				if report.Overlay.Durability != b.policy || report.Degraded {
					t.Errorf("boot %d: boot.json says durability %q, degraded %t; want %q and whole", i+1, report.Overlay.Durability, report.Degraded, b.policy)
				}
				shows(t, r.Console, "upper="+b.policy+" took=")
				if t.Failed() {
					t.Fatalf("in boot %d", i+1)
				}
			}
		})
	}
}

// A volatile boot does not even mount the overlay partition, and its layer is
// bounded.
func TestVolatileLeavesTheOverlayPartitionAlone(t *testing.T) {
	t.Parallel()
	image := writable(t)
	before := partitionListing(t, image, "overlay", "/", "/a", "/a/upper", "/a/work")
	r := boot(t, Case{
		Image: image, Change: keep, Append: []string{"rauc.slot=A", "minos.overlay=volatile"},
		Do: []string{"rootwrite", "statfs:/run/initramfs/volatile"},
	})
	r.handedOver(t)
	if m, ok := r.Stub.MountAt("/run/initramfs/overlay"); ok {
		t.Errorf("the overlay partition is mounted: %+v", m)
	}
	r.mounted(t, Mount{Target: "/run/initramfs/volatile", FSType: "tmpfs", Options: "rw,nosuid,nodev"})
	if after := partitionListing(t, image, "overlay", "/", "/a", "/a/upper", "/a/work"); after != before {
		t.Errorf("the overlay partition changed:\nbefore\n%s\nafter\n%s", before, after)
	}
	const mostMiB = 512 / 4
	size := tmpfsMiB(t, r.result(t, "statfs:/run/initramfs/volatile"))
	if size <= 0 || size > mostMiB {
		t.Errorf("the volatile layer may take %d MiB, want at most a quarter of the memory, %d MiB", size, mostMiB)
	}
}

// Layouts 1.7, statement 4: with reset a change of the root is gone in the next
// boot, and what is on the data partition is there.
func TestStatement1_7_4_ResetLeavesData(t *testing.T) {
	t.Parallel()
	image := writable(t)
	bootOnce := func(do ...string) Result {
		return boot(t, Case{Image: image, Change: keep, Append: []string{"rauc.slot=A", "minos.overlay=reset"}, Do: do})
	}
	bootOnce("write:/etc/x=1", "write:/data/x=1").did(t, "write:/etc/x=1 ok", "write:/data/x=1 ok")
	bootOnce("read:/etc/x", "read:/data/x").did(t, "read:/etc/x ENOENT", `read:/data/x "1"`)
}
