package layout

import (
	"fmt"
	"path"

	"github.com/minos-os/minos-init/pkg/adopt"
	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/report"
	"github.com/minos-os/minos-init/pkg/sys"
)

// The layout "image" is initramfs-overlay: the system is a squashfs in a file,
// with the one before it beside it; what is written goes to a partition of its
// own and is gone at the next boot, but for what somebody keeps there in
// persistent. A new image is brought on any medium with the right label.
func imageRoles(m Machine) []role {
	return []role{
		{name: "img", label: "img", holds: []string{"ext4"}, at: backing + "/img", required: true},
		{name: "overlay", label: "overlay", holds: []string{"ext4"}, at: backing + "/overlay", required: true},
		{name: "boot", label: "boot", holds: []string{"vfat", "ext4"}, noWait: true},
		{name: "newimg", label: "newimg", holds: []string{"ext4", "vfat"}, anyDisk: true, noWait: !m.Config.NewImage.Wait},
	}
}

// Directories of the partition overlay, whose upper and work are at its top.
const persistentDir = "persistent"

// prepareImage finds the partitions and says how the root is put together.
// Which image is booted shows when the current one is mounted, or cannot be.
func prepareImage(m Machine) (Root, error) {
	found, err := search(m, imageRoles(m), block.Request{Final: true})
	if err != nil {
		return Root{}, err
	}
	img, overlay := found.role("img"), found.role("overlay")
	names := adopt.Names{Current: m.Config.Images, Suffix: m.Config.ImageOld == config.Suffix}
	const rootfs = backing + "/rootfs"
	current := mount.Image{Dir: img.at, Names: names.Current, Target: rootfs, FSType: "squashfs"}
	previous := current
	previous.Names = names.Previous()
	root := Root{
		Choice: report.Choice{What: "image", Value: "current", Source: "default", Reason: "the current image comes first"},
		Choices: map[string]report.Choice{"rootfs": {What: "image", Value: "previous", Source: "default",
			Reason: "the current image cannot be booted"}},
		Disk:     found.disk,
		Roles:    found.report(),
		Lowest:   img.match.Device,
		Path:     newRoot,
		Warnings: append(found.warnings, unknownRoles(m.Config.Parts, imageRoles(m))...),
	}
	root.Source = func(k sys.Kernel, full func(string) bool) string {
		mounted := current
		if !full("rootfs") {
			mounted = previous
		}
		// It was found a moment ago; without it the directory has to do.
		file, _ := mounted.Find(k)
		return path.Base(file)
	}
	root.Steps = []mount.Step{{
		Name: "img", Title: "mount the partition of the images",
		Do: []mount.Action{imagesMount{img.mount(img.at, sys.ReadOnly|sys.NoAtime), *img}},
	}, {
		Name: "newimg", Title: "adopt a new image", After: []string{"img"},
		Do:        []mount.Action{adoption(m, found, img.at, names)},
		Tolerated: true, Loss: "a new image is not booted, or stays on its medium",
	}, {
		Name: "boot", Title: "load the module of squashfs",
		Do:        []mount.Action{moduleOnBoot(*found.role("boot"))},
		Tolerated: true, Loss: "squashfs may be missing",
	}, {
		Name: "rootfs", Title: "mount an image", After: []string{"newimg", "boot"},
		Do:        []mount.Action{current},
		Tolerated: true, Else: []mount.Action{previous}, Loss: "the image before the current one is booted",
	}}
	if img.super.Errors {
		device := img.match.Device.Path()
		root.Warnings = append(root.Warnings, fmt.Sprintf("%s (img) says that it has errors, and e2fsck is in an image on it, so it is used unchecked, ignoring: run e2fsck -f %s on another machine",
			device, device))
	}
	if newimg := found.role("newimg"); newimg.err != nil && (newimg.several || newimg.match.By != "") {
		root.Warnings = append(root.Warnings, fmt.Sprintf("a new image is not looked for, ignoring: %v", newimg.err))
	}
	if asked, _ := m.Config.Last("minos.overlay"); asked == string(config.Keep) {
		root.Warnings = append(root.Warnings, "what is written to / is thrown away at each boot of this layout, ignoring: minos.overlay=keep")
	}
	root.addThrownAwayUpper(m.Config, *overlay, rootfs)
	root.rejectStaleRoot(m.Config.Root)
	return root, nil
}

// imagesMount mounts the partition of the images. No e2fsck can help it: that
// would be in an image on it.
type imagesMount struct {
	mount.Action
	img partition
}

// Apply implements mount.Action.
func (m imagesMount) Apply(env mount.Env) error {
	err := m.Action.Apply(env)
	if err != nil && m.img.err == nil {
		err = fmt.Errorf("%w; e2fsck is in an image on it: run e2fsck -f %s on another machine", err, m.img.match.Device.Path())
	}
	return err
}

// adoption is how a new image becomes the current one. Whoever holds the boot
// disk holds the system, so what is on that needs no checksum.
func adoption(m Machine, found partitions, dir string, names adopt.Names) mount.Action {
	a := adopt.Adopt{Dir: dir, Names: names, Say: m.Say}
	newimg := found.role("newimg")
	if newimg.err != nil {
		return a
	}
	a.Stranger = newimg.match.Device.Disk != found.disk && m.Disks.Removable(newimg.match.Device) && !m.Config.NewImage.Any
	a.Medium = mount.Mount{Source: newimg.match.Device.Path(), Target: staging + "/newimg", FSType: newimg.super.Type, Flags: sys.ReadOnly | sys.NoAtime}
	return a
}

// moduleOnBoot is where the users of initramfs-overlay keep the module of
// squashfs for a kernel that has none.
func moduleOnBoot(boot partition) mount.Action {
	const at = staging + "/boot"
	b := mount.Bring{FSType: "squashfs", Root: at, File: "squashfs.ko", Dir: func(release string) string { return "/modules/" + release }}
	if boot.err == nil {
		b.Medium = mount.Mount{Source: boot.match.Device.Path(), Target: at, FSType: boot.super.Type, Flags: sys.ReadOnly | sys.NoAtime}
	}
	return b
}

// addThrownAwayUpper adds the steps that lay a new writable layer over the image
// and over persistent. When the partition fails, memory takes its place: what is
// written is gone at the next boot either way.
func (r *Root) addThrownAwayUpper(conf config.Config, overlay partition, rootfs string) {
	lowers := []string{path.Join(overlay.at, persistentDir), rootfs}
	upper := mount.Upper{Dir: overlay.at, Top: true, Reset: true}
	inMemory := mount.Upper{Dir: backing + "/volatile"}
	r.Overlay = mount.Overlay{Target: newRoot, Lowers: lowers, Upper: upper, ReadOnly: conf.ReadOnly}
	r.StandIn = mount.Overlay{Target: newRoot, Lowers: lowers, Upper: inMemory, Distrust: true, ReadOnly: conf.ReadOnly}
	volatile := []mount.Action{mount.Tmpfs(inMemory.Dir, conf.UpperSize), inMemory, r.StandIn}
	persistent := mount.MakeDir{Dir: lowers[0]}
	inTheImage := mount.Bring{FSType: "overlay", Root: rootfs, File: "kernel/fs/overlayfs/overlay.ko",
		Dir: func(release string) string { return "/lib/modules/" + release }}

	r.Upper = string(config.Reset)
	tools := mount.Toolbox{Name: "the image", Root: rootfs}
	root := mount.Step{Name: "root", Title: "lay the writable layer over the image", After: []string{"overlay", "module"}, Do: []mount.Action{r.Overlay}}
	r.Steps = append(r.Steps, overlay.mended(mount.Step{
		Name: "overlay", Title: "mount the overlay partition",
		Do:        []mount.Action{overlay.mount(overlay.at, sys.NoAtime), persistent},
		Tolerated: true, Else: []mount.Action{mount.Tmpfs(overlay.at, conf.UpperSize), persistent},
		Loss: "what is kept in persistent does not show",
	}, tools, []string{"rootfs"}), mount.Step{
		Name: "module", Title: "load the module of overlay", After: []string{"rootfs"},
		Do:        []mount.Action{inTheImage},
		Tolerated: true, Loss: "overlay may be missing",
	})
	if conf.Overlay == config.Volatile {
		r.Upper, r.Overlay, root.Do = string(config.Volatile), r.StandIn, volatile
		r.Steps = append(r.Steps, root)
		return
	}
	root.Needs, root.Tolerated, root.Else = []string{"upper"}, true, volatile
	root.Loss = "what is written to / has a part of the memory for room"
	r.Steps = append(r.Steps, mount.Step{
		Name: "upper", Title: "throw away the writable layer of the boot before", After: []string{"overlay"},
		Do:        []mount.Action{upper},
		Tolerated: true, Loss: root.Loss,
	}, root)
}
