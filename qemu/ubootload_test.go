package qemu

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pierrec/lz4/v4"
)

// What cannot be loaded or started leads to the other slot at the same power-on;
// both attempts are counted.
func TestUBootBrokenKernelSlot(t *testing.T) {
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, bytes.Repeat([]byte("no kernel "), 1000), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, broken := range map[string]struct {
		content Content
		says    string
	}{
		"blank":       {nil, "boot.scr: the kernel of slot A cannot be loaded from partition 5"},
		"no kernel":   {KernelSquashFS{Image: garbage}, "boot.scr: slot A cannot be started"},
		"bad modules": {badModules(t), "boot.scr: the kernel modules of slot A cannot be loaded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			card := newCard(t, func(d *Disk) { d.KernelA.Content = broken.content })
			r := card.boots("B")
			shows(t, r.Console, broken.says)
			card.has("BOOT_ORDER=A B", "BOOT_A_LEFT=2", "BOOT_B_LEFT=2", "BOOT_A_FROM=3", "BOOT_A_NOW=2", "BOOT_B_FROM=3", "BOOT_B_NOW=2")
		})
	}
}

// badModules is a kernel slot whose modules are there and cannot be loaded.
func badModules(t *testing.T) Content {
	return SquashFS{Compressor: "lz4", Tree: Tree{}.With(
		File{Name: "Image", Mode: 0o644, From: machines(t).debian.Image}, Dir("modules.cpio.lz4"),
	)}
}

// Without an initramfs nothing starts: both slots get their turn, and the machine
// restarts after a pause. It does not stop, nor run in circles.
func TestUBootWithoutInitramfs(t *testing.T) {
	t.Parallel()
	card := newCard(t, func(d *Disk) {
		boot := d.Boot.Content.(FAT)
		boot.Files = slices.DeleteFunc(slices.Clone(boot.Files), func(f File) bool { return f.Name == "initramfs.cpio.lz4" })
		d.Boot.Content = boot
	})
	r := card.PowerOn()
	if r.Ending != Reset || r.Took < 10*time.Second {
		t.Errorf("the machine ended with %s after %s, want a reset after the pause of 10 s", r.Ending, r.Took)
	}
	shows(t, r.Console, "boot.scr: initramfs.cpio.lz4 cannot be loaded from the boot partition", "boot.scr: nothing could be started; the machine restarts in 10 s")
	card.has("BOOT_ORDER=A B", "BOOT_A_LEFT=2", "BOOT_B_LEFT=2", "BOOT_A_FROM=3", "BOOT_A_NOW=2", "BOOT_B_FROM=3", "BOOT_B_NOW=2")
}

// What the firmware put into the device tree comes first on the kernel's command
// line, as on a Raspberry Pi, then the script's words, then the user's. A uEnv.txt
// with the line ends of Windows is read, and nothing else of it.
func TestUBootCommandLine(t *testing.T) {
	t.Parallel()
	tools(t, "fdtput")
	card := newCard(t, func(d *Disk) {
		boot := d.Boot.Content.(FAT)
		boot.Files = append(slices.Clone(boot.Files), Text("uEnv.txt", "# mine\r\nkernel_addr_r=0\r\nextraargs=mine=1 rauc.slot=B stub.do="+readSlot+"\r\n"))
		d.Boot.Content = boot
	})
	tree := filepath.Join(t.TempDir(), "tree.dtb")
	m := card.machine()
	m.Args = []string{"-machine", "dumpdtb=" + tree}
	output, err := Tool(qemuProgram, m.Arguments()...)
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	if output, err := Tool("fdtput", "-t", "s", tree, "/chosen", "bootargs", "console=ttyAMA0 firmware=1"); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	card.Args = []string{"-dtb", tree}
	r := card.boots("A")
	const want = ": console=ttyAMA0 firmware=1 minos.disk=virtio mine=1 rauc.slot=B stub.do=" + readSlot + " minos.files=0 rauc.slot=A"
	if line := r.Line("Kernel command line: "); !strings.HasSuffix(line, want) {
		t.Errorf("the kernel has %q, want %q at its end", line, want)
	}
}

// An initramfs that somebody else made may have any length: the modules begin
// where the kernel looks for them.
func TestUBootAlignsTheModules(t *testing.T) {
	plain := unpacked(t, "initramfs-shared.cpio.lz4")
	for name, content := range map[string][]byte{
		"lz4":  unaligned(t, plain),
		"cpio": append(slices.Clone(plain), 0),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			card := newCard(t, func(d *Disk) {
				boot := d.Boot.Content.(FAT)
				boot.Files = append(slices.Clone(boot.Files), Text("initramfs.cpio.lz4", string(content)))
				d.Boot.Content = boot
			})
			if report := card.boots("A").handedOver(t); !slices.Contains(report.Modules, "virtio_blk") {
				t.Errorf("boot.json has the modules %q, want the slot's virtio_blk among them", report.Modules)
			}
		})
	}
}

// unaligned compresses an archive to a length that is no multiple of four.
func unaligned(t *testing.T, plain []byte) []byte {
	t.Helper()
	for len(plain) < 1<<26 {
		var packed bytes.Buffer
		w := lz4.NewWriter(&packed)
		if err := w.Apply(lz4.LegacyOption(true)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if packed.Len()%4 != 0 {
			return packed.Bytes()
		}
		plain = append(plain, make([]byte, 256)...)
	}
	t.Fatal("every length is aligned")
	return nil
}
