package qemu

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// bootDisk writes a disk with nothing but a boot partition and a boot state.
func bootDisk(t *testing.T) (disk Disk, image string) {
	t.Helper()
	tools(t, "sfdisk", "mcopy", "mkfs.vfat", "mkenvimage", "fw_setenv")
	disk = Disk{
		ID:        1,
		Boot:      Partition{MiB: minFAT / mib, Content: FAT{Label: "bootfs", Files: []File{Text("mine.txt", "mine"), Text("uEnv.txt", "old")}}},
		BootState: Partition{MiB: 8, Content: append(FreshEnvironment("A", "B"), "MACHINE_ID=42")},
	}
	image = filepath.Join(t.TempDir(), "disk.img")
	if err := disk.Write(image); err != nil {
		t.Fatal(err)
	}
	return disk, image
}

func TestPutBootFiles(t *testing.T) {
	disk, image := bootDisk(t)
	if err := disk.PutBootFiles(image, []File{Text("uEnv.txt", "new"), Text("boot.scr", "script"), Dir("config"), Text("config/mine", "1"), Dir("config")}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"mine.txt": "mine", "uEnv.txt": "new", "boot.scr": "script", "config/mine": "1"} {
		got, err := Tool("mtype", "-i", fmt.Sprintf("%s@@%d", image, disk.Ranges()[0].Start), "::"+name)
		if err != nil || string(got) != want {
			t.Errorf("%s: %v, %q, want %q", name, err, got, want)
		}
	}
}

func TestStartsSet(t *testing.T) {
	disk, image := bootDisk(t)
	card := Card{t: t, image: image, disk: disk}
	for variables, want := range map[string]string{
		"A=": "", "BOOT_FILES=1": "boot-1", "BOOT_FILES=2 BOOT_FILES_TRY=1": "boot-1", "BOOT_FILES_TRY=2": "boot-2", "BOOT_FILES=x": "",
	} {
		card.SetVariables(strings.Fields(variables)...)
		if got, err := disk.StartsSet(image); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", variables, got, err, want)
		}
	}
	card.Put("bootstate", atPrimary, make([]byte, environmentSize))
	if got, err := disk.StartsSet(image); err != nil || got != "" {
		t.Errorf("without an environment: %q, %v", got, err)
	}
}

func TestMakeFirst(t *testing.T) {
	disk, image := bootDisk(t)
	for _, test := range []struct{ slot, order string }{{"B", "B A"}, {"A", "A B"}} {
		if err := disk.MakeFirst(test.slot, image); err != nil {
			t.Fatal(err)
		}
		card := Card{t: t, image: image, disk: disk}
		want := []string{"BOOT_A_LEFT=3", "BOOT_B_LEFT=3", "BOOT_ORDER=" + test.order, "MACHINE_ID=42"}
		if diff := cmp.Diff(want, card.Variables(atPrimary)); diff != "" {
			t.Errorf("slot %s first (-want +got):\n%s", test.slot, diff)
		}
	}
	card := Card{t: t, image: image, disk: disk}
	card.Put("bootstate", atPrimary, make([]byte, environmentSize))
	if err := disk.MakeFirst("B", image); err == nil || !strings.Contains(err.Error(), "cannot make slot B the first of the boot state") {
		t.Errorf("without an environment: %v", err)
	}
}

// The script that is on the card is the source, with U-Boot's header.
func TestBootScript(t *testing.T) {
	tools(t, "mkimage")
	script, err := BootScript()
	if err != nil {
		t.Fatal(err)
	}
	again, err := BootScript()
	if err != nil || !slices.Equal(script, again) {
		t.Errorf("%v; made twice, it differs", err)
	}
	if !strings.HasSuffix(strings.TrimRight(string(script), "\x00"), bootCommands) {
		t.Error("the script does not hold boot.cmd")
	}
}

// A boot state has its shadow where U-Boot's script and init look for it.
func TestBootState(t *testing.T) {
	tools(t, "mkenvimage")
	one, two := Environment{"BOOT_ORDER=A B"}, Environment{"BOOT_ORDER=B A"}
	for name, test := range map[string]struct {
		state  BootState
		size   int
		shadow []string
	}{
		"without a shadow": {BootState{Primary: one}, environmentSize, nil},
		"with another":     {BootState{Primary: one, Shadow: two}, atShadow + environmentSize, two},
	} {
		file := filepath.Join(t.TempDir(), "bootstate")
		if err := test.state.Make(file, 8*mib); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(file)
		if err != nil || len(content) != test.size {
			t.Fatalf("%s: %d bytes, %v; want %d", name, len(content), err, test.size)
		}
		if !bytes.Equal(content[:environmentSize], environmentBytes(t, one...)) {
			t.Errorf("%s: it does not begin with the environment", name)
		}
		if test.shadow != nil && !bytes.Equal(content[atShadow:], environmentBytes(t, test.shadow...)) {
			t.Errorf("%s: the shadow is not at %#x", name, atShadow)
		}
	}
}
