package main

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/minos-os/minos-init/pkg/sys"
	"github.com/minos-os/minos-init/pkg/sys/systest"
)

const (
	autobootA = "# of the factory\r\n[all]\ntryboot_a_b=1\nboot_partition=2\npartition_walk=1\n\n[tryboot]\nboot_partition = 3 # B\n"
	autobootB = "# of the factory\r\n[all]\ntryboot_a_b=1\nboot_partition=3\npartition_walk=1\n\n[tryboot]\nboot_partition = 2 # B\n"
)

// piDevice is a device whose firmware makes trials. The card is in the recording
// kernel; what init and the firmware left are files of the workstation.
type piDevice struct {
	testDevice
	kernel    *systest.Kernel
	disk      *systest.Disk
	restarted int
}

// newPi has booted a partition with the flag of a trial, "0" or "1", or with no
// word of the firmware when partition is 0.
func newPi(t testing.TB, slot string, partition byte, flag byte) *piDevice {
	d := &piDevice{testDevice: testDevice{t, t.TempDir()}}
	for _, dir := range []string{"dev", "run/minos", "run/systemd", "proc/device-tree/chosen/bootloader", "etc"} {
		if err := os.MkdirAll(d.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	d.started(slot, partition, flag)
	d.disk = &systest.Disk{Name: "vda", Parts: []*systest.Part{
		{Number: 1, FS: "vfat", Files: []string{"autoboot.txt=" + autobootA}},
	}}
	d.power(d.disk)
	return d
}

// started is what init and the firmware leave of a boot.
func (d *piDevice) started(slot string, partition, flag byte) {
	d.Helper()
	d.report(slot, "firmware", "")
	if partition > 0 {
		d.file("proc/device-tree/chosen/bootloader/partition", string([]byte{0, 0, 0, partition}))
		d.file("proc/device-tree/chosen/bootloader/tryboot", string([]byte{0, 0, 0, flag}))
	}
}

func (d *piDevice) report(slot, source, degraded string) {
	d.Helper()
	reasons := "[]"
	if degraded != "" {
		reasons = `["` + degraded + `"]`
	}
	d.file("run/minos/boot.json", fmt.Sprintf(`{"schema": 1, "version": "1.2", "layout": "tryboot", "disk": "/dev/vda",
"choice": {"what": "slot", "value": %q, "source": %q, "reason": "r"}, "roles": [{"name": "common", "device": "/dev/vda1"}],
"degraded": %t, "degraded_reasons": %s}`, slot, source, degraded != "", reasons))
}

// power starts the recording kernel with the card.
func (d *piDevice) power(disk *systest.Disk) {
	d.Helper()
	d.disk, d.kernel = disk, systest.New("")
	d.kernel.AddDisk(disk)
	for fstype, at := range map[string]string{"proc": "/proc", "sysfs": "/sys", "tmpfs": "/run"} {
		if err := d.kernel.Mount(sys.MountRequest{Source: fstype, Target: at, FSType: fstype}); err != nil {
			d.Fatal(err)
		}
	}
	if err := d.kernel.Mkdir("/run/minos", 0o755); err != nil {
		d.Fatal(err)
	}
}

// do is minosctl on the device.
func (d *piDevice) do(args ...string) (status int, said string) {
	var out bytes.Buffer
	h := host{root: d.root, lockWait: time.Second, kernel: d.kernel, makeWritable: func(dir string) (func() error, error) {
		return func() error { return d.kernel.Remount(dir, sys.ReadOnly) }, d.kernel.Remount(dir, 0)
	}, restart: func() error { d.restarted++; return nil }}
	status = run(h, append([]string{callName}, args...), &out, &out)
	return status, out.String()
}

// common is the card in another machine, with the first partition at /run.
func (d *piDevice) common() *systest.Kernel {
	d.Helper()
	k := systest.New("")
	k.AddDisk(d.disk)
	if err := k.Mount(sys.MountRequest{Source: "/dev/vda1", Target: "/run", FSType: "vfat"}); err != nil {
		d.Fatal(err)
	}
	return k
}

// autoboot is the file on the card now.
func (d *piDevice) autoboot() string {
	d.Helper()
	data, err := d.common().ReadFile("/run/autoboot.txt")
	if err != nil {
		d.Fatal(err)
	}
	return string(data)
}

// system makes partitions of the device hold something: a FAT and an ext4.
func (d *piDevice) system(boot, root string) {
	d.Helper()
	fat := make([]byte, 1<<20)
	copy(fat, "\xeb\x58\x90mkfs.fat\x00\x02\x01\x20\x00\x02\x00\x00\x00\x00\xf8")
	copy(fat[32:], "\x00\x10\x01\x00")
	copy(fat[36:], "\x2d\x02\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x01\x00\x06\x00")
	copy(fat[66:], "\x29abcdBOOTFS     FAT32   ")
	copy(fat[510:], "\x55\xaa")
	d.file("dev/"+boot, string(fat))
	d.file("dev/"+root, string(make([]byte, 1<<20)))
	makeExt4(d, d.path("dev/"+root), "1M")
}
