package config

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var withoutWords = cmpopts.IgnoreFields(Config{}, "Words")

func defaults(change func(*Config)) Config {
	c := Config{Layout: "slots", Overlay: "keep", Watchdog: "auto", Fsck: Fsck{"auto", "preen"}, Timestamps: true, BootState: EnvPlace{0, 0x4000, -1}, Files: -1,
		Images: []string{"root-squashfs.img", "root-squash.img"}, ImageOld: "infix",
		Tryboot: "flag", TryParts: TrybootParts{1, 2, 3, 4, 5, 6}, Profiles: DefaultProfiles, UpperSize: "25%"}
	if change != nil {
		change(&c)
	}
	return c
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, conf, cmdline string
		want                Config
	}{
		{"nothing", "", "", defaults(nil)},
		{"images", "minos.images=a.img\nrw", "minos.images=b.img,c.img minos.image-old=suffix minos.newimg=wait,any ro", defaults(func(c *Config) {
			c.Images, c.ImageOld, c.NewImage, c.ReadOnly = []string{"b.img", "c.img"}, Suffix, NewImage{Any: true, Wait: true}, true
		})},
		{"watchdog", "minos.watchdog=off", "minos.watchdog=keep minos.watchdog=bark", defaults(func(c *Config) {
			c.Watchdog = WatchdogKeep
			c.Warnings = []string{`kernel command line: "minos.watchdog=bark", ignoring: expected auto, keep or off`}
		})},
		{"checks", "fsck.mode=force", "fsck.repair=no fsck.mode=skip", defaults(func(c *Config) { c.Fsck = Fsck{FsckSkip, FsckNo} })},
		{"unknown checks", "", "fsck.mode=always fsck.repair=1", defaults(func(c *Config) {
			c.Warnings = []string{
				`kernel command line: "fsck.mode=always", ignoring: expected auto, force or skip`,
				`kernel command line: "fsck.repair=1", ignoring: expected preen, yes or no`,
			}
		})},
		{"ro taken back", "", "ro rw", defaults(nil)},
		{"words of others", "", "console=ttyAMA0 splash rauc=A minosx=1 perch", defaults(nil)},
		{"layout", "", "minos.layout=modules", defaults(func(c *Config) { c.Layout = "modules" })},
		{"timeout", "minos.timeout=5\n", "minos.timeout=3600", defaults(func(c *Config) { c.Timeout = time.Hour })},
		{"the command line wins", "minos.overlay=reset", "minos.overlay=volatile", defaults(func(c *Config) { c.Overlay = Volatile })},
		{"the last one wins", "", "minos.overlay=reset minos.overlay=keep", defaults(nil)},
		{"onfail", "minos.onfail=halt", "", defaults(func(c *Config) { c.OnFail = Halt })},
		{"panic", "", "panic=-1", defaults(func(c *Config) { c.Panic = Panic{true, -1} })},
		{"panic 0 is set", "", "panic=0", defaults(func(c *Config) { c.Panic = Panic{true, 0} })},
		{"panic as the kernel reads it", "", "panic=0x10", defaults(func(c *Config) { c.Panic = Panic{true, 16} })},
		{"init and its arguments", "", `init=/bin/sh -- -c "echo a" quiet`, defaults(func(c *Config) {
			c.Init = "/bin/sh"
		})},
		{"parts", "minos.part.rootfs-a=6\nminos.part.data=\"my data\"", "minos.part.rootfs-a=ROOT", defaults(func(c *Config) {
			c.Parts = map[string]string{"rootfs-a": "ROOT", "data": "my data"}
		})},
		{"breaks", "minos.break=disk,early", "minos.break=layout minos.break=disk rd.break", defaults(func(c *Config) {
			c.Breaks = []Stage{Disk, Early, LayoutChosen, Handover}
		})},
		{"slots as written", "", "rauc.slot=A rauc.slot=b rauc.slot= rauc.slot rauc.slot=B", defaults(func(c *Config) {
			c.Slots = []string{"A", "b", "", "", "B"}
		})},
		{"machine-id", "systemd.machine_id=1", "systemd.machine_id=2 systemd.machine_id=", defaults(func(c *Config) { c.MachineID = "2" })},
		{"root", "", "root=/dev/mmcblk0p3", defaults(func(c *Config) { c.Root = "/dev/mmcblk0p3" })},
		{"disk", "minos.disk=mmc", "minos.disk=PTUUID=6d696e6f-732d-696e-6974-000000000001", defaults(func(c *Config) {
			c.Disk = "PTUUID=6d696e6f-732d-696e-6974-000000000001"
		})},
		{"boot state", "", "minos.bootstate=0x1000,8192", defaults(func(c *Config) { c.BootState = EnvPlace{0x1000, 8192, -1} })},
		{"boot state in two copies", "", "minos.bootstate=0,0x4000,0x4000", defaults(func(c *Config) { c.BootState = EnvPlace{0, 0x4000, 0x4000} })},
		{"boot files", "", "minos.files=2 minos.files=3 minos.files=-1 minos.files", defaults(func(c *Config) {
			c.Files = 2
			c.Warnings = []string{
				`kernel command line: "minos.files=3", ignoring: expected 0, 1 or 2`,
				`kernel command line: "minos.files=-1", ignoring: expected 0, 1 or 2`,
				`kernel command line: "minos.files", ignoring: a value is missing, expected 0, 1 or 2`,
			}
		})},
		{"boot files at the top", "", "minos.files=0", defaults(func(c *Config) { c.Files = 0 })},
		{"profiles", "minos.redirect-dir=on\nminos.profiles-label=a", "minos.profiles-label=a,b minos.profiles-data=/srv/x flipper.profile=../x", defaults(func(c *Config) {
			c.Profiles = Profiles{"a", "b", "/srv/x", true}
		})},
		{"profiles without", "minos.redirect-dir=on\nminos.redirect-dir=off\nminos.profiles-label=a,b", "minos.profiles-label=a minos.profiles-data=none", defaults(func(c *Config) {
			c.Profiles = Profiles{"a", "", "", false}
		})},
		{"tryboot", "minos.tryboot=selector", "minos.tryboot-parts=1,2,3,5,6,7 kn86.slot=B kn86.slot=b", defaults(func(c *Config) {
			c.Tryboot, c.TryParts, c.KN86Slots = TrybootSelector, TrybootParts{1, 2, 3, 5, 6, 7}, []string{"B", "b"}
		})},
		{"size of a layer in memory", "minos.volatile-size=128m", "minos.volatile-size=50% minos.volatile-size=1g", defaults(func(c *Config) { c.UpperSize = "1g" })},
		{"inbox", "minos.inbox=a.conf:wifi/a.conf", "minos.inbox=/config/:config:consume minos.inbox=k:ssh/k:append-unique:0640", defaults(func(c *Config) {
			c.Inbox = []InboxRule{
				{"a.conf", "wifi/a.conf", IfAbsent, 0o600}, {"config", "config", Consume, 0o600}, {"k", "ssh/k", AppendUnique, 0o640},
			}
		})},
		{"format", "minos.build=1.2", "minos.format-data=1.2", defaults(func(c *Config) { c.Build, c.FormatData = "1.2", "1.2" })},
		{"no inbox", "minos.inbox=a:a", "minos.inbox=none", defaults(func(c *Config) { c.Inbox = []InboxRule{} })},
		{"an inbox after none", "minos.inbox=a:a", "minos.inbox=none \"minos.inbox=my file:b\"", defaults(func(c *Config) {
			c.Inbox = []InboxRule{{"my file", "b", IfAbsent, 0o600}}
		})},
		{"directories on data", "minos.data-dirs=extensions/sysext,/extensions/confext/", "minos.data-dirs=apps", defaults(func(c *Config) {
			c.DataDirs = []string{"extensions/sysext", "extensions/confext", "apps"}
		})},
		{"timestamps", "minos.timestamps=0", "", defaults(func(c *Config) { c.Timestamps = false })},
		{"timestamps back on", "minos.timestamps=0", "minos.timestamps=1", defaults(nil)},
		{"keys are exact", "", "minos_overlay=reset minos.over_lay minos-overlay=reset", defaults(func(c *Config) {
			c.Warnings = []string{`kernel command line: "minos.over_lay", ignoring: there is no such key, "minos.overlay" was probably meant`}
		})},
		{"a file from Windows, with comments", "# a \"comment\r\n\r\n  quiet   # -- too\r\nminos.overlay=reset\r\n#", "", defaults(func(c *Config) {
			c.Overlay = Reset
		})},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Parse([]byte(c.conf), []byte(c.cmdline))
			if diff := cmp.Diff(c.want, got, withoutWords); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestDracutBreak(t *testing.T) {
	for value, want := range map[string]Stage{
		"": Handover, "=": Handover, "=cmdline": Early, "=pre-udev": Early, "=pre-mount": Disk,
		"=mount": LayoutChosen, "=pre-pivot": Handover, "=cleanup": Handover,
	} {
		got := Parse(nil, []byte("rd.break"+value))
		if !slices.Equal(got.Breaks, []Stage{want}) || got.Warnings != nil {
			t.Errorf("rd.break%s: %v, %q, want %s", value, got.Breaks, got.Warnings, want)
		}
	}
}

// What is wrong is named, with what was expected, and what was set before stays.
func TestParseWarnings(t *testing.T) {
	const line = "kernel command line: "
	for _, c := range []struct{ conf, cmdline, want string }{
		{"", "minos.layout", line + `"minos.layout", ignoring: a value is missing, expected the name of a layout, for example slots`},
		{"", "minos.layout=../x", line + `"minos.layout=../x", ignoring: expected the name of a layout, for example slots`},
		{"", "minos.timeout=0", line + `"minos.timeout=0", ignoring: expected a whole number of seconds, 1 to 3600`},
		{"", "minos.timeout=3601", line + `"minos.timeout=3601", ignoring: expected a whole number of seconds, 1 to 3600`},
		{"", "minos.timeout=1.5", line + `"minos.timeout=1.5", ignoring: expected a whole number of seconds, 1 to 3600`},
		{"minos.timeout=10s", "", `/etc/minos.conf, line 1: "minos.timeout=10s", ignoring: expected a whole number of seconds, 1 to 3600`},
		{"", "minos.images=a,../b", line + `"minos.images=a,../b", ignoring: expected the name of a file without a directory, or several with commas`},
		{"", "minos.image-old=x", line + `"minos.image-old=x", ignoring: expected infix or suffix`},
		{"", "minos.newimg=all", line + `"minos.newimg=all", ignoring: expected any, wait, or both with a comma`},
		{"", "minos.tryboot=on", line + `"minos.tryboot=on", ignoring: expected flag or selector`},
		{"", "minos.profiles-label=a,a", line + `"minos.profiles-label=a,a", ignoring: expected the label of a filesystem, or two different ones with a comma between`},
		{"", "minos.profiles-label=", line + `"minos.profiles-label=", ignoring: expected the label of a filesystem, or two different ones with a comma between`},
		{"", "minos.profiles-label=a,", line + `"minos.profiles-label=a,", ignoring: expected the label of a filesystem, or two different ones with a comma between`},
		{"", "minos.profiles-label=a,b,c", line + `"minos.profiles-label=a,b,c", ignoring: expected the label of a filesystem, or two different ones with a comma between`},
		{"", "minos.profiles-data=data", line + `"minos.profiles-data=data", ignoring: expected an absolute path, for example /data, or none`},
		{"", "minos.profiles-data=/", line + `"minos.profiles-data=/", ignoring: expected an absolute path, for example /data, or none`},
		{"", "minos.profiles-data=/a/../b", line + `"minos.profiles-data=/a/../b", ignoring: expected an absolute path, for example /data, or none`},
		{"", "minos.redirect-dir=yes", line + `"minos.redirect-dir=yes", ignoring: expected on or off`},
		{"", "minos.tryboot-parts=1,2,3,4,5", line + `"minos.tryboot-parts=1,2,3,4,5", ignoring: expected six different numbers of partitions, for example 1,2,3,5,6,7`},
		{"", "minos.tryboot-parts=1,2,3,4,5,5", line + `"minos.tryboot-parts=1,2,3,4,5,5", ignoring: expected six different numbers of partitions, for example 1,2,3,5,6,7`},
		{"", "minos.tryboot-parts=0,2,3,4,5,6", line + `"minos.tryboot-parts=0,2,3,4,5,6", ignoring: expected six different numbers of partitions, for example 1,2,3,5,6,7`},
		{"", "minos.tryboot-parts=1,2,3,4,5,129", line + `"minos.tryboot-parts=1,2,3,4,5,129", ignoring: expected six different numbers of partitions, for example 1,2,3,5,6,7`},
		{"", "minos.volatile-size=0%", line + `"minos.volatile-size=0%", ignoring: expected a part of the memory, 1% to 100%, or a size with the unit k, m or g, for example 128m`},
		{"", "minos.volatile-size=101%", line + `"minos.volatile-size=101%", ignoring: expected a part of the memory, 1% to 100%, or a size with the unit k, m or g, for example 128m`},
		{"", "minos.volatile-size=128", line + `"minos.volatile-size=128", ignoring: expected a part of the memory, 1% to 100%, or a size with the unit k, m or g, for example 128m`},
		{"", "minos.volatile-size=1kk", line + `"minos.volatile-size=1kk", ignoring: expected a part of the memory, 1% to 100%, or a size with the unit k, m or g, for example 128m`},
		{"", "rw=1", line + `"rw=1", ignoring: expected no value`},
		{"", "minos.overlay=KEEP", line + `"minos.overlay=KEEP", ignoring: expected keep, reset or volatile`},
		{"", "minos.onfail=", line + `"minos.onfail=", ignoring: expected reboot, halt, poweroff or shell`},
		{"", "minos.part.=6", line + `"minos.part.=6", ignoring: expected the name of a role behind minos.part., for example minos.part.rootfs-a=6`},
		{"", "minos.part.data=0", line + `"minos.part.data=0", ignoring: expected the GPT name of a partition, or its number from 1`},
		{"", "minos.part.data=-1", line + `"minos.part.data=-1", ignoring: expected the GPT name of a partition, or its number from 1`},
		{"", "minos.part.data", line + `"minos.part.data", ignoring: a value is missing, expected the GPT name of a partition, or its number from 1`},
		{"", "minos.break=disk,late", line + `"minos.break=disk,late", ignoring: expected early, disk, layout or handover, or several with commas`},
		{"", "minos.break", line + `"minos.break", ignoring: a value is missing, expected early, disk, layout or handover, or several with commas`},
		{"", "rd.break=late", line + `"rd.break=late", ignoring: expected no value, cmdline, pre-udev, pre-mount, mount, pre-pivot or cleanup`},
		{"", "minos.timestamps=no", line + `"minos.timestamps=no", ignoring: expected 0 or 1`},
		{"", "init=sbin/init", line + `"init=sbin/init", ignoring: expected an absolute path, for example /sbin/init`},
		{"", "panic=soon", line + `"panic=soon", ignoring: expected a whole number of seconds, as the kernel wants it`},
		{"", "minos.tiemout=5", line + `"minos.tiemout=5", ignoring: there is no such key, "minos.timeout" was probably meant`},
		{"", "minos.prt.data=5", line + `"minos.prt.data=5", ignoring: there is no such key, "minos.part.data" was probably meant`},
		{"", "minos.unheard=now", line + `"minos.unheard=now", ignoring: there is no such key, docs/cmdline.md lists those there are`},
		{"", "minos.inbox", line + `"minos.inbox", ignoring: a value is missing, expected none, or SOURCE:TARGET, and behind it :POLICY and :MODE, for example config:config:consume`},
		{"", "minos.inbox=a", line + `"minos.inbox=a", ignoring: expected none, or SOURCE:TARGET, and behind it :POLICY and :MODE, for example config:config:consume`},
		{"", "minos.inbox=a:b:consume:0600:x", line + `"minos.inbox=a:b:consume:0600:x", ignoring: expected none, or SOURCE:TARGET, and behind it :POLICY and :MODE, for example config:config:consume`},
		{"", "minos.inbox=a:b:move", line + `"minos.inbox=a:b:move", ignoring: expected if-absent, append-unique or consume`},
		{"", "minos.inbox=a:b:consume:0888", line + `"minos.inbox=a:b:consume:0888", ignoring: expected a mode in octal behind the third colon, for example 0644`},
		{"", "minos.inbox=a:b:consume:4755", line + `"minos.inbox=a:b:consume:4755", ignoring: expected a mode in octal behind the third colon, for example 0644`},
		{"", "minos.inbox=a:../b", line + `"minos.inbox=a:../b", ignoring: expected a path inside the partition, without . and .. in it, for example config/wifi`},
		{"", "minos.inbox=/:b", line + `"minos.inbox=/:b", ignoring: expected a path inside the partition, without . and .. in it, for example config/wifi`},
		{"", "minos.data-dirs=a,b/./c", line + `"minos.data-dirs=a,b/./c", ignoring: expected a path inside the partition, without . and .. in it, for example config/wifi`},
		{"", "minos.disk=", line + `"minos.disk=", ignoring: expected the name of a disk, PTUUID= with the identity of its partition table, or a bus: mmc, usb, nvme, virtio or scsi`},
		{"", "minos.disk=PTUUID=x", line + `"minos.disk=PTUUID=x", ignoring: expected the name of a disk, PTUUID= with the identity of its partition table, or a bus: mmc, usb, nvme, virtio or scsi`},
		{"", "minos.", line + `"minos.", ignoring: there is no such key, docs/cmdline.md lists those there are`},
		{"", "\"minos.x\x1b y\"", line + `"\"minos.x\x1b y\"", ignoring: there is no such key, docs/cmdline.md lists those there are`},
		{"x\nro rw", "", `/etc/minos.conf, line 2: "ro rw", ignoring: these are 2 words, expected one a line; double quotes protect blanks`},
		{"splash -- x", "", `/etc/minos.conf, line 1: "splash -- x", ignoring: -- has a meaning on the kernel command line only`},
		{"--", "", `/etc/minos.conf, line 1: "--", ignoring: -- has a meaning on the kernel command line only`},
		{"splash\x00", "", `/etc/minos.conf, line 1: "splash\x00", ignoring: there is a NUL byte in it, expected text`},
		{"x=\"a b\r\n", "", `/etc/minos.conf, line 1: "x=\"a b", ignoring: a double quote is missing`},
	} {
		got := Parse([]byte(c.conf), []byte(c.cmdline))
		want := defaults(func(d *Config) { d.Warnings = []string{c.want} })
		if diff := cmp.Diff(want, got, withoutWords); diff != "" {
			t.Errorf("%q and %q: -want +got:\n%s", c.conf, c.cmdline, diff)
		}
	}
	got := Parse([]byte("minos.overlay=reset"), []byte("minos.overlay=no minos.timeout=7 minos.timeout=x"))
	if got.Overlay != Reset || got.Timeout != 7*time.Second || len(got.Warnings) != 2 {
		t.Errorf("%+v: a bad word must leave what was set before", got)
	}
}

func TestLastAndHas(t *testing.T) {
	c := Parse([]byte("fsck.mode=skip\ntoram"), []byte("a=1 fsck.mode=force a=2 b=\n"))
	for key, want := range map[string]string{"fsck.mode": "force", "a": "2", "b": "", "toram": ""} {
		if got, ok := c.Last(key); !ok || got != want || !c.Has(key) {
			t.Errorf("Last(%s) = %q, %t, want %q", key, got, ok, want)
		}
	}
	// The CR of an editor is no part of a word, even of one whose quote is missing.
	if got, _ := Parse([]byte("x=\"a b\r\n"), nil).Last("x"); got != "a b" {
		t.Errorf("x is %q", got)
	}
	if got, ok := c.Last("fsck-mode"); ok || got != "" || c.Has("c") {
		t.Errorf("found what is not there: %q", got)
	}
}

func TestParseKernelInt(t *testing.T) {
	for text, want := range map[string]int{
		"0": 0, "5": 5, "+5": 5, "-1": -1, "010": 8, "0x1F": 31, "-0X2": -2, "2147483647": 1<<31 - 1,
	} {
		if got, err := parseKernelInt(text); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-", "+", "--1", "+-1", "-+1", "1_0", "0b1", "0o7", "08", "0x", "2147483648", "5s", " 5"} {
		if got, err := parseKernelInt(text); err == nil {
			t.Errorf("%q: %d, want an error", text, got)
		}
	}
}

func TestCheckFile(t *testing.T) {
	good := "# all is well\n\nminos.layout=slots\r\nminos.timeout=20 # seconds\nconsole=ttyS0\nx=\"a b\"\nminos.part.data=4\n"
	if err := CheckFile("good.conf", []byte(good)); err != nil {
		t.Error(err)
	}
	bad := "quiet\nminos.layuot=slots\nro rw\nminos.overlay=never\n--\nminos.timeout=1 minos.onfail=x\nx=\"a\n"
	want := strings.Join([]string{
		`bad.conf:2: "minos.layuot=slots": there is no such key, "minos.layout" was probably meant`,
		`bad.conf:3: "ro rw": these are 2 words, expected one a line; double quotes protect blanks`,
		`bad.conf:4: "minos.overlay=never": expected keep, reset or volatile`,
		`bad.conf:5: "--": -- has a meaning on the kernel command line only`,
		`bad.conf:6: "minos.timeout=1 minos.onfail=x": these are 2 words, expected one a line; double quotes protect blanks`,
		`bad.conf:6: "minos.onfail=x": expected reboot, halt, poweroff or shell`,
		`bad.conf:7: "x=\"a": a double quote is missing`,
	}, "\n")
	err := CheckFile("bad.conf", []byte(bad))
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestEditDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"abc", "abc", 0}, {"abc", "axc", 1}, {"abc", "acb", 2}, {"kitten", "sitting", 3}} {
		if got := editDistance(c.a, c.b); got != c.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// checkConfig checks what holds for any two sources.
func checkConfig(t *testing.T, conf, cmdline []byte) {
	t.Helper()
	c := Parse(conf, cmdline)
	if !cmp.Equal(c, Parse(conf, cmdline)) {
		t.Error("the same words gave two configurations")
	}
	if !slices.Contains([]OverlayPolicy{Keep, Reset, Volatile}, c.Overlay) || !isName(c.Layout) ||
		c.Timeout < 0 || c.Timeout > time.Hour || (c.Init != "" && c.Init[0] != '/') {
		t.Errorf("impossible: %+v", c)
	}
	for _, warning := range c.Warnings {
		for _, char := range warning {
			if !strconv.IsPrint(char) {
				t.Errorf("warning does not print: %q", warning)
			}
		}
	}
	// What the builder lets through, init takes without a warning.
	if CheckFile("x", conf) == nil && Parse(conf, nil).Warnings != nil {
		t.Errorf("CheckFile found nothing in %q, Parse warns: %q", conf, Parse(conf, nil).Warnings)
	}
}

//fuzz:covers words.go Parse Config.take Config.obey fileLines lineWords parseKernelInt parseInboxRule
func FuzzParse(f *testing.F) {
	for _, seed := range [][2]string{
		{"minos.overlay=reset\n# x\r\n", "quiet rauc.slot=A root=/dev/vda6 panic=-1"},
		{"minos.part.data=\"a b\"", `init="/a b" -- "c d" e="f`},
		{"a b\n--\nx\x00", "minos.break=early,disk rd.break=mount minos.tmeout=1 \"=\" \xa0"},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, conf, cmdline []byte) {
		checkJoined(t, conf)
		checkJoined(t, cmdline)
		checkConfig(t, conf, cmdline)
	})
}

func TestGrowWord(t *testing.T) {
	for words, want := range map[string]bool{"": false, "minos.grow=now": true, "minos.grow=now minos.grow=later": false, "minos.grow=now minos.grow=soon": true} {
		c := Parse(nil, []byte(words))
		if refused := strings.Contains(words, "soon"); c.GrowNow != want || refused != (len(c.Warnings) > 0) {
			t.Errorf("%q: %t, warnings %q", words, c.GrowNow, c.Warnings)
		}
	}
}
