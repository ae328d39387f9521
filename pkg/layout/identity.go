package layout

import (
	"path"

	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/firstboot"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/slots"
)

// identitySteps give the machine its identity: on the data partition, where
// both slots see it, and in the new root. They come behind the steps that put
// the root together and that mount data and boot where they are staged, and
// behind the step taken, which may bring an identity from the boot partition.
func identitySteps(c config.Config, choice slots.Slot, overlay partition, policy config.OverlayPolicy, taken string) []mount.Step {
	identity := &firstboot.Identity{Data: staging + "/data", Root: newRoot, Given: c.MachineID}
	for _, dir := range []string{choice.Lower(), choice.Lower() + ".old", choice.Other().Lower()} {
		identity.Uppers = append(identity.Uppers, path.Join(overlay.at, dir, "upper"))
	}
	root := firstboot.RootIdentity{Identity: identity, Init: c.Init, Lasting: policy == config.Keep}
	return []mount.Step{{
		Name: "identity", Title: "keep the machine-id on /data",
		After:     []string{"root", taken}, // what systemd left in an upper is at rest then
		Needs:     []string{"data"},
		Do:        []mount.Action{identity},
		Tolerated: true, Loss: "the machine has no identity of its own",
	}, {
		Name: "root-identity", Title: "give the machine-id to the new root",
		After:     []string{"root"},
		Needs:     []string{"identity"},
		Do:        []mount.Action{root},
		Tolerated: true, Loss: "systemd may not get the machine-id of /data",
		Else: []mount.Action{firstboot.OwnIdentity{}},
	}, {
		Name: "credentials", Title: "give systemd the credentials of the boot partition",
		Needs:     []string{"boot"},
		Do:        []mount.Action{firstboot.Credentials{Dir: staging + "/boot/config/credentials"}},
		Tolerated: true, Loss: "systemd does not get all credentials of the boot partition",
	}}
}
