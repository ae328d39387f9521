package block

import (
	"strings"
	"testing"
)

// Of the repeated key the last counts.
const addVda6 = "add@/devices/pci0/virtio1/block/vda/vda6\x00ACTION=add\x00DEVPATH=/devices/pci0/virtio1/block/vda/vda6\x00" +
	"SUBSYSTEM=nothing\x00SUBSYSTEM=block\x00MAJOR=254\x00MINOR=6\x00DEVNAME=vda6\x00DEVTYPE=partition\x00DISKSEQ=1\x00PARTN=6\x00PARTNAME=rootfs-a\x00SEQNUM=900\x00"

func TestParseEvent(t *testing.T) {
	e, err := ParseEvent([]byte(addVda6))
	if err != nil {
		t.Fatal(err)
	}
	if e.Action != "add" || e.Devpath != "/devices/pci0/virtio1/block/vda/vda6" || e.Subsystem != "block" {
		t.Errorf("ParseEvent = %+v", e)
	}
	inv := Inventory{}
	if !inv.Apply(e) || inv.Apply(e) {
		t.Error("Apply has to say once that something changed")
	}
	want := Device{Name: "vda6", Disk: "vda", Number: 6, PartName: "rootfs-a", Major: 254, Minor: 6, Devpath: "/devices/pci0/virtio1/block/vda/vda6"}
	if inv["vda6"] != want {
		t.Errorf("Apply: got %+v, want %+v", inv["vda6"], want)
	}
}

func TestParseEventRefuses(t *testing.T) {
	for name, msg := range map[string]string{
		"udev's own message": "libudev\x00\xfe\xed\xca\xfe",
		"no path":            "add@\x00ACTION=add\x00",
		"no end":             "add@/devices/x",
		"empty":              "",
	} {
		if e, err := ParseEvent([]byte(msg)); err == nil {
			t.Errorf("%s: ParseEvent = %+v, want an error", name, e)
		}
	}
}

func TestModalias(t *testing.T) {
	e, err := ParseEvent([]byte("add@/devices/p/virtio1\x00ACTION=add\x00DEVPATH=/devices/p/virtio1\x00SUBSYSTEM=virtio\x00MODALIAS=virtio:d00000002v00001AF4\x00"))
	if err != nil || e.Modalias() != "virtio:d00000002v00001AF4" {
		t.Errorf("Modalias = %q, %v", e.Modalias(), err)
	}
	if (Inventory{}).Apply(e) {
		t.Error("a bus device is no block device")
	}
}

func TestDiskWithSlashInItsName(t *testing.T) {
	msg := strings.NewReplacer("/block/vda/vda6", "/block/cciss!c0d0/cciss!c0d0p6", "DEVNAME=vda6", "DEVNAME=cciss/c0d0p6").Replace(addVda6)
	e, err := ParseEvent([]byte(msg))
	if err != nil {
		t.Fatal(err)
	}
	inv := Inventory{}
	inv.Apply(e)
	if d := inv["cciss/c0d0p6"]; d.Disk != "cciss/c0d0" || d.Path() != "/dev/cciss/c0d0p6" {
		t.Errorf("got %+v", d)
	}
}

//fuzz:covers uevent.go
func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(addVda6))
	f.Add([]byte("libudev\x00\xfe\xed\xca\xfe"))
	f.Add([]byte("add@/devices/a\x00DEVPATH=/devices/a\x00"))
	f.Add([]byte("remove@/devices/a/block/sda\x00ACTION=remove\x00DEVPATH=/devices/a/block/sda\x00SUBSYSTEM=block\x00DEVNAME=sda\x00MAJOR=x\x00"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		e, err := ParseEvent(msg)
		if err != nil {
			return
		}
		if strings.Contains(e.Modalias(), "\x00") {
			t.Errorf("%q has the modalias %q", msg, e.Modalias())
		}
		inv := Inventory{}
		inv.Apply(e)
		for name, d := range inv {
			if name == "" || d.Name != name || d.Disk == "" {
				t.Errorf("%q became %+v", msg, d)
			}
		}
		_ = Resolve(facts(inv), []Want{{Role: "r", Name: "n", Number: 1, Required: true}}, Selector{})
		_ = inv.String()
	})
}
