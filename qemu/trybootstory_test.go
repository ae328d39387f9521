package qemu

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// trybootStub is a card with the stub and minosctl in both slots.
func trybootStub(t *testing.T) (TrybootDisk, string) {
	t.Helper()
	tools(t, "sfdisk", "mkfs.vfat", "mcopy", "mtype", "fdtput")
	tree := StubTree(machines(t).stub).With(Dir("home"), Dir("home/shared"),
		File{Name: "sbin/minosctl", Mode: 0o755, From: filepath.Join(initramfsDirectory(), "minosctl")})
	boot := func(slot string) []File {
		return PiBootFiles(machines(t).debian.Image, initramfs(t, "initramfs.cpio.lz4"), trybootWords(slot, nil)...)
	}
	d := NewTrybootDisk(boot("A"), tree.With(Text("etc/minos-slot", "A")), 24)
	d.BootB = TrybootBoot(boot("B"))
	d.RootB = TrybootRoot(tree.With(Text("etc/minos-slot", "B")), 24)
	card := filepath.Join(t.TempDir(), "card.img")
	if err := d.Write(card); err != nil {
		t.Fatal(err)
	}
	return d, card
}

// piBoot is one run of a card, from the firmware to the machine's end. The stub
// ends it by a restart, as systemd would.
func piBoot(t *testing.T, f PiFirmware, argument string, do ...string) (PiStart, Result) {
	t.Helper()
	f.Dir = t.TempDir()
	start, err := f.Start(argument)
	if err != nil {
		t.Fatal(err)
	}
	start.Machine.Append = append(start.Machine.Append, "stub.do="+strings.Join(do, ","), "stub.end=exitrd:reboot")
	return start, runMachine(t, start.Machine, nil, stubDeadline)
}

// minosctlSays is a verb of the stub that runs minosctl.
func minosctlSays(words string) string {
	return "run:/sbin/minosctl%20" + strings.ReplaceAll(words, " ", "%20")
}

// says compares the start of what a verb of the stub came to.
func (r Result) says(t *testing.T, verb, want string) {
	t.Helper()
	if got := r.result(t, verb); !strings.HasPrefix(got, want) {
		t.Errorf("%s says %s, want %s", verb, got, want)
	}
}

// From a committed slot A to a committed slot B, on a board whose flag works and
// on one that is asked by the number of the partition: layouts 5.5, statements
// 8, 12 and 13, with what a kernel really does.
func TestTrybootStory(t *testing.T) {
	for _, c := range []struct {
		name, word, argument string
		inert                bool
	}{
		{name: "flag", word: "minos.tryboot=flag", argument: "0 tryboot"},
		{name: "selector", word: "minos.tryboot=selector", argument: "3", inert: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			commit, try := minosctlSays("tryboot commit"), minosctlSays("tryboot try")
			d, card := trybootStub(t)
			f := PiFirmware{Card: d, Image: card, Inert: c.inert}
			for _, name := range []string{"bootfs-a", "bootfs-b"} {
				slot := strings.ToUpper(strings.TrimPrefix(name, "bootfs-"))
				words := strings.Join(trybootWords(slot, []string{c.word}), " ")
				if err := d.Put(name, card, Text("cmdline.txt", words+"\n")); err != nil {
					t.Fatal(err)
				}
			}
			start, r := piBoot(t, f, "", "read:/etc/minos-slot", commit, try)
			r.says(t, "read:/etc/minos-slot", `"A"`)
			r.says(t, commit, `status=0 "Slot A is the default already; nothing is written.\n"`)
			r.says(t, try, "status=0 ")
			argument, restarted := RestartArgument(r.Console)
			if start.Partition != 2 || !restarted || argument != c.argument {
				t.Fatalf("partition %d; it restarts %t with %q, want %q", start.Partition, restarted, argument, c.argument)
			}

			start, r = piBoot(t, f, argument, "read:/etc/minos-slot", commit, minosctlSays("tryboot commit --force"))
			r.says(t, "read:/etc/minos-slot", `"B"`)
			r.says(t, commit, `status=0 "Slot B is the default from now on; the next trial is of slot A.\n"`)
			r.says(t, minosctlSays("tryboot commit --force"), `status=0 "Slot B is the default already; nothing is written.\n"`)
			if argument, restarted = RestartArgument(r.Console); start.Partition != 3 || !restarted || argument != "" {
				t.Fatalf("partition %d; it restarts %t with %q", start.Partition, restarted, argument)
			}
			text, err := f.read(1, "autoboot.txt")
			if err != nil || string(text) != Autoboot(3, 2) {
				t.Errorf("autoboot.txt is %q, %v", text, err)
			}
			common, err := d.Find("common")
			if err != nil {
				t.Fatal(err)
			}
			fat := filepath.Join(t.TempDir(), "common")
			if err := common.Extract(fat, card); err != nil {
				t.Fatal(err)
			}
			if out, err := Tool("fsck.vfat", "-n", fat); err != nil {
				t.Errorf("the common partition afterwards: %v\n%s", err, out)
			}

			start, r = piBoot(t, f, argument, "read:/etc/minos-slot", minosctlSays("tryboot status"))
			r.says(t, "read:/etc/minos-slot", `"B"`)
			r.says(t, minosctlSays("tryboot status"), `status=0 "Running       slot B, partition `)
			if start.Partition != 3 {
				t.Errorf("the plain restart starts partition %d", start.Partition)
			}
		})
	}
}

// A trial that is left alone leads back, and so does one whose commit was
// refused because the boot was degraded.
func TestTrybootStoryBack(t *testing.T) {
	t.Parallel()
	d, card := trybootStub(t)
	f := PiFirmware{Card: d, Image: card}
	d.Shared.Content = nil
	if err := d.Install("shared", card); err != nil {
		t.Fatal(err)
	}
	commit, abort := minosctlSays("tryboot commit"), minosctlSays("tryboot abort")
	start, r := piBoot(t, f, "0 tryboot", "read:/etc/minos-slot", commit, abort)
	if start.Partition != 3 {
		t.Errorf("the trial is of partition %d", start.Partition)
	}
	r.says(t, "read:/etc/minos-slot", `"B"`)
	r.says(t, commit, `status=4 "minosctl: cannot commit: this boot is degraded: `)
	r.says(t, abort, `status=0 "This boot is a trial, which a restart ends. The next restart starts slot A.`)
	argument, _ := RestartArgument(r.Console)
	f.Dir = t.TempDir()
	if start, err := f.Start(argument); err != nil || start.Partition != 2 {
		t.Errorf("the restart with %q starts partition %d, %v", argument, start.Partition, err)
	}
}

// The real thing: a trial of slot B, in which systemd reaches multi-user.target
// and the unit commits. The fstab there names slot A's partitions.
func TestTrybootDebian(t *testing.T) {
	debian := machines(t).debian
	tools(t, "mcopy", "mtype", "fdtput", "debugfs")
	cache, err := UserCache(NewProgress(os.Stderr))
	if err != nil {
		t.Fatal(err)
	}
	pristine, err := cache.DemoTryboot()
	if err != nil {
		t.Fatal(err)
	}
	d, card := DemoTryboot(debian, initramfs(t, "initramfs.cpio.lz4")), filepath.Join(t.TempDir(), "card.img")
	if err := CopyImage(card, pristine); err != nil {
		t.Fatal(err)
	}
	tool := Minosctl{Program: filepath.Join(initramfsDirectory(), "minosctl"), Repository: ".."}
	if err := errors.Join(tool.InstallTryboot(d, card), RenewTryboot(d, card)); err != nil {
		t.Fatal(err)
	}
	f := PiFirmware{Card: d, Image: card, Dir: t.TempDir()}
	start, err := f.Start("0 tryboot")
	if err != nil || start.Partition != 3 {
		t.Fatalf("the firmware starts partition %d, %v", start.Partition, err)
	}
	r := runMachine(t, start.Machine, func(t *testing.T, vm *VM) {
		term := login(t, vm)
		t.Logf("the shell was there after %s", time.Since(vm.Started).Round(time.Second))
		for _, c := range []struct{ command, want string }{
			{"systemctl is-system-running --wait", "running"},
			{"systemctl --failed --no-legend --plain", ""},
			{"systemctl is-active minos-tryboot-commit.service", "active"},
			{"journalctl -b -o cat -u minos-tryboot-commit | grep default", "Slot B is the default from now on; the next trial is of slot A."},
			{"cat /etc/minos-version", UpdateVersion},
			{"findmnt -rno SOURCE,FSTYPE,OPTIONS /run/initramfs/rootfs", `/dev/vda5 ext4 +ro,noatime.*`},
			{"findmnt -rno SOURCE,FSTYPE,OPTIONS /boot/firmware", `/dev/vda3 vfat +ro,noatime,.*`},
			{"findmnt -rno SOURCE,FSTYPE,OPTIONS /home/shared", `/dev/vda6 ext4 +rw,noatime`},
			{"findmnt -rno SOURCE /run/minos/common", ""},
			{"minosctl tryboot status | head -n 3", `Running +slot B, partition 3\n +no trial +it was committed\nDefault +slot B, partition 3`},
		} {
			got, _ := term.Run(c.command)
			if !regexp.MustCompile("(?s)^" + c.want + "$").MatchString(got) {
				t.Errorf("%s\nsays %q\nwant %s", c.command, got, c.want)
			}
		}
		if err := vm.Send("systemctl reboot\n"); err != nil {
			t.Fatal(err)
		}
	}, loginDeadline)
	argument, restarted := RestartArgument(r.Console)
	if start, err = f.Start(argument); err != nil || !restarted || argument != "" || start.Partition != 3 {
		t.Errorf("it restarts %t with %q, and partition %d starts, %v", restarted, argument, start.Partition, err)
	}
}
