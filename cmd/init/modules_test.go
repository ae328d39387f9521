package main

import (
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys/systest"
)

// The parameters of modules come from both places where words stand, the
// image's first.
func TestModuleParameters(t *testing.T) {
	k := systest.New("rauc.slot=A overlay.index=Y",
		"lib/modules/6.12.0-test/minos.modules=overlay overlay.ko -\n", "etc/minos.conf=overlay.metacopy=N\n")
	k.ForgetFilesystem("overlay")
	k.AddDisk(card())
	start(k, mount.InOrder)
	if k.Ended() != toInit {
		t.Errorf("the boot ended with %q, want %q", k.Ended(), toInit)
	}
	if want := "module /lib/modules/6.12.0-test/overlay.ko metacopy=N index=Y\n"; !strings.Contains(k.Trace(), want) {
		t.Errorf("the trace lacks %q:\n%s", want, k.Trace())
	}
}
