package qemu

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// PiFirmware does with a card what the firmware of a Raspberry Pi does: it
// finds the partition to start, loads what config.txt there names, and tells
// Linux in the device tree what it did (raspberrypi.com, computers/config_txt
// and computers/configuration). QEMU starts from there.
type PiFirmware struct {
	Card  TrybootDisk // where partitions lie on the image
	Image string
	Dir   string // for what is loaded
	// Inert is a board on which the flag of a trial has no effect, as it is told
	// of the Zero 2 W.
	Inert bool
	// Silent is a board that tells of partition 0 where nobody gave a number.
	Silent bool
}

// PiStart is what the firmware starts.
type PiStart struct {
	Partition  int    // from 1
	Tryboot    bool   // the flag of a trial, as Linux is told of it
	DeviceTree string // a file
	Machine    Machine
}

// wish is what a restart's argument asks of the firmware.
type wish struct {
	partition int // 0 for none
	tryboot   bool
}

// readWish takes the argument apart as the kernel's driver for the firmware
// does: a number in front, and the word tryboot behind a blank.
func readWish(argument string) (r wish) {
	number, _, _ := strings.Cut(argument, " ")
	r.partition, _ = strconv.Atoi(number) // no number asks for no partition
	r.tryboot = strings.HasSuffix(argument, " tryboot")
	return r
}

// autobootFile is what counts of autoboot.txt.
type autobootFile struct {
	partition int
	ab        bool
}

// readAutoboot reads the file line by line, the sections that hold among them.
func readAutoboot(text string, tryboot bool) (f autobootFile) {
	holds := true
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "[all]":
			holds = true
		case "[tryboot]":
			holds = tryboot
		case "boot_partition":
			if n, err := strconv.Atoi(value); err == nil && holds {
				f.partition = n
			}
		case "tryboot_a_b":
			f.ab = holds && value == "1" || f.ab && !holds
		default:
			holds = holds && !strings.HasPrefix(key, "[")
		}
	}
	return f
}

// choose finds the partition to start, and the name of its configuration.
// bootable tells whether a partition has the file.
func (f PiFirmware) choose(autoboot string, r wish, bootable func(partition int, config string) bool) (partition int, config string, err error) {
	file := readAutoboot(autoboot, r.tryboot)
	config = "config.txt"
	if r.tryboot && !file.ab {
		config = "tryboot.txt"
	}
	wanted := r.partition
	if wanted == 0 {
		wanted = file.partition
	}
	if wanted > 0 && bootable(wanted, config) {
		return wanted, config, nil
	}
	// It takes the first one that it can start.
	for n := range len(f.Card.Ranges()) {
		if bootable(n+1, config) {
			return n + 1, config, nil
		}
	}
	return 0, "", fmt.Errorf("cannot start %s: partition %d has no %s, and no other one has", f.Image, wanted, config)
}

// Start does all that comes before Linux, after a restart with that argument;
// "" for a plain one, and for the power coming on.
func (f PiFirmware) Start(argument string) (PiStart, error) {
	common, err := f.read(1, "autoboot.txt")
	if err != nil {
		common = nil // a card need not have one
	}
	r := readWish(argument)
	if f.Inert {
		r.tryboot = false
	}
	partition, config, err := f.choose(string(common), r, func(n int, name string) bool {
		_, err := f.read(n, name)
		return err == nil
	})
	if err != nil {
		return PiStart{}, err
	}
	start := PiStart{Partition: partition, Tryboot: r.tryboot, DeviceTree: filepath.Join(f.Dir, "devicetree.dtb")}
	if start.Machine, err = f.load(partition, config); err != nil {
		return PiStart{}, err
	}
	told := partition
	if f.Silent && r.partition == 0 {
		told = 0
	}
	if err := writeDeviceTree(start.DeviceTree, start.Machine, told, start.Tryboot); err != nil {
		return PiStart{}, fmt.Errorf("cannot make the device tree: %w", err)
	}
	start.Machine.Args = append(start.Machine.Args, "-dtb", start.DeviceTree)
	return start, nil
}

// load takes what the configuration names from a boot partition.
func (f PiFirmware) load(partition int, config string) (Machine, error) {
	text, err := f.read(partition, config)
	if err != nil {
		return Machine{}, err
	}
	m := Machine{Drives: []Drive{{File: f.Image, Keep: true}}}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "kernel="); ok {
			m.Kernel, err = f.fetch(partition, name)
		} else if rest, ok := strings.CutPrefix(line, "initramfs "); ok {
			name, _, _ := strings.Cut(rest, " ")
			m.Initramfs, err = f.fetch(partition, name)
		}
		if err != nil {
			return Machine{}, err
		}
	}
	words, err := f.read(partition, "cmdline.txt")
	if err != nil {
		return Machine{}, err
	}
	m.Append = strings.Fields(string(words))
	return m, nil
}

// read is a file of a partition that has a FAT.
func (f PiFirmware) read(partition int, name string) ([]byte, error) {
	r, err := f.numbered(partition)
	if err != nil {
		return nil, err
	}
	data, err := Tool("mtype", "-i", r.mtools(f.Image), "::"+name)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s of partition %d: %w: %s", name, partition, err, data)
	}
	return data, nil
}

// fetch copies a file of a partition to where QEMU finds it.
func (f PiFirmware) fetch(partition int, name string) (string, error) {
	r, err := f.numbered(partition)
	if err != nil {
		return "", err
	}
	file := filepath.Join(f.Dir, name)
	if err := run(nil, "mcopy", "-n", "-o", "-i", r.mtools(f.Image), "::"+name, file); err != nil {
		return "", fmt.Errorf("cannot load %s of partition %d: %w", name, partition, err)
	}
	return file, nil
}

func (f PiFirmware) numbered(partition int) (Range, error) {
	ranges := f.Card.Ranges()
	if partition < 1 || partition > len(ranges) {
		return Range{}, fmt.Errorf("cannot find partition %d of %s", partition, f.Image)
	}
	return ranges[partition-1], nil
}

// writeDeviceTree makes the tree of QEMU's machine with what the firmware adds.
// QEMU's own seeds are numbers that a file keeps: with them every boot would
// draw the same random numbers.
func writeDeviceTree(file string, m Machine, partition int, tryboot bool) error {
	hardware := m.hardware()
	hardware[1] += ",dumpdtb=" + file // of -machine
	if err := run(nil, qemuProgram, hardware...); err != nil {
		return err
	}
	flag := "0"
	if tryboot {
		flag = "1"
	}
	for _, change := range [][]string{
		{"-c", file, "/chosen/bootloader"},
		{"-t", "u", file, "/chosen/bootloader", "partition", strconv.Itoa(partition)},
		{"-t", "u", file, "/chosen/bootloader", "tryboot", flag},
		{"-d", file, "/chosen", "rng-seed"},
		{"-d", file, "/chosen", "kaslr-seed"},
	} {
		if err := run(nil, "fdtput", change...); err != nil {
			return err
		}
	}
	return os.Chmod(file, 0o644)
}

var restarting = regexp.MustCompile(`reboot: Restarting system(?: with command '([^']*)')?`)

// RestartArgument is what the kernel said of its restart on the console: its
// argument, "" for none. ok is false when it did not restart.
func RestartArgument(console string) (argument string, ok bool) {
	said := restarting.FindStringSubmatch(console)
	if said == nil {
		return "", false
	}
	return said[1], true
}
