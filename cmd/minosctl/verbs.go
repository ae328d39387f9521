package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"
)

// verb is one line of the table of verbs. Help, the man page and the
// completion are made from it.
type verb struct {
	name        string
	arguments   string // as a synopsis has them
	least, most int    // arguments
	flags       string // names of its own, with blanks between
	atState     bool   // it looks at a boot state, and so has the flags that say where
	complete    string // what its arguments are, for the completion
	summary     string // one line
	text        string // paragraphs, for people
	do          func(*call) error
}

// verbs is the table.
func verbs() []verb {
	const slots = "A B"
	return []verb{
		{"status", "", 0, 0, "json", true, "", "show both slots, the running boot, and what starts next",
			"Reads, and writes nothing. An ordinary user needs the right to read the partition.", (*call).status},
		{"mark-good", "[SLOT]", 0, 1, "force", true, slots, "give a slot that has proved itself all its attempts",
			"Without SLOT it is the running one. Sets its counter to 3 and BOOT_GOOD to its name; a slot that was marked bad is not put back into the order, as with RAUC. A slot that is on trial is refused while its boot is degraded, with status 4: what the degraded boot lacks may be the fault of the new system, and the one before would be given up. --force marks it all the same.", (*call).markGood},
		{"mark-bad", "SLOT", 1, 1, "", true, slots, "do not start a slot any more",
			"Takes it out of BOOT_ORDER and sets its counter to 0. The last slot of the order stays in it, without attempts: an empty order would mean A B.", (*call).markBad},
		{"set-primary", "SLOT", 1, 1, "", true, slots, "start a slot before the other",
			"Puts it first in BOOT_ORDER and sets its counter to 3.", (*call).setPrimary},
		{"boot-update", "[DIRECTORY|FILE...]", 0, 3, "dir commit force", true, "", "replace U-Boot's script, initramfs and device tree, on trial",
			"Writes boot.scr, initramfs.cpio.lz4 and devicetree.dtb beside those that the device starts with, and has them tried once. DIRECTORY holds a whole set; of FILEs, those that are not given are taken from the running set. In the boot that tries them, mark-good keeps them; without it the boot after that starts those of before. --commit keeps the running ones without marking a slot good, for devices on which RAUC does that. --dir works on a boot partition that is mounted elsewhere.", (*call).bootUpdate},
		{"factory-reset", "", 0, 0, "yes dry-run", false, "", "throw away what was written to the device, at the next boot",
			"At the next boot, init empties the overlay partition, for both slots, and the data partition, but for config/system and config/ssh there, which are the identity of the device. For systemd that boot is a first one, under the same machine-id. Until then nothing changes, and removing /data/.minos-reset and /run/initramfs/overlay/.minos-reset takes it back. Without --yes it says what would go, and does nothing.", (*call).factoryReset},
		{"report", "", 0, 0, "svg", true, "", "show the running boot step by step, and why earlier ones failed",
			"Reads /run/minos/boot.json, and what failed boots left beside the boot state.", (*call).report},
		{"first-boot-complete", "", 0, 0, "", false, "", "note that the first boot of this machine is complete",
			"For minos-first-boot-complete.service. Until then init makes each boot a first one for systemd, so that one that was cut off is done again. Everything is written to the disks first.", (*call).firstBootComplete},
		{"ssh-keys", "", 0, 0, "", false, "", "keep the SSH host keys on /data, for both slots",
			"For minos-ssh-keys.service, before the SSH server. Makes what is missing in /data/config/ssh, ed25519 first, with ssh-keygen or dropbearkey of the running system; keys that an earlier boot has made in this slot are taken over. Then the keys in /etc/ssh or /etc/dropbear are made the same.", (*call).sshKeys},
		{"first-boot", "DISK", 1, 1, "card data", false, "", "say what the first boot of a card would do, and why",
			"DISK is the image of a disk, or a card in a reader. Judges the data partition as init does: what it holds, how far it can grow, whether it is formatted. Reads, and writes nothing. With --card an image is judged as if it were on a larger card.", (*call).firstBoot},
		{"grow-data", "", 0, 0, "", false, "", "give the filesystem of /data all the space of its partition",
			"For minos-growfs.service; init has made the partition as large as the card. The filesystem stays in use. Each part that is done is a line; nothing is said when there is nothing to do. When it is cut off, the next call goes on.", (*call).growData},
		{"tryboot", "status|try|commit|abort", 1, 1, "json force reboot", false, "status try commit abort", "try the other slot once by a Raspberry Pi's firmware, and keep it",
			"For the layout tryboot. try asks for a trial at the next restart, or with --reboot makes it; abort takes that back. In the trial commit makes its slot the default, by one write of one sector of autoboot.txt; without it any restart leads back to the slot of before. It refuses, with status 4, when the firmware has started anything but the partition that the trial is of, and while the boot is degraded; that the slot is the default already is no failure. minos.tryboot=selector on the kernel command line is for boards that are asked by the number of the partition.", (*call).trybootVerb},
		{"profile", "list|show|create|clone|reset|delete|snapshot|snapshots|rollback [ID [TO|TAG]]", 1, 3, "json top name base empty keep yes", false, "list show create clone reset delete snapshot snapshots rollback", "list, make, clone, reset, delete profiles, and undo changes of one",
			"For the layout profiles. Without ID, show, snapshot, snapshots and rollback are about the running profile. create begins with the upper that was shipped under that name, else with nothing; clone gives the copy a machine-id of its own; reset goes back to what was shipped, and reset and delete do nothing without --yes. snapshot keeps what the profile is now, under a tag or the time; rollback goes back to a tag, or to before the last change, and keeps what it undoes. A profile that is running changes at the next boot, and is not deleted.", (*call).profileVerb},
		{"base", "list|receive|set-current|check|gc [FILE|VERSION] [VERSION|ID]", 1, 3, "json top from dry-run", false, "list receive set-current check gc", "list, receive, switch and remove the bases of profiles",
			"For the layout profiles. receive makes a base of what btrfs send has written, - for standard input; nothing can start it before it is complete. check says what the profiles without a pin, or ID, would not see of a base, with status 5 when there is anything. set-current has profiles without a pin start over it, from the next boot on. gc removes the bases that are older than the current one, when they are not running and no profile is pinned to them.", (*call).baseVerb},
		{raucVerb, "get-primary|get-current|set-primary SLOT|get-state SLOT|set-state SLOT good|bad", 1, 3, "", true, "get-primary get-current set-primary get-state set-state", "be RAUC's custom bootloader backend",
			"For boots in which init picked the slot, which RAUC cannot see on the kernel command line. RAUC gives its backend no word of ours: point bootloader-custom-backend at a link to minosctl that is called rauc-backend.", (*call).rauc},
		{"completion", "bash", 1, 1, "", false, "bash", "print the completion for a shell", "", (*call).completion},
		{"man", "", 0, 0, "", false, "", "print the man page", "", (*call).man},
		{"version", "", 0, 0, "", false, "", "print the version", "", (*call).version},
		{"help", "[VERB]", 0, 1, "", false, "VERBS", "explain minosctl, or one verb", "", (*call).helpVerb},
	}
}

// option is a flag.
type option struct {
	name  string
	value string // what follows it, "" for nothing
	help  string
	bind  func(*call) any // *bool or *string
}

func (o option) define(flags *flag.FlagSet, c *call) {
	switch to := o.bind(c).(type) {
	case *bool:
		flags.BoolVar(to, o.name, false, o.help)
	case *string:
		flags.StringVar(to, o.name, "", o.help)
	}
}

func options() []option {
	return []option{
		{"device", "FILE", "the partition of the boot state, or a file with its content", func(c *call) any { return &c.where.device }},
		{"image", "FILE", "the image of a whole disk, or a disk that is not the running one", func(c *call) any { return &c.where.image }},
		{"env", "OFFSET,SIZE[,OFFSET]", "where the environment lies there, as minos.bootstate= has it", func(c *call) any { return &c.where.env }},
		{"json", "", "print JSON instead of a table", func(c *call) any { return &c.json }},
		{"force", "", "mark good, or keep, what is degraded and on trial; try a slot that looks empty", func(c *call) any { return &c.force }},
		{"commit", "", "keep the running boot files", func(c *call) any { return &c.commit }},
		{"dir", "DIRECTORY", "the boot partition, mounted and writable", func(c *call) any { return &c.dir }},
		{"yes", "", "do what cannot be undone", func(c *call) any { return &c.yes }},
		{"dry-run", "", "say what would be done", func(c *call) any { return &c.dryRun }},
		{"reboot", "", "restart at once", func(c *call) any { return &c.reboot }},
		{"card", "SIZE", "the size of the card that the image is written to, for example 32G", func(c *call) any { return &c.card }},
		{"data", "NAME|NUMBER", "the data partition, where it is neither called data nor has the number 4", func(c *call) any { return &c.data }},
		{"top", "DIRECTORY", "the top level of a btrfs with profiles, where it is mounted", func(c *call) any { return &c.top }},
		{"name", "TEXT", "what people call the profile", func(c *call) any { return &c.name }},
		{"base", "VERSION", "pin the new profile to this base", func(c *call) any { return &c.base }},
		{"empty", "", "reset to nothing but the base", func(c *call) any { return &c.empty }},
		{"keep", "N", "of the snapshots without a name, remove all but the last N", func(c *call) any { return &c.keep }},
		{"from", "VERSION", "compare with this base, not with the one that the profile starts over", func(c *call) any { return &c.from }},
		{"svg", "FILE", "draw the boot as a waterfall into FILE, - for standard output", func(c *call) any { return &c.svg }},
	}
}

func findVerb(name string) (verb, bool) {
	all := verbs()
	i := slices.IndexFunc(all, func(v verb) bool { return v.name == name })
	if i < 0 {
		return verb{}, false
	}
	return all[i], true
}

func verbNames() string {
	var names []string
	for _, v := range verbs() {
		names = append(names, v.name)
	}
	return strings.Join(names, ", ")
}

// options are the flags that the verb knows.
func (v verb) options() (known []option) {
	names := strings.Fields(v.flags)
	if v.atState {
		names = append(names, strings.Fields(flagsOfAnyVerb)...)
	}
	for _, o := range options() {
		if slices.Contains(names, o.name) {
			known = append(known, o)
		}
	}
	return known
}

// synopsis is how the verb is called, without the flags that say where the
// boot state is.
func (v verb) synopsis() string {
	text := v.name
	for _, o := range v.options() {
		if !strings.Contains(" "+flagsOfAnyVerb+" ", " "+o.name+" ") {
			text += " [" + o.spelled() + "]"
		}
	}
	return strings.TrimSpace(text + " " + v.arguments)
}

func (o option) spelled() string { return strings.TrimSpace("--" + o.name + " " + o.value) }

// help is the text about one verb.
func (v verb) help() string {
	text := "minosctl " + v.synopsis() + "\n\n" + strings.ToUpper(v.summary[:1]) + v.summary[1:] + ".\n"
	if v.text != "" {
		text += v.text + "\n"
	}
	if len(v.options()) > 0 {
		text += "\n"
	}
	for _, o := range v.options() {
		text += fmt.Sprintf("  %-27s  %s\n", o.spelled(), o.help)
	}
	return wrapAll(text)
}

func wrapAll(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = wrap(lines[i], lineWidth)
	}
	return strings.Join(lines, "\n")
}

// helpVerb explains the program, or one verb.
func (c *call) helpVerb() error {
	if len(c.args) == 1 {
		v, ok := findVerb(c.args[0])
		if !ok {
			return usage("cannot explain %s: there is no such verb, but %s", c.args[0], verbNames())
		}
		fmt.Fprint(c.stdout, v.help())
		return nil
	}
	text := "minosctl VERB [FLAGS] [ARGUMENTS]: which of a device's systems is started\n\n"
	for _, v := range verbs() {
		text += fmt.Sprintf("  %-19s  %s\n", v.name, v.summary)
	}
	text += "\nWhere the boot state is: --device FILE, or --image FILE; else the partition that\n" +
		"/run/minos/boot.json names; else that of /etc/fw_env.config.\n\n" +
		"Exit status:\n" + exitTable() + "\nminosctl help VERB says more.\n"
	fmt.Fprint(c.stdout, wrapAll(text))
	return nil
}

// statuses are the exit statuses in words.
func statuses() []string {
	return []string{
		statusOK:      "done, or there was nothing to do",
		statusFailed:  "failed; one line says why",
		statusUsage:   "called in a wrong way",
		statusNoState: "there is no boot state here",
		statusRefused: "refused: what is on trial is degraded, or is not what the firmware was asked for, or what would go is in use",
		statusDiffers: "base check: a profile would not see all of the base",
	}
}

func exitTable() (text string) {
	for status, meaning := range statuses() {
		text += fmt.Sprintf("  %d  %s\n", status, meaning)
	}
	return text
}

func (c *call) version() error {
	_, err := fmt.Fprintln(c.stdout, callName, version)
	return err
}
