package qemu

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// raucCompatible is the word by which RAUC knows that an update is for this
// device.
const raucCompatible = "minos-demo"

// UpdateKeys are the demo's own: what its updates are signed with, and what its
// systems trust. They are made on each workstation, and never leave it.
type UpdateKeys struct {
	Authority   string // certificate that the systems trust, a PEM file
	Certificate string // of the key below, signed by the authority
	Key         string
}

// UpdateKeys returns the demo's keys and makes them first where they are
// missing. It needs openssl.
func (c *Cache) UpdateKeys() (UpdateKeys, error) {
	dir, err := c.Get("keys", "1 "+updateKeysScript, func(dir string) error {
		return run(strings.NewReader(updateKeysConfig), "sh", "-euc", updateKeysScript, "sh", dir)
	})
	if err != nil {
		return UpdateKeys{}, fmt.Errorf("cannot make the keys for the demo's updates: %w", err)
	}
	return UpdateKeys{
		Authority:   filepath.Join(dir, "authority.cert.pem"),
		Certificate: filepath.Join(dir, "signing.cert.pem"),
		Key:         filepath.Join(dir, "signing.key.pem"),
	}, nil
}

// updateKeysConfig says what each certificate is for; openssl would take it from
// a file of the workstation otherwise.
const updateKeysConfig = `[req]
distinguished_name = name
prompt = no
[name]
CN = unused
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[signing]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
`

// updateKeysScript makes an authority and a key for signing in the directory
// $1. The authority's own key is thrown away: nothing else is to be signed.
const updateKeysScript = `cd "$1"
umask 077
cat >config
new="-config config -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
openssl req $new -x509 -extensions authority -days 7300 -subj "/O=minos-init demo/CN=update authority" \
	-keyout authority.key.pem -out authority.cert.pem
openssl req $new -subj "/O=minos-init demo/CN=update signing" -keyout signing.key.pem -out request.pem
openssl x509 -req -in request.pem -extfile config -extensions signing -days 7300 -set_serial 1 \
	-CA authority.cert.pem -CAkey authority.key.pem -out signing.cert.pem
rm config request.pem authority.key.pem
`

// raucFiles are what RAUC needs to know on a disk with these partitions.
func raucFiles(d Disk, authority string) []File {
	return []File{
		Dir("etc/rauc"),
		Text("etc/rauc/system.conf", raucConfiguration(d)),
		{Name: "etc/rauc/keyring.pem", Mode: 0o644, Data: authority},
		Text("etc/fw_env.config", fmt.Sprintf("%s 0x0000 %#x\n", d.device("bootstate"), environmentSize)),
		Dir("usr/lib/minos"), Dir(wanted), // for what is put there later
	}
}

const (
	systemUnits = "etc/systemd/system"
	wanted      = systemUnits + "/multi-user.target.wants"
)

// Minosctl is the tool for the device, as it was built.
type Minosctl struct {
	Program    string
	Repository string // top of this module, where its units are
}

// files are the tool, under the name that RAUC's custom backend has too.
func (m Minosctl) files() []File {
	return []File{
		{Name: "usr/sbin/minosctl", Mode: 0o755, From: m.Program},
		Link("usr/lib/minos/rauc-backend", "/usr/sbin/minosctl"),
	}
}

// Install puts minosctl into both root filesystems of an image, with the
// services that keep the identity of the device and mark the slot good that came
// up. The image is a copy of a demo disk.
func (m Minosctl) Install(d Disk, image string) error {
	files := m.files()
	for _, name := range []string{"minos-mark-good.service", "minos-first-boot-complete.service", "minos-ssh-keys.service", "minos-growfs.service"} {
		files = append(files, File{Name: systemUnits + "/" + name, Mode: 0o644, From: m.unit(name)}, Link(wanted+"/"+name, "../"+name))
	}
	return errors.Join(d.PutFiles("rootfs-a", image, files...), d.PutFiles("rootfs-b", image, files...))
}

func (m Minosctl) unit(name string) string {
	return filepath.Join(m.Repository, "cmd/minosctl/dist", name)
}

// raucMarksGood are the files with which RAUC, and not our own unit, marks the
// slot good; minosctl notes which slot that was.
func raucMarksGood() []File {
	return []File{
		Text(systemUnits+"/rauc-mark-good.service", raucMarkGood),
		Link(wanted+"/rauc-mark-good.service", "../rauc-mark-good.service"),
		Dir(systemUnits + "/rauc-mark-good.service.d"),
	}
}

// filesBesideRAUC are the tool and the note, for a root filesystem with the
// files of raucMarksGood.
func (m Minosctl) filesBesideRAUC() []File {
	return append(m.files(), File{Name: systemUnits + "/rauc-mark-good.service.d/minos.conf", Mode: 0o644, From: m.unit("rauc-mark-good.conf")})
}

// raucConfiguration is RAUC's system.conf: two slots of two partitions each,
// which are written as they are. The signing time counts when a certificate is
// checked, since many boards have no clock that survives a power cut.
func raucConfiguration(d Disk) string {
	var s strings.Builder
	fmt.Fprintf(&s, `[system]
compatible=%s
bootloader=uboot
bundle-formats=verity
statusfile=/data/config/rauc.status

[keyring]
path=/etc/rauc/keyring.pem
use-bundle-signing-time=true
`, raucCompatible)
	for i, slot := range []string{"a", "b"} {
		fmt.Fprintf(&s, "\n[slot.kernel.%d]\ndevice=%s\ntype=raw\nbootname=%s\n", i, d.device("kernel-"+slot), strings.ToUpper(slot))
		fmt.Fprintf(&s, "\n[slot.rootfs.%d]\ndevice=%s\ntype=raw\nparent=kernel.%d\n", i, d.device("rootfs-"+slot), i)
	}
	return s.String()
}

// device is the name of a partition in the demo's machine, whose disk is the
// first on virtio.
func (d Disk) device(partition string) string {
	if d.GPT {
		return "/dev/disk/by-partlabel/" + partition
	}
	ranges := d.Ranges()
	i := slices.IndexFunc(ranges, func(r Range) bool { return r.Name == partition })
	return fmt.Sprintf("/dev/vda%d", ranges[i].Number)
}

// raucMarkGood has nothing to do where no bootloader named a slot. It does not
// require rauc.service, which D-Bus starts: a unit's requirements are started
// even when its own condition does not hold, and without a slot RAUC's service
// fails.
const raucMarkGood = `[Unit]
Description=Mark the running slot good (RAUC)
ConditionKernelCommandLine=rauc.slot
After=multi-user.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/rauc status mark-good

[Install]
WantedBy=multi-user.target
`

// Bundle is the recipe of an update for the demo, as RAUC installs it.
type Bundle struct {
	Version string
	Kernel  Content   // of a kernel slot
	RootFS  Partition // of a root filesystem slot, which may be larger
}

// Write makes the bundle, a file whose name ends in .raucb, in place of whatever
// file was there. It needs rauc and mksquashfs.
func (b Bundle) Write(file string, keys UpdateKeys) error {
	dir, err := os.MkdirTemp("", "minos-bundle-")
	if err != nil {
		return fmt.Errorf("cannot make a directory for a bundle: %w", err)
	}
	defer os.RemoveAll(dir)
	for name, fill := range map[string]func(string) error{
		"kernel.img": func(file string) error { return b.Kernel.Make(file, 0) },
		"rootfs.img": func(file string) error { return b.RootFS.Content.Make(file, int64(b.RootFS.MiB)*mib) },
	} {
		if err := fill(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("cannot make %s of a bundle: %w", name, err)
		}
	}
	manifest := fmt.Sprintf("[update]\ncompatible=%s\nversion=%s\n\n[bundle]\nformat=verity\n\n"+
		"[image.kernel]\nfilename=kernel.img\n\n[image.rootfs]\nfilename=rootfs.img\n", raucCompatible, b.Version)
	if err := os.WriteFile(filepath.Join(dir, "manifest.raucm"), []byte(manifest), 0o644); err != nil {
		return fmt.Errorf("cannot write the manifest of a bundle: %w", err)
	}
	if err := os.RemoveAll(file); err != nil {
		return fmt.Errorf("cannot remove an old bundle: %w", err)
	}
	// With the keyring, rauc checks what it has signed. lz4 is what an emulated
	// processor unpacks fastest.
	err = run(nil, "rauc", "bundle", "--cert="+keys.Certificate, "--key="+keys.Key, "--keyring="+keys.Authority,
		"--mksquashfs-args=-comp lz4", dir, file)
	if err != nil {
		return fmt.Errorf("cannot make a bundle: %w", err)
	}
	return nil
}

// WriteUpdates makes the image of a medium with the label "updates" that holds
// bundles, files of the workstation, under their own names.
func WriteUpdates(image string, bundles ...string) error {
	var tree Tree
	size := int64(8 * mib) // for what is not a file's content
	for _, bundle := range bundles {
		info, err := os.Stat(bundle)
		if err != nil {
			return fmt.Errorf("cannot find an update (\"make bundle\" makes one): %w", err)
		}
		size += info.Size() + info.Size()/32
		tree = tree.With(File{Name: filepath.Base(bundle), Mode: 0o644, From: bundle})
	}
	if err := os.RemoveAll(image); err != nil {
		return fmt.Errorf("cannot remove the old medium with updates: %w", err)
	}
	return Ext4{Label: "updates", Tree: tree, Options: []string{"-O", "^has_journal", "-N", "64"}}.Make(image, size)
}
