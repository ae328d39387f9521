package qemu

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	// loginDeadline is ample for Debian's way to the login prompt, 15 to 40 s.
	loginDeadline = 4 * time.Minute
	// commandDeadline is ample for a command typed there.
	commandDeadline = time.Minute
)

// Terminal is a root shell on the serial console of a machine that runs Debian.
type Terminal struct {
	t  *testing.T
	vm *VM
}

// login waits for the login prompt and logs in.
func login(t *testing.T, vm *VM) Terminal {
	t.Helper()
	term := Terminal{t, vm}
	term.talk("minos login: ", "root\n", loginDeadline)
	// Not bash, whose line editor paints on the terminal; and without an echo,
	// so that what comes back is only what the command printed.
	term.talk("# ", "exec env PS1= TERM=dumb SYSTEMD_COLORS=0 SYSTEMD_PAGER= sh\n", commandDeadline)
	term.talk("exec env", "stty -echo; printf 'ready %d\\n' 1\n", commandDeadline)
	term.talk("ready 1\n", "", commandDeadline)
	return term
}

func (term Terminal) talk(expect, send string, within time.Duration) {
	term.t.Helper()
	if err := term.vm.Expect(expect, within); err != nil {
		term.t.Fatal(err)
	}
	if err := term.vm.Send(send); err != nil {
		term.t.Fatal(err)
	}
}

// Run types a command and returns what it printed, without space around it, and
// its exit status.
func (term Terminal) Run(command string) (output, status string) {
	term.t.Helper()
	return term.RunWithin(command, commandDeadline)
}

// RunWithin is Run for a command that takes longer.
func (term Terminal) RunWithin(command string, within time.Duration) (output, status string) {
	term.t.Helper()
	if err := term.vm.Send(command + "\nprintf 'status %d.\\n' $?\n"); err != nil {
		term.t.Fatal(err)
	}
	match, err := term.vm.ExpectRegexp(regexp.MustCompile(`(?s)(.*)status (\d+)\.\n`), within)
	if err != nil {
		term.t.Fatal(err)
	}
	return strings.TrimSpace(match[1]), match[2]
}

// TestDebianWithoutInitramfs is the measure for our init: what this root
// filesystem is like when the kernel mounts it itself, from an NVMe disk, whose
// driver it has built in. Nothing fails there, so nothing may fail with us.
func TestDebianWithoutInitramfs(t *testing.T) {
	r := runMachine(t, Machine{
		Kernel: machines(t).debian.Image,
		Append: []string{"root=/dev/nvme0n1p6", "rootfstype=ext4", "rw", "panic=-1"},
		Drives: []Drive{{File: machines(t).demo, NVMe: true}},
	}, func(t *testing.T, vm *VM) {
		term := login(t, vm)
		t.Logf("the shell was there after %s", time.Since(vm.Started).Round(time.Second))
		got := map[string]string{}
		for _, command := range []string{
			"systemctl is-system-running --wait", "systemctl --failed --no-legend --plain", "cat /etc/minos-slot",
			"stat -c '%A %U %G' /usr/bin/su /etc/shadow", "findmnt -rno FSTYPE /",
		} {
			got[command], _ = term.Run(command)
		}
		want := map[string]string{
			"systemctl is-system-running --wait": "running", "systemctl --failed --no-legend --plain": "", "cat /etc/minos-slot": "A",
			"stat -c '%A %U %G' /usr/bin/su /etc/shadow": "-rwsr-xr-x root root\n-rw-r----- root shadow", "findmnt -rno FSTYPE /": "ext4",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("what Debian says (-want +got):\n%s", diff)
		}
		if err := vm.Send("poweroff\n"); err != nil {
			t.Fatal(err)
		}
	}, loginDeadline)
	if r.Ending != PowerOff {
		t.Errorf("the machine ended with %s, want %s", r.Ending, PowerOff)
	}
}

// TestDebian boots the real thing with our init: nothing may differ from a boot
// without an initramfs but what the layout is for. And it is whole when it has
// gone.
func TestDebian(t *testing.T) {
	image := filepath.Join(t.TempDir(), "disk.img")
	if err := CopyImage(image, machines(t).demo); err != nil {
		t.Fatal(err)
	}
	r := boot(t, Case{
		Image: image, Change: keep, Append: []string{"rauc.slot=B", "panic=-1"}, Within: loginDeadline,
		Drive: func(t *testing.T, vm *VM) {
			term := login(t, vm)
			t.Logf("the shell was there after %s", time.Since(vm.Started).Round(time.Second))
			checkDebian(t, term)
			if err := vm.Send("poweroff\n"); err != nil {
				t.Fatal(err)
			}
		},
	})
	t.Logf("serial console: %s", saveLog(t, r.Console))
	if r.Ending != PowerOff {
		t.Errorf("the machine ended with %s, want %s", r.Ending, PowerOff)
	}
	shows(t, r.Console, "Entering exitrd...", "minos: shut down: 3 of 3 filesystems unmounted, took=")
	_, after, _ := strings.Cut(r.Console, "Entering exitrd")
	lacks(t, after, "ignoring")
	cleanOnDisk(t, DebianDisk(machines(t).debian), image)
}

// checkDebian compares what commands say with regular expressions, each for all
// of the output.
func checkDebian(t *testing.T, term Terminal) {
	t.Helper()
	for _, c := range []struct{ command, want string }{
		{"systemctl is-system-running --wait", "running"},
		{"systemctl --failed --no-legend --plain", ""},
		{"systemctl is-active multi-user.target", "active"},
		{"cat /etc/minos-slot", "B"},
		{"findmnt -rno FSTYPE,OPTIONS /", `overlay +rw,.*upperdir=/run/initramfs/overlay/b/upper,.*`},
		{"findmnt -rno SOURCE,FSTYPE,OPTIONS /data", `/dev/vda4 ext4 +rw,noatime`},
		{"findmnt -rno SOURCE,FSTYPE,OPTIONS /boot/firmware", `/dev/vda1 vfat +ro,noatime,.*`},
		{"findmnt -rno SOURCE,FSTYPE,OPTIONS /run/initramfs/rootfs", `/dev/vda8 ext4 +ro,noatime`},
		{"findmnt -rno SOURCE,FSTYPE,OPTIONS /run/initramfs/overlay", `/dev/vda3 ext4 +rw,noatime`},
		{"findmnt -rno FSTYPE,OPTIONS /run", `tmpfs +rw,nosuid,nodev,.*`},
		{"readlink /run/systemd/volatile-root", "/dev/block/254:8"},
		{"cat /etc/machine-id", "[0-9a-f]{32}"},
		{"ls /etc/initrd-release", ".*No such file or directory"},
		{"systemd-analyze | head -n 1", `Startup finished in [0-9.ms ]+ \(kernel\) \+ [0-9.]+m?s \(initrd\) \+ .*\(userspace\).*`},
		{"journalctl -b -o cat -t minos | grep -c '^OK layout=slots slot=B root=/dev/vda8 upper=keep took='", "1"},
		{"tr '\\0' ' ' </proc/1/cmdline", "/sbin/init --switched-root --system --deserialize=[0-9]+"},
		{"tr '\\0' ' ' </proc/1/environ", "PATH=[a-z/:]+ TERM=[a-z0-9]+"},
		{"grep -o '\"degraded\": [a-z]*' /run/minos/boot.json", `"degraded": false`},
		{"dmesg -t --level=emerg,alert,crit,err,warn | grep -i -e '^minos' -e overlay -e ext4 -e fat-fs | grep -v '^minos: this machine has an identity from now on'", ""},
	} {
		term.says(c.command, c.want)
	}
}
