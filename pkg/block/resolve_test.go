package block

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// disk makes an inventory of one disk: "6" is a partition, "6=rootfs-a" one
// with a GPT name.
func disk(name string, parts ...string) Inventory {
	inv := Inventory{name: {Name: name, Disk: name}}
	for _, p := range parts {
		number, partName, _ := strings.Cut(p, "=")
		d := Device{Name: name + number, Disk: name, Number: int(number[0] - '0'), PartName: partName}
		inv[d.Name] = d
	}
	return inv
}

func merge(invs ...Inventory) Inventory {
	all := Inventory{}
	for _, inv := range invs {
		for name, d := range inv {
			all[name] = d
		}
	}
	return all
}

var (
	wantRoot    = Want{Role: "rootfs-a", Name: "rootfs-a", Label: "rootfs-a", Number: 6, Required: true, LabelLast: true}
	wantOverlay = Want{Role: "overlay", Name: "overlay", Label: "overlay", Number: 3}
)

// facts are an inventory with labels ("vda3=overlay"), tables and removable
// disks.
func facts(inv Inventory, labels ...string) Facts {
	find := func(key string) string {
		for _, l := range labels {
			if name, value, _ := strings.Cut(l, "="); name == key {
				return value
			}
		}
		return ""
	}
	return Facts{
		Known:     inv,
		Label:     func(d Device) string { return find(d.Name) },
		TableID:   func(d Device) string { return find("table-" + d.Name) },
		Removable: func(d Device) bool { return find("removable-"+d.Name) == "yes" },
	}
}

// at puts a disk at a place in the tree of devices.
func at(devpath string, inv Inventory) Inventory {
	for name, d := range inv {
		d.Devpath = devpath + "/block/" + d.Disk
		inv[name] = d
	}
	return inv
}

func TestResolve(t *testing.T) {
	wants := []Want{wantRoot, wantOverlay}
	two := func() Inventory { return merge(disk("vda", "3", "6"), disk("vdb", "3", "6")) }
	for _, c := range []struct {
		name    string
		facts   Facts
		wants   []Want
		by      string
		disk    string
		matches string // "role device how", joined by commas
		missing string
		twins   string
	}{
		{"nothing", facts(Inventory{}), wants, "", "", "", "rootfs-a overlay", ""},
		{"an MBR by numbers", facts(disk("vda", "1", "3", "6")), wants, "", "vda", "overlay vda3 number, rootfs-a vda6 number", "", ""},
		{"an MBR with labels", facts(disk("vda", "3", "6"), "vda3=overlay", "vda6=rootfs"), wants, "", "vda", "overlay vda3 label, rootfs-a vda6 number", "", ""},
		{"a label beats a number", facts(disk("vda", "2", "3", "6"), "vda2=overlay", "vda3=data"), wants, "", "vda", "overlay vda2 label, rootfs-a vda6 number", "", ""},
		{"a label that is there twice loses to the number", facts(disk("vda", "2", "3", "4", "6"), "vda2=overlay", "vda4=overlay"), wants, "", "vda", "overlay vda3 number, rootfs-a vda6 number", "", ""},
		{"a label on the other slot tells nothing", facts(disk("vda", "6", "8"), "vda8=rootfs-a"), wants, "", "vda", "rootfs-a vda6 number", "overlay", ""},
		{"a slot by its unique label, last", facts(disk("vda", "1", "2", "7"), "vda2=rootfs-a", "vda7=overlay"), wants, "", "vda", "overlay vda7 label, rootfs-a vda2 label", "", ""},
		{"a slot by a label that is there twice", facts(disk("vda", "1", "2"), "vda1=rootfs-a", "vda2=rootfs-a"), wants, "", "", "", "rootfs-a overlay", ""},
		{"a GPT by names, whatever the numbers", facts(disk("vda", "3=rootfs-a", "6=bootstate", "7=overlay"), "vda6=overlay"), wants, "", "vda", "overlay vda7 GPT name, rootfs-a vda3 GPT name", "", ""},
		{"a GPT without the name is not searched by number", facts(disk("vda", "6=bootstate", "7=overlay")), wants, "", "", "", "rootfs-a overlay", ""},
		{"an optional role is missing", facts(disk("vda", "6")), wants, "", "vda", "rootfs-a vda6 number", "overlay", ""},
		{"a role is never taken from a second disk", facts(merge(disk("vda", "6"), disk("vdb", "3")), "vdb3=overlay"), wants, "", "vda", "rootfs-a vda6 number", "overlay", ""},
		{"twins", facts(two()), wants, "", "", "", "rootfs-a overlay", "vda vdb"},
		{"twins, and one is named", facts(two()), wants, "vdb", "vdb", "overlay vdb3 number, rootfs-a vdb6 number", "", ""},
		{"twins, and one table is named", facts(two(), "table-vda=11111111", "table-vdb=abcdef01"), wants, "PTUUID=ABCDEF01", "vdb", "overlay vdb3 number, rootfs-a vdb6 number", "", ""},
		{"a copy has the same table", facts(two(), "table-vda=abcdef01", "table-vdb=abcdef01"), wants, "PTUUID=abcdef01", "", "", "rootfs-a overlay", "vda vdb"},
		{"a bus tells a copy from its original", facts(merge(at("/devices/pci0/mmc_host/mmc0/mmc0:0001", disk("mmcblk0", "6")), at("/devices/pci0/usb1/1-1/host0/target0:0:0/0:0:0:0", disk("sda", "6")))), wants[:1], "usb", "sda", "rootfs-a sda6 number", "", ""},
		{"a removable disk loses", facts(two(), "removable-vda=yes"), wants, "", "vdb", "overlay vdb3 number, rootfs-a vdb6 number", "", ""},
		{"a removable disk that is named wins", facts(two(), "removable-vda=yes"), wants, "vda", "vda", "overlay vda3 number, rootfs-a vda6 number", "", ""},
		{"two removable disks are twins", facts(two(), "removable-vda=yes", "removable-vdb=yes"), wants, "", "", "", "rootfs-a overlay", "vda vdb"},
		{"a removable disk alone is good", facts(disk("vda", "6"), "removable-vda=yes"), wants[:1], "", "vda", "rootfs-a vda6 number", "", ""},
		{"a configured number", facts(disk("vda", "2", "6")), []Want{wantRoot.WithPart("2")}, "", "vda", "rootfs-a vda2 number", "", ""},
		{"a configured number counts on a GPT too", facts(disk("vda", "2=system", "6=x")), []Want{wantRoot.WithPart("2")}, "", "vda", "rootfs-a vda2 number", "", ""},
		{"a configured name", facts(disk("vda", "2=system", "6=rootfs-a")), []Want{wantRoot.WithPart("system")}, "", "vda", "rootfs-a vda2 GPT name", "", ""},
		{"a configured number ends the search by label", facts(disk("vda", "1", "2"), "vda1=overlay"), []Want{wantOverlay.WithPart("2")}, "", "vda", "overlay vda2 number", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Resolve(c.facts, c.wants, SelectorOf(c.by))
			var matches, missing, twins []string
			for role, m := range r.Matches {
				matches = append(matches, role+" "+m.Device.Name+" "+m.By)
			}
			slices.Sort(matches)
			for _, w := range r.Missing {
				missing = append(missing, w.Role)
			}
			for _, d := range r.Twins {
				twins = append(twins, d.Name)
			}
			got := []string{r.Disk, strings.Join(matches, ", "), strings.Join(missing, " "), strings.Join(twins, " ")}
			if d := cmp.Diff([]string{c.disk, c.matches, c.missing, c.twins}, got); d != "" {
				t.Error("disk, matches, missing, twins (-want +got):", d)
			}
		})
	}
}

// Where the devices are on real machines.
func TestBus(t *testing.T) {
	for devpath, want := range map[string]string{
		"/devices/platform/soc/3f202000.mmc/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0":                        "mmc",
		"/devices/pci0000:00/0000:00:02.0/virtio1/block/vda":                                              "virtio",
		"/devices/pci0000:00/0000:00:03.0/nvme/nvme0/nvme0n1":                                             "nvme",
		"/devices/pci0000:00/0000:00:04.0/virtio2/host0/target0:0:0/0:0:0:0/block/sda":                    "scsi",
		"/devices/platform/soc/3f980000.usb/usb1/1-1/1-1.3/1-1.3:1.0/host0/target0:0:0/0:0:0:0/block/sda": "usb",
		"/devices/virtual/block/loop0":                                                                    "",
	} {
		if got := (Device{Devpath: devpath}).Bus(); got != want {
			t.Errorf("the bus of %s is %q, want %q", devpath, got, want)
		}
	}
}

// As blkid prints PTUUID. The bytes are those of sfdisk's tables with
// "label-id: 0x6d696e6f" and, for a GPT, with
// "label-id: 6D696E6F-732D-696E-6974-000000000001".
func TestReadTableID(t *testing.T) {
	mbr := make([]byte, 8192)
	mbr[510], mbr[511] = 0x55, 0xAA
	copy(mbr[440:], "\x6f\x6e\x69\x6d")
	gptAt := func(block int) []byte {
		b := slices.Clone(mbr)
		copy(b[block:], "EFI PART")
		copy(b[block+56:], "\x6f\x6e\x69\x6d\x2d\x73\x6e\x69\x69\x74\x00\x00\x00\x00\x00\x01")
		return b
	}
	for name, c := range map[string]struct {
		disk []byte
		want string
	}{
		"an MBR":              {mbr, "6d696e6f"},
		"a GPT":               {gptAt(512), "6d696e6f-732d-696e-6974-000000000001"},
		"a GPT of 4 KiB":      {gptAt(4096), "6d696e6f-732d-696e-6974-000000000001"},
		"no table":            {make([]byte, 8192), ""},
		"a table without one": {append(append(make([]byte, 510), 0x55, 0xAA), make([]byte, 7680)...), ""},
	} {
		got, err := readTableID(bytes.NewReader(c.disk))
		if got != c.want || err != nil {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
}

func TestInventoryString(t *testing.T) {
	inv := merge(disk("vda", "1", "3=overlay"), disk("sr0"), disk("loop0"))
	if got, want := inv.String(), "sr0 without partitions, vda with partitions 1 3=overlay"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	if got := (Inventory{}).String(); got != "no disk at all" {
		t.Errorf("String() = %q", got)
	}
}
