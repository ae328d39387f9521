package qemu

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// bootSet is a whole set of boot files as a card gets it; change changes it
// first, nil leaves it.
func bootSet(t *testing.T, number int, change func([]File) []File) []File {
	t.Helper()
	files, err := BootSet(number, initramfs(t, "initramfs-shared.cpio.lz4"))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		files = change(files)
	}
	return files
}

// newCardWithSets is a card with sets of boot files beside those at the top.
func newCardWithSets(t *testing.T, sets ...[]File) *Card {
	t.Helper()
	return newCard(t, func(d *Disk) {
		boot := d.Boot.Content.(FAT)
		boot.Files = slices.Concat(append([][]File{boot.Files}, sets...)...)
		d.Boot.Content = boot
	})
}

// starts fails unless the next power-on starts a kernel with this set of boot
// files, and cuts the power then. It returns the console.
func (c *Card) starts(files int) string {
	c.t.Helper()
	return c.PowerOnUntil(fmt.Sprintf(" minos.files=%d rauc.slot=", files))
}

// without leaves a file out of a set.
func without(name string) func([]File) []File {
	return func(files []File) []File {
		return slices.DeleteFunc(slices.Clone(files), func(f File) bool { return f.Name == name })
	}
}

// with puts a file into a set, in place of the one of its name.
func with(name, content string) func([]File) []File {
	return func(files []File) []File { return append(without(name)(files), Text(name, content)) }
}

// script is commands as U-Boot's source takes them.
func script(t *testing.T, commands string) string {
	t.Helper()
	tools(t, "mkimage")
	source := filepath.Join(t.TempDir(), "commands")
	if err := os.WriteFile(source, []byte(commands), 0o644); err != nil {
		t.Fatal(err)
	}
	if output, err := Tool("mkimage", "-A", "arm64", "-T", "script", "-C", "none", "-d", source, source+".scr"); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	content, err := os.ReadFile(source + ".scr")
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// A new set of boot files is tried once, its device tree too, and the old one is
// back without anybody; once it is the current one it stays. A power cut after
// it was noted that it is tried leads to the old one.
func TestUBootTriesBootFilesOnce(t *testing.T) {
	t.Parallel()
	initramfs(t, "modules.cpio.lz4")
	tools(t, "fdtput")
	tree := filepath.Join(t.TempDir(), "tree.dtb")
	shared, err := sharedUBoot()
	if err != nil {
		t.Fatal(err)
	}
	m := Machine{Firmware: shared.firmware, Args: []string{"-machine", "dumpdtb=" + tree}}
	if output, err := Tool(qemuProgram, m.Arguments()...); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	if output, err := Tool("fdtput", "-t", "s", tree, "/", "model", "of the set"); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	withTree := func(files []File) []File {
		return append(slices.Clone(files), File{Name: "boot-2/devicetree.dtb", From: tree})
	}
	card := newCardWithSets(t, bootSet(t, 2, withTree))
	fresh := []string{"BOOT_ORDER=A B", "BOOT_A_LEFT=3", "BOOT_B_LEFT=3", "MACHINE_ID=42"}
	counted := func(left, from int) []string {
		return []string{"BOOT_ORDER=A B", fmt.Sprintf("BOOT_A_LEFT=%d", left), "BOOT_B_LEFT=3", "MACHINE_ID=42",
			fmt.Sprintf("BOOT_A_FROM=%d", from), fmt.Sprintf("BOOT_A_NOW=%d", left)}
	}

	card.SetVariables(append(fresh, "BOOT_FILES_TRY=2")...)
	card.PowerOnUntil("boot.scr: the boot files of boot-2 are tried, once")
	card.has(fresh...)
	card.starts(0)
	card.has(counted(2, 3)...)

	card.SetVariables(append(fresh, "BOOT_FILES_TRY=2")...)
	r := card.boots("A")
	if line := r.Line("Kernel command line: "); !strings.HasSuffix(line, " panic=3 minos.onfail=reboot minos.files=2 rauc.slot=A") {
		t.Errorf("the tried set: the kernel has %q", line)
	}
	if line := r.Line("Machine model: "); !strings.HasSuffix(line, ": of the set") {
		t.Errorf("the tried set: the kernel has %q", line)
	}
	card.has(counted(2, 3)...)
	card.starts(0)
	card.has(counted(1, 3)...)

	card.SetVariables(append(fresh, "BOOT_FILES=2")...)
	for left := 2; left > 0; left-- {
		if console := card.starts(2); strings.Contains(console, "minos.onfail=") {
			t.Error("the current set is started as one on trial")
		}
		card.has(append(counted(left, 3), "BOOT_FILES=2")...)
	}
}

// A set that cannot be started leads to the current one, and that to the files at
// the top, at the same power-on, whatever its script has done to the variables.
func TestUBootBrokenBootFiles(t *testing.T) {
	noInitramfs, noScript := "boot-2/initramfs.cpio.lz4", "boot-2/boot.scr"
	garbage := strings.Repeat("garbage ", 1000)
	for name, broken := range map[string]func([]File) []File{
		"no initramfs":    without(noInitramfs),
		"empty initramfs": with(noInitramfs, ""),
		"no script":       without(noScript),
		"garbage":         with(noScript, garbage),
		"bad CRC": func(files []File) []File {
			i := slices.IndexFunc(files, func(f File) bool { return f.Name == noScript })
			return with(noScript, strings.Replace(files[i].Data, "m_slot", "m_slut", 1))(files)
		},
		"no set":         func([]File) []File { return nil },
		"a syntax error": with(noScript, script(t, "for if\n\"")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			card := newCardWithSets(t, bootSet(t, 1, nil), bootSet(t, 2, broken))
			card.SetVariables("BOOT_ORDER=A B", "BOOT_A_LEFT=3", "BOOT_B_LEFT=3", "BOOT_FILES=1", "BOOT_FILES_TRY=2")
			shows(t, card.starts(1), "boot.scr: the boot files of boot-2 cannot be started; others are")
			card.has("BOOT_ORDER=A B", "BOOT_A_LEFT=2", "BOOT_B_LEFT=3", "BOOT_A_FROM=3", "BOOT_A_NOW=2", "BOOT_FILES=1")
		})
	}
	// Its script runs, can start neither slot, and comes back; both attempts are
	// counted, and one more at the top.
	t.Run("no slot starts", func(t *testing.T) {
		t.Parallel()
		card := newCardWithSets(t, bootSet(t, 1, func(files []File) []File { return append(files, Dir("boot-1/devicetree.dtb")) }))
		card.SetVariables("BOOT_ORDER=A B", "BOOT_A_LEFT=3", "BOOT_B_LEFT=3", "BOOT_FILES_TRY=1")
		shows(t, card.starts(0), "boot.scr: boot-1/devicetree.dtb cannot be loaded from the boot partition",
			"boot.scr: the boot files of boot-1 cannot be started; others are")
		card.has("BOOT_ORDER=A B", "BOOT_A_LEFT=1", "BOOT_B_LEFT=2", "BOOT_A_FROM=3", "BOOT_A_NOW=1", "BOOT_B_FROM=3", "BOOT_B_NOW=2")
	})
	t.Run("both", func(t *testing.T) {
		t.Parallel()
		comesBack := script(t, "m_order= ; m_ano=yes; m_bno=yes; m_counted=yes; m_state= ; m_start= ; m_turn=good; m_dir=none/; setenv BOOT_ORDER B\n")
		card := newCardWithSets(t, bootSet(t, 1, with("boot-1/boot.scr", comesBack)), bootSet(t, 2, without(noScript)))
		card.SetVariables("BOOT_ORDER=A B", "BOOT_A_LEFT=3", "BOOT_B_LEFT=3", "BOOT_FILES=1", "BOOT_FILES_TRY=2")
		r := card.boots("A")
		shows(t, r.Console, "boot.scr: the boot files of boot-2 cannot be started; others are", "boot.scr: the boot files of boot-1 cannot be started; others are")
		if line := r.Line("Kernel command line: "); !strings.HasSuffix(line, " minos.files=0 rauc.slot=A") {
			t.Errorf("the kernel has %q", line)
		}
		card.has("BOOT_ORDER=A B", "BOOT_A_LEFT=2", "BOOT_B_LEFT=3", "BOOT_A_FROM=3", "BOOT_A_NOW=2", "BOOT_FILES=1")
	})
}

// An initramfs that loads and is none ends in the kernel: the attempt is counted,
// and the next one is made with the files from before.
func TestUBootBootFilesThatPanic(t *testing.T) {
	t.Parallel()
	card := newCardWithSets(t, bootSet(t, 1, with("boot-1/initramfs.cpio.lz4", strings.Repeat("garbage ", 1000))))
	card.SetVariables("BOOT_ORDER=A B", "BOOT_A_LEFT=3", "BOOT_B_LEFT=3", "BOOT_FILES_TRY=1")
	r := card.PowerOn()
	if r.Ending != Reset {
		t.Errorf("the machine ended with %s, want a reset", r.Ending)
	}
	shows(t, r.Console, " minos.files=1 rauc.slot=A", "Kernel panic")
	card.starts(0)
	card.has("BOOT_ORDER=A B", "BOOT_A_LEFT=1", "BOOT_B_LEFT=3", "BOOT_A_FROM=3", "BOOT_A_NOW=1")
}

// When no slot has an attempt left, the current boot files may be why: the second
// start in a row is made with those at the top.
func TestUBootExhaustedWithBootFiles(t *testing.T) {
	t.Parallel()
	card := newCardWithSets(t, bootSet(t, 1, nil))
	state := []string{"BOOT_ORDER=A B", "BOOT_A_LEFT=0", "BOOT_B_LEFT=0", "BOOT_FILES=1"}
	card.SetVariables(state...)
	for exhausted, files := range []int{1, 0, 1} {
		// The pause before the third is a minute.
		if exhausted == 2 {
			shows(t, card.PowerOnUntil("slot A once more in 60 s"), "boot.scr: the boot files in /boot-1/")
			break
		}
		card.starts(files)
		card.has(append(state, fmt.Sprintf("BOOT_EXHAUSTED=%d", exhausted+1))...)
	}
}
