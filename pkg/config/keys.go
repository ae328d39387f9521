package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ownPrefix begins every key that nobody else may define.
const ownPrefix = "minos."

// Key describes one word that init understands.
type Key struct {
	// Name is the key. A part in capitals at its end stands for any name.
	Name    string
	Values  string // what may be behind the =, for people
	Default string // what holds without the word, for people
	Help    string // one line

	set func(c *Config, part string, w Word) error
}

// Keys is the table of all words that init understands. Parse, CheckFile and
// the test of docs/cmdline.md read it.
func Keys() []Key {
	return []Key{
		{"minos.layout", "NAME", DefaultLayout, "how the system lies on its disk", setLayout},
		{"minos.disk", "NAME, PTUUID=ID, mmc, usb, nvme, virtio, scsi", "the one disk that has what the layout requires", "the boot disk, by its name, the identity of its partition table, or its bus", setDisk},
		{"minos.timeout", "1..3600", "the layout's own", "seconds to wait for the boot disk and all that the layout requires on it", setTimeout},
		{"minos.overlay", "keep, reset, volatile", string(Keep), "what becomes of the changes that earlier boots made to the root", setOverlay},
		{"minos.volatile-size", "PERCENT% or NUMBER with k, m or g", "25%", "how much of the memory a writable layer that is in memory may take", setVolatileSize},
		{"minos.onfail", "reboot, halt, poweroff, shell", "not given: panic= decides, then a reboot", "what to do when the boot has failed", setOnFail},
		{"minos.part.ROLE", "NAME or NUMBER or none", "the layout's own names and numbers", "the partition that has a role, by its GPT name or its number", setPart},
		{"minos.bootstate", "OFFSET,SIZE or OFFSET,SIZE,OFFSET", "0,0x4000", "where the U-Boot environment lies on the boot state partition, in bytes, and its second copy", setBootState},
		{"minos.images", "NAME, or several with commas", "root-squashfs.img,root-squash.img", "the names that the current image may have, the first that is there counts", setImages},
		{"minos.image-old", "infix, suffix", string(Infix), "where the name of the image before has its -old", setImageOld},
		{"minos.newimg", "any, wait, any,wait", "not given", "how a new image is taken: from a removable disk also without checksum; from one that is slow", setNewImage},
		{"minos.tryboot", "flag, selector", string(TrybootFlag), "how the firmware of a Raspberry Pi is asked to start the other slot once", setTrybootRequest},
		{"minos.tryboot-parts", "COMMON,BOOT-A,BOOT-B,ROOT-A,ROOT-B,SHARED", "1,2,3,4,5,6", "the numbers of the partitions of the layout tryboot", setTrybootParts},
		{"minos.profile", "ID, sd:ID, internal:ID, none", "the only profile there is", "of the layout profiles: the profile that starts where no other is asked for", leaveToLayout},
		{"minos.profiles-label", "LABEL or LABEL,LABEL", "flipperos,flipperos-sd", "of the layout profiles: the labels of the device's btrfs and of the card's", setProfilesLabel},
		{"minos.profiles-data", "PATH, none", "/data", "of the layout profiles: where @data is in the new root", setProfilesData},
		{"minos.redirect-dir", "on, off", "off", "of the layout profiles: directories of a base can be renamed, for profiles that never change their base", setRedirectDir},
		{"flipper.profile", "ID, sd:ID, internal:ID, none", "not given: minos.profile= decides", "of the layout profiles: the profile that starts", leaveToLayout},
		{"flipper.base", "VERSION", "not given: the profile's pin decides", "of the layout profiles: the base that it starts over", leaveToLayout},
		{"ro", "none", "not given", "hand the root over read-only: the kernel's word, which not every layout looks at", setReadOnly},
		{"rw", "none", "not given", "take back ro", setReadOnly},
		{"minos.files", "0, 1, 2", "not given", "the set of boot files that the bootloader started: for minosctl, init does not look at it", setFiles},
		{"minos.grow", "now, later", "later", "when the filesystem of the data partition gets the space that the partition has", setGrow},
		{"minos.build", "LABEL", "none", "the label of this image build, which a wish that destroys data has to name", setBuild},
		{"minos.format-data", "LABEL", "not given", "the build, as minos.build= has it, for which a stale data partition is formatted", setFormatData},
		{"minos.inbox", "SOURCE:TARGET, SOURCE:TARGET:POLICY, SOURCE:TARGET:POLICY:MODE, none", "config/wpa_supplicant.conf:config/wifi/wpa_supplicant.conf:if-absent:0600", "what of the boot partition is taken over to the data partition, and how", setInbox},
		{"minos.data-dirs", "PATH or PATH,PATH", "none", "directories that are made on the data partition where they are missing", setDataDirs},
		{"minos.break", "early, disk, layout, handover", "none", "stages at which a debug image opens a shell", setBreak},
		{"minos.timestamps", "0, 1", "1", "tell systemd when init began, for systemd-analyze", setTimestamps},
		{"minos.watchdog", "auto, keep, off", string(WatchdogAuto), "whether the machine's watchdog looks after the boot, and runs on after it", setWatchdog},
		{"fsck.mode", "auto, force, skip", string(FsckAuto), "when the data and the overlay partition are checked before they are mounted", setFsckMode},
		{"fsck.repair", "preen, yes, no", string(FsckPreen), "what such a check may change", setFsckRepair},
		{"rauc.slot", "A, B", "not given", "the slot that the bootloader picked", setSlot},
		{"kn86.slot", "A, B", "not given", "the slot, where the firmware does not tell what it started", setKN86Slot},
		{"init", "an absolute PATH", "/sbin/init, /etc/init, /bin/init", "the program of the new root to hand over to", setInit},
		{"panic", "SECONDS", "not given", "the kernel's time from a panic to the reboot, which a failed boot respects", setPanic},
		{"root", "any", "not given", "what the bootloader takes for the root: reported, not obeyed", setRoot},
		{"systemd.machine_id", "ID, firmware", "the id on /data", "the machine-id, which systemd takes before any other", setMachineID},
		{"from", "PATH, /dev/NAME/PATH, /dev/disk/by-label/LABEL/PATH", "minios", "of the layout modules: the directory of the set, or an .iso that has it", leaveToLayout},
		{"load", "PATTERN", "not given", "of the layout modules: the modules that are taken, by their names", leaveToLayout},
		{"noload", "PATTERN", "not given", "of the layout modules: the modules that are left out, by their names", leaveToLayout},
		{"toram", "none, full, trim", "not given", "of the layout modules: the set is copied to memory, and its medium is let go", leaveToLayout},
		{"bext", "ENDING", "sb", "of the layout modules: how the names of modules end", leaveToLayout},
		{"perch", "none, askdisk, or DEVICE:PATH", "not given", "of the layout modules: what is written is kept, in the default session", leaveToLayout},
		{"perchdir", "resume, new, ask, NUMBER, askdisk, askdisk:PATH, /PATH, /dev/NAME/PATH, /dev/disk/by-label/LABEL/PATH, label:LABEL/PATH", "not given", "of the layout modules: the session, or where the sessions are", leaveToLayout},
		{"perchmode", "native, raw, luks", "native, and raw on a FAT", "of the layout modules: how a session keeps what is written", leaveToLayout},
		{"perchsize", "SIZE", "4000, as far as there is room", "of the layout modules: the size of a session in an image, in MiB or with a unit", leaveToLayout},
		{"minos.session-key", "/dev/NAME/PATH, /dev/disk/by-label/LABEL/PATH", "not given: it is typed", "of the layout modules: the file with the key of an encrypted session", leaveToLayout},
		{"perchreserve", "SIZE", "256", "of the layout modules: what an image leaves free, in MiB or with a unit", leaveToLayout},
		{"rd.break", "none, or a stage of dracut", "not given", "dracut's word for minos.break=", setDracutBreak},
	}
}

// match tells whether a word has this key, and what stands for the part in
// capitals.
func (k Key) match(key string) (part string, ok bool) {
	if prefix, variable := k.prefix(); variable {
		return strings.CutPrefix(key, prefix)
	}
	return "", key == k.Name
}

// prefix is the fixed part of a name that ends with one in capitals.
func (k Key) prefix() (prefix string, variable bool) {
	dot := strings.LastIndexByte(k.Name, '.') + 1
	// No name has a capital in another place.
	return k.Name[:dot], k.Name[dot] >= 'A' && k.Name[dot] <= 'Z'
}

func setLayout(c *Config, _ string, w Word) error {
	if !isName(w.Value) {
		return unexpected(w, "the name of a layout, for example "+DefaultLayout)
	}
	c.Layout = w.Value
	return nil
}

// leaveToLayout is for a word that only one layout knows, and reads off Words:
// to the others it is somebody else's.
func leaveToLayout(*Config, string, Word) error { return nil }

func setDisk(c *Config, _ string, w Word) error {
	id, byTable := strings.CutPrefix(w.Value, "PTUUID=")
	if byTable && strings.Trim(id, "0123456789abcdefABCDEF-") != "" || id == "" || strings.ContainsAny(id, " \t") {
		return unexpected(w, "the name of a disk, PTUUID= with the identity of its partition table, or a bus: mmc, usb, nvme, virtio or scsi")
	}
	c.Disk = w.Value
	return nil
}

func setTimeout(c *Config, _ string, w Word) error {
	const most = 3600
	seconds, err := strconv.ParseUint(w.Value, 10, 16)
	if err != nil || seconds < 1 || seconds > most {
		return unexpected(w, "a whole number of seconds, 1 to 3600")
	}
	c.Timeout = time.Duration(seconds) * time.Second
	return nil
}

func setOverlay(c *Config, _ string, w Word) error {
	return choose(&c.Overlay, w, Keep, Reset, Volatile)
}

func setOnFail(c *Config, _ string, w Word) error {
	return choose(&c.OnFail, w, Reboot, Halt, PowerOff, Shell)
}

func setWatchdog(c *Config, _ string, w Word) error {
	return choose(&c.Watchdog, w, WatchdogAuto, WatchdogKeep, WatchdogOff)
}

func setFsckMode(c *Config, _ string, w Word) error {
	return choose(&c.Fsck.Mode, w, FsckAuto, FsckForce, FsckSkip)
}

func setFsckRepair(c *Config, _ string, w Word) error {
	return choose(&c.Fsck.Repair, w, FsckPreen, FsckYes, FsckNo)
}

func setPart(c *Config, role string, w Word) error {
	if !isName(role) {
		return errors.New("expected the name of a role behind minos.part., for example minos.part.rootfs-a=6")
	}
	number, err := strconv.Atoi(w.Value)
	if w.Value == "" || (err == nil && number < 1) {
		return unexpected(w, "the GPT name of a partition, or its number from 1")
	}
	if c.Parts == nil {
		c.Parts = map[string]string{}
	}
	c.Parts[role] = w.Value
	return nil
}

// setBootState reads the numbers as fw_env.config writes them.
func setBootState(c *Config, _ string, w Word) error {
	var numbers []int64
	for text := range strings.SplitSeq(w.Value, ",") {
		n, err := strconv.ParseInt(text, 0, 48)
		if err != nil || n < 0 {
			numbers = nil
			break
		}
		numbers = append(numbers, n)
	}
	if len(numbers) != 2 && len(numbers) != 3 {
		return unexpected(w, "an offset and a size in bytes, and the offset of the second copy when there is one, for example 0x0,0x4000")
	}
	c.BootState = EnvPlace{Offset: numbers[0], Size: numbers[1], Second: -1}
	if len(numbers) == 3 {
		c.BootState.Second = numbers[2]
	}
	return nil
}

func setFormatData(c *Config, _ string, w Word) error {
	if w.Value == "" {
		return unexpected(w, "the label of an image build, as minos.build= has it")
	}
	c.FormatData = w.Value
	return nil
}

func setFiles(c *Config, _ string, w Word) error {
	n, err := strconv.ParseUint(w.Value, 10, 2)
	if err != nil || n > 2 {
		return unexpected(w, "0, 1 or 2")
	}
	c.Files = int(n)
	return nil
}

func setGrow(c *Config, _ string, w Word) error {
	switch w.Value {
	case "now", "later":
		c.GrowNow = w.Value == "now"
		return nil
	}
	return unexpected(w, "now or later")
}

func setBuild(c *Config, _ string, w Word) error {
	if w.Value == "" || strings.TrimSpace(w.Value) != w.Value {
		return unexpected(w, "a label, for example 2026.11-1")
	}
	c.Build = w.Value
	return nil
}

func setBreak(c *Config, _ string, w Word) error {
	var stages []Stage
	for name := range strings.SplitSeq(w.Value, ",") {
		var stage Stage
		if err := choose(&stage, Word{Value: name}, Early, Disk, LayoutChosen, Handover); err != nil {
			return unexpected(w, "early, disk, layout or handover, or several with commas")
		}
		stages = append(stages, stage)
	}
	c.addBreaks(stages...)
	return nil
}

// setDracutBreak takes what people know from dracut to the next stage of ours.
func setDracutBreak(c *Config, _ string, w Word) error {
	switch w.Value {
	case "cmdline", "pre-udev":
		c.addBreaks(Early)
	case "pre-mount":
		c.addBreaks(Disk)
	case "mount":
		c.addBreaks(LayoutChosen)
	case "", "pre-pivot", "cleanup":
		c.addBreaks(Handover)
	default:
		return unexpected(w, "no value, cmdline, pre-udev, pre-mount, mount, pre-pivot or cleanup")
	}
	return nil
}

func (c *Config) addBreaks(stages ...Stage) {
	for _, s := range stages {
		if !slices.Contains(c.Breaks, s) {
			c.Breaks = append(c.Breaks, s)
		}
	}
}

func setTimestamps(c *Config, _ string, w Word) error {
	switch w.Value {
	case "0":
		c.Timestamps = false
	case "1":
		c.Timestamps = true
	default:
		return unexpected(w, "0 or 1")
	}
	return nil
}

// setSlot keeps what it does not understand, since a wrong value says that a
// bootloader picked and counted.
func setSlot(c *Config, _ string, w Word) error {
	c.Slots = append(c.Slots, w.Value)
	return nil
}

func setInit(c *Config, _ string, w Word) error {
	if !strings.HasPrefix(w.Value, "/") {
		return unexpected(w, "an absolute path, for example /sbin/init")
	}
	c.Init = w.Value
	return nil
}

func setPanic(c *Config, _ string, w Word) error {
	seconds, err := parseKernelInt(w.Value)
	if err != nil {
		return unexpected(w, "a whole number of seconds, as the kernel wants it")
	}
	c.Panic = Panic{Set: true, Seconds: seconds}
	return nil
}

func setRoot(c *Config, _ string, w Word) error {
	c.Root = w.Value
	return nil
}

// setMachineID keeps what it does not understand: systemd reads the word too. A
// bootloader's script that has no id leaves it empty, which says nothing.
func setMachineID(c *Config, _ string, w Word) error {
	if w.Value != "" {
		c.MachineID = w.Value
	}
	return nil
}

// choose sets one of a few values.
func choose[T ~string](to *T, w Word, among ...T) error {
	if !slices.Contains(among, T(w.Value)) {
		names := make([]string, len(among))
		for i, a := range among {
			names[i] = string(a)
		}
		last := len(names) - 1
		return unexpected(w, strings.Join(names[:last], ", ")+" or "+names[last])
	}
	*to = T(w.Value)
	return nil
}

// parseKernelInt reads a number as the kernel's kstrtoint does: a sign, then
// 0x for base 16, 0 for base 8, or base 10.
func parseKernelInt(text string) (int, error) {
	digits, negative := strings.CutPrefix(text, "-")
	if !negative {
		digits = strings.TrimPrefix(digits, "+")
	}
	base := 10
	if hex, ok := strings.CutPrefix(strings.ToLower(digits), "0x"); ok {
		base, digits = 16, hex
	} else if strings.HasPrefix(digits, "0") {
		base = 8
	}
	n, err := strconv.ParseUint(digits, base, 31)
	if negative {
		return -int(n), err
	}
	return int(n), err
}

// isName tells whether text can be the name of a layout or a role.
func isName(text string) bool {
	return text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// unexpected says what is wrong with a word that the message names already.
func unexpected(w Word, expected string) error {
	if !w.HasValue {
		return fmt.Errorf("a value is missing, expected %s", expected)
	}
	return fmt.Errorf("expected %s", expected)
}
