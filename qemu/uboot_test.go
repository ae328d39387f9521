package qemu

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Where the parts of the boot state lie, in bytes from its start.
const (
	atPrimary = 0
	atShadow  = 0x400000
	atTorn    = 0x700000
)

// ubootSuite is what the tests that boot through U-Boot share.
type ubootSuite struct {
	firmware string // U-Boot
	kernel   string // content of a kernel slot
}

var sharedUBoot = sync.OnceValues(func() (ubootSuite, error) {
	cache, err := UserCache(NewProgress(os.Stderr))
	if err != nil {
		return ubootSuite{}, err
	}
	debian, err := cache.Debian()
	if err != nil {
		return ubootSuite{}, err
	}
	firmware, err := cache.UBoot()
	if err != nil {
		return ubootSuite{}, err
	}
	kernel, err := cache.KernelSlot(debian.Image, filepath.Join(initramfsDirectory(), "modules.cpio.lz4"))
	return ubootSuite{firmware, kernel}, err
})

// Card is a disk that a story boots again and again: through U-Boot, which picks
// the slot, or by a loader that knows of no slots, so that init picks it.
type Card struct {
	t        *testing.T
	image    string
	disk     Disk
	firmware string // U-Boot; "" for the loader
	words    []string
	// Args are further arguments of QEMU.
	Args []string
}

// readSlot is what the stub of a card does: it says whose root it is.
const readSlot = "read:/etc/minos-slot"

// cardWords are the kernel command line of a card, but for its slot.
func cardWords() []string { return []string{"panic=-1", "stub.do=" + readSlot} }

// newCard makes a card with the stub in both slots. change changes its recipe
// before it is written; nil leaves it. A failed boot restarts at once.
func newCard(t *testing.T, change func(*Disk)) *Card {
	t.Helper()
	stub := machines(t).stub
	tools(t, "fw_printenv", "mkenvimage", "mkimage")
	initramfs(t, "modules.cpio.lz4")
	shared, err := sharedUBoot()
	if err != nil {
		t.Fatal(err)
	}
	files, err := BootFiles(initramfs(t, "initramfs-shared.cpio.lz4"), cardWords()...)
	if err != nil {
		t.Fatal(err)
	}
	card := &Card{t: t, image: filepath.Join(t.TempDir(), "card.img"), firmware: shared.firmware, words: cardWords()}
	card.disk = StubDisk(stub).WithBoot(Copy{File: shared.kernel}, files)
	if change != nil {
		change(&card.disk)
	}
	if err := card.disk.Write(card.image); err != nil {
		t.Fatal(err)
	}
	return card
}

// PowerOn runs the machine to its end: the stub switches it off, a failed boot
// resets it.
func (c *Card) PowerOn() Result {
	c.t.Helper()
	return runMachine(c.t, c.machine(), nil, stubDeadline)
}

// PowerOnUntil runs the machine until the console shows a text, and then cuts
// the power. It returns the console.
func (c *Card) PowerOnUntil(text string) string {
	c.t.Helper()
	vm := start(c.t, c.machine())
	if err := vm.Expect(text, stubDeadline); err != nil {
		c.t.Fatal(err)
	}
	if err := vm.kill(); err != nil {
		c.t.Fatal(err)
	}
	return vm.Console()
}

func (c *Card) machine() Machine {
	m := Machine{Firmware: c.firmware, Drives: []Drive{{File: c.image, Keep: true}}, Args: c.Args}
	if c.firmware == "" {
		m.Kernel, m.Initramfs, m.Append = machines(c.t).debian.Image, initramfs(c.t, "initramfs.cpio.lz4"), c.words
	}
	return m
}

// boots fails unless the next power-on ends in the stub of this slot.
func (c *Card) boots(slot string) Result {
	c.t.Helper()
	r := c.PowerOn()
	source := "rauc.slot="
	if c.firmware == "" {
		source = "boot state"
	}
	if report := r.handedOver(c.t); report.Choice.Value != slot || report.Choice.Source != source {
		c.t.Errorf("boot.json says the choice %+v, want slot %s by %s", report.Choice, slot, source)
	}
	r.did(c.t, fmt.Sprintf(`%s "%s\n"`, readSlot, slot))
	return r
}

func (c *Card) partition(name string) Range {
	c.t.Helper()
	ranges := c.disk.Ranges()
	i := slices.IndexFunc(ranges, func(r Range) bool { return r.Name == name })
	if i < 0 {
		c.t.Fatalf("the card has no partition %s", name)
	}
	return ranges[i]
}

// Put writes bytes into a partition.
func (c *Card) Put(partition string, offset int64, data []byte) {
	c.t.Helper()
	f, err := os.OpenFile(c.image, os.O_RDWR, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(data, c.partition(partition).Start+offset); err != nil {
		c.t.Fatal(err)
	}
}

// State returns bytes of the boot state.
func (c *Card) State(offset int64, size int) []byte {
	c.t.Helper()
	f, err := os.Open(c.image)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	data := make([]byte, size)
	if _, err := f.ReadAt(data, c.partition("bootstate").Start+offset); err != nil {
		c.t.Fatal(err)
	}
	return data
}

// SetVariables makes an environment with these variables the boot state, with
// no shadow.
func (c *Card) SetVariables(variables ...string) {
	c.t.Helper()
	c.Put("bootstate", atPrimary, environmentBytes(c.t, variables...))
	c.Put("bootstate", atShadow, make([]byte, environmentSize))
}

// environmentBytes is an environment as mkenvimage makes it.
func environmentBytes(t *testing.T, variables ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "environment")
	if err := Environment(variables).Make(file, 0); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Variables is the environment at an offset of the boot state, sorted, as
// libubootenv reads it; nil when it finds none.
func (c *Card) Variables(offset int64) []string {
	c.t.Helper()
	return c.VariablesIn(offset, environmentSize)
}

// VariablesIn is Variables of an environment of another size.
func (c *Card) VariablesIn(offset, size int64) []string {
	c.t.Helper()
	config := filepath.Join(c.t.TempDir(), "fw_env.config")
	line := fmt.Sprintf("%s %#x %#x\n", c.image, c.partition("bootstate").Start+offset, size)
	if err := os.WriteFile(config, []byte(line), 0o644); err != nil {
		c.t.Fatal(err)
	}
	output, err := Tool("fw_printenv", "-c", config)
	if err != nil {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(string(output), "\n"), "\n")
	slices.Sort(lines)
	return lines
}

// has fails unless the environment holds exactly these variables, and the shadow
// the same bytes, as is the case after each boot that was counted.
func (c *Card) has(variables ...string) {
	c.t.Helper()
	slices.Sort(variables)
	if diff := cmp.Diff(variables, c.Variables(atPrimary)); diff != "" {
		c.t.Errorf("the environment (-want +got):\n%s", diff)
	}
	if !bytes.Equal(c.State(atPrimary, environmentSize), c.State(atShadow, environmentSize)) {
		c.t.Errorf("the shadow differs from the environment; it holds %q", c.Variables(atShadow))
	}
}

// A fresh card boots A, with the kernel modules of the slot behind the shared
// initramfs, and each boot takes one attempt.
func TestUBootFreshCard(t *testing.T) {
	for _, table := range []string{"MBR", "GPT"} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			card := newCard(t, func(d *Disk) { d.GPT = table == "GPT" })
			r := card.boots("A")
			report := r.handedOver(t)
			if report.Degraded || !slices.Contains(report.Modules, "virtio_blk") {
				t.Errorf("boot.json says degraded %q and the modules %q, want the slot's virtio_blk among them", report.DegradedReasons, report.Modules)
			}
			if line := r.Line("Kernel command line: "); !strings.HasSuffix(line, ": console=ttyAMA0 minos.disk=virtio panic=-1 stub.do="+readSlot+" minos.files=0 rauc.slot=A") {
				t.Errorf("the kernel has %q", line)
			}
			card.has("BOOT_ORDER=A B", "BOOT_A_LEFT=2", "BOOT_B_LEFT=3", "BOOT_A_FROM=3", "BOOT_A_NOW=2")
			if !bytes.Equal(card.State(atTorn, environmentSize), make([]byte, environmentSize)) {
				t.Error("something was kept as torn")
			}
			card.boots("A")
			card.has("BOOT_ORDER=A B", "BOOT_A_LEFT=1", "BOOT_B_LEFT=3", "BOOT_A_FROM=3", "BOOT_A_NOW=1")
		})
	}
}

// Layouts 1.7, statement 13: three attempts of a slot fail, and the other boots,
// with no human.
func TestStatement1_7_13_ThreeFailuresLeadToTheOtherSlot(t *testing.T) {
	t.Parallel()
	card := newCard(t, func(d *Disk) {
		root := d.RootFSA.Content.(Ext4)
		root.Tree = root.Tree.Without("sbin/init")
		d.RootFSA.Content = root
	})
	for left := 2; left >= 0; left-- {
		card.PowerOn().failed(t, "init", "/sbin/init")
		card.has("BOOT_ORDER=A B", fmt.Sprintf("BOOT_A_LEFT=%d", left), "BOOT_B_LEFT=3", "BOOT_A_FROM=3", fmt.Sprintf("BOOT_A_NOW=%d", left))
	}
	card.boots("B")
	card.has("BOOT_ORDER=A B", "BOOT_A_LEFT=0", "BOOT_B_LEFT=2", "BOOT_A_FROM=3", "BOOT_A_NOW=0", "BOOT_B_FROM=3", "BOOT_B_NOW=2")
}

// A slot that hangs, until somebody or a watchdog cuts it off, is no different.
func TestUBootThreeHangsLeadToTheOtherSlot(t *testing.T) {
	t.Parallel()
	card := newCard(t, nil)
	for range 3 {
		if console := card.PowerOnUntil("Starting kernel"); strings.Contains(console, "boot.scr: slot B") {
			t.Fatal("slot B started too early")
		}
	}
	card.boots("B")
	card.has("BOOT_ORDER=A B", "BOOT_A_LEFT=0", "BOOT_B_LEFT=2", "BOOT_A_FROM=3", "BOOT_A_NOW=0", "BOOT_B_FROM=3", "BOOT_B_NOW=2")
}

// Counters are hexadecimal, and what is no number is no attempt.
func TestUBootCounters(t *testing.T) {
	for left, want := range map[string]struct{ slot, a, b, from, now string }{
		"a":  {"A", "9", "3", "a", "9"},
		"10": {"A", "f", "3", "10", "f"},
		"zz": {"B", "zz", "2", "3", "2"},
		"-1": {"B", "-1", "2", "3", "2"},
	} {
		t.Run(left, func(t *testing.T) {
			t.Parallel()
			card := newCard(t, nil)
			card.SetVariables("BOOT_ORDER=A B", "BOOT_A_LEFT="+left, "BOOT_B_LEFT=3")
			card.PowerOnUntil("Starting kernel")
			card.has("BOOT_ORDER=A B", "BOOT_A_LEFT="+want.a, "BOOT_B_LEFT="+want.b, "BOOT_"+want.slot+"_FROM="+want.from, "BOOT_"+want.slot+"_NOW="+want.now)
		})
	}
}

// sorted is a map's variables as fw_printenv would print them.
func sorted(variables map[string]string) (list []string) {
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		list = append(list, name+"="+variables[name])
	}
	return list
}

// Every variable of others comes through U-Boot's hands, none of U-Boot's gets
// in, and what it wrote is to the byte what mkenvimage makes of the same.
func TestUBootKeepsVariablesOfOthers(t *testing.T) {
	t.Parallel()
	variables := map[string]string{
		"BOOT_ORDER": "C A B", "BOOT_A_LEFT": "3", "BOOT_B_LEFT": "3", "BOOT_GOOD": "B",
		"MACHINE_ID": "0123456789abcdef0123456789abcdef", "equal": "a=b=c", "spaces": "  two  words ",
		"shell": `$(reset); "x" 'y' ${devtype} && reset # no`, "utf8": "Zürich", "bootcmd": "echo theirs", "filesize": "123",
		"ramdisk_addr_r": "0", "long": strings.Repeat("0123456789", 300),
	}
	card := newCard(t, nil)
	card.SetVariables(sorted(variables)...)
	r := card.boots("A")
	shows(t, r.Console, "boot.scr: BOOT_ORDER names the unknown slot C, ignoring: that name")
	variables["BOOT_A_LEFT"], variables["BOOT_A_FROM"], variables["BOOT_A_NOW"] = "2", "3", "2"
	card.has(sorted(variables)...)

	// U-Boot fills with zeros, and mkenvimage with what -p says.
	file := filepath.Join(t.TempDir(), "environment")
	cmd, err := command("mkenvimage", "-p", "0", "-s", fmt.Sprint(environmentSize), "-o", file, "-")
	if err != nil {
		t.Fatal(err)
	}
	if err := runCommand(cmd, strings.NewReader(strings.Join(sorted(variables), "\n")+"\n")); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(want, card.State(atPrimary, environmentSize)) {
		t.Errorf("%v; U-Boot's bytes differ from mkenvimage's", err)
	}
}

// An environment that has no room for the attempt stays as it is.
func TestUBootFullEnvironment(t *testing.T) {
	t.Parallel()
	card := newCard(t, nil)
	card.SetVariables("BOOT_ORDER=A B", "BOOT_A_LEFT=3", "BOOT_B_LEFT=3", "full="+strings.Repeat("x", environmentSize-60))
	before := card.State(atPrimary, 8*mib)
	shows(t, card.PowerOnUntil("Starting kernel"), "boot.scr: the environment is full; this attempt is not counted")
	if !bytes.Equal(before, card.State(atPrimary, 8*mib)) {
		t.Error("the boot state was written")
	}
}
