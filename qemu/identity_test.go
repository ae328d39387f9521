package qemu

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// systemdStubDisk is the stub disk with a stub that init takes for systemd, and
// the unit that would tell of a first boot.
func systemdStubDisk(stub string) Disk {
	disk := StubDisk(stub)
	tree := Tree{}.With(Dir("usr"), Dir("usr/lib"), Dir("usr/lib/systemd"), Dir("usr/lib/systemd/system"), Dir("etc"), Dir("sbin"),
		File{Name: "usr/lib/systemd/systemd", Mode: 0o755, From: stub}, Link("sbin/init", "/usr/lib/systemd/systemd"),
		Text("usr/lib/systemd/system/minos-first-boot-complete.service", ""), Text("etc/machine-id", ""))
	disk.RootFSA, disk.RootFSB = rootfs(24, tree, "A"), rootfs(24, tree, "B")
	return disk
}

// Layouts 1.7, statement 6, on a kernel: one machine-id for both slots and every
// boot, given to systemd as a credential until the first boot is complete.
func TestStatement1_7_6_OneMachineIDInBothSlots(t *testing.T) {
	t.Parallel()
	image := filepath.Join(t.TempDir(), "disk.img")
	if err := systemdStubDisk(machines(t).stub).Write(image); err != nil {
		t.Fatal(err)
	}
	const (
		directory   = "stat:/run/credentials/@initrd"
		file        = directory + "/system.machine_id"
		etc, stored = "read:/etc/machine-id", "read:/data/config/system/machine-id"
		mode        = "stat:/etc/machine-id"
		credential  = "read:/run/credentials/@initrd/system.machine_id"
	)
	start := func(slot string, more ...string) Result {
		r := boot(t, Case{Image: image, Change: keep, Append: []string{"rauc.slot=" + slot}, Do: append([]string{etc, mode, stored, credential}, more...)})
		if report := r.handedOver(t); report.Degraded {
			t.Errorf("the boot of slot %s is degraded: %q", slot, report.DegradedReasons)
		}
		return r
	}
	first := start("A", directory, file)
	id := strings.Trim(first.result(t, credential), `"`)
	// A UUID of version 4, RFC 9562.
	if !regexp.MustCompile(`^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$`).MatchString(id) {
		t.Fatalf("the machine-id is %q", id)
	}
	check := func(name string, r Result, want map[string]string) {
		t.Helper()
		want[mode], want[stored] = "mode=100444 uid=0 gid=0 ", `"`+id+`\n"`
		for verb, result := range want {
			if got := r.result(t, verb); !strings.HasPrefix(got, result) {
				t.Errorf("%s: %s says %s, want %s", name, verb, got, result)
			}
		}
	}
	const uninitialized = `"uninitialized\n"`
	check("the first boot", first, map[string]string{
		etc: uninitialized, credential: `"` + id + `"`, directory: "mode=40700 uid=0 gid=0 ", file: "mode=100400 uid=0 gid=0 ",
	})
	// No boot has told that it is complete, so the next is a first one as well.
	check("in the other slot", start("B", "write:/data/config/system/first-boot-complete="+id), map[string]string{
		etc: uninitialized, credential: `"` + id + `"`,
	})
	for _, slot := range []string{"B", "A"} {
		check("afterwards, in "+slot, start(slot), map[string]string{etc: `"` + id + `\n"`, credential: "ENOENT"})
	}
}

// TestDebianKeepsItsIdentity is the story with systemd: the first boot runs under
// the id of /data from its first line on, and the other slot is the same machine
// for systemd, its journal and SSH.
func TestDebianKeepsItsIdentity(t *testing.T) {
	suite := machines(t)
	image := filepath.Join(t.TempDir(), "disk.img")
	err := CopyImage(image, suite.demo)
	if err == nil {
		err = minosctl(t).Install(debianDisk(suite.debian, false), image)
	}
	if err != nil {
		t.Fatal(err)
	}
	wanted := ""
	if os.Getenv("MINOS_TEST_ALL") != "" {
		wanted = cutInAFirstBoot(t, image)
	}
	session := func(slot string, use func(Terminal)) {
		r := boot(t, Case{
			Image: image, Change: keep, Append: append(sessionWords(), "rauc.slot="+slot), Within: loginDeadline,
			Drive: func(t *testing.T, vm *VM) {
				term := login(t, vm)
				t.Logf("the shell was there after %s", time.Since(vm.Started).Round(time.Second))
				term.says("systemctl is-system-running --wait", "running")
				term.says("cmp /etc/machine-id /data/config/system/machine-id", "")
				term.says("stat -c %a /etc/machine-id /data/config/system/machine-id", "444\n444")
				// Each id that something was journalled under has a directory.
				term.says("ls /run/log/journal | cmp - /etc/machine-id", "")
				term.says("systemctl is-active minos-first-boot-complete.service minos-ssh-keys.service", map[string]string{"A": "active\nactive", "B": "inactive\nactive"}[slot])
				term.says("cmp /data/config/system/first-boot-complete /etc/machine-id", "")
				// What the package's script would have done when it was installed.
				term.Run("systemd-sysusers && cp /usr/share/openssh/sshd_config /etc/ssh/")
				term.says("systemctl start ssh && systemctl is-active ssh || journalctl -b -u ssh -o cat", "active")
				use(term)
				if err := vm.Send("poweroff\n"); err != nil {
					t.Fatal(err)
				}
			},
		})
		if r.Ending != PowerOff {
			t.Errorf("the machine ended with %s, want %s", r.Ending, PowerOff)
		}
	}
	// An emulated processor takes its time to shake hands.
	const serve = "ssh-keyscan -T 100 -t ed25519,ecdsa 127.0.0.1 2>&1 | grep -v '^#' | sort"
	served := func(term Terminal) string {
		t.Helper()
		keys, _ := term.RunWithin(serve, 5*time.Minute)
		if strings.Count(keys, "127.0.0.1 ") != 2 {
			t.Errorf("sshd serves %q, want a key of each of two types", keys)
		}
		return keys
	}
	var id, keys string
	session("A", func(term Terminal) {
		term.says("journalctl -b -o cat | grep -c -e '^Detected first boot' -e '^Initializing machine ID from credential'", "2")
		id, _ = term.Run("cat /etc/machine-id")
		if wanted != "" && id != wanted {
			t.Errorf("the machine-id is %q after a cut in the first boot, and was %q", id, wanted)
		}
		keys = served(term)
	})
	session("B", func(term Terminal) {
		term.says("journalctl -b -o cat | grep -c '^Detected first boot'", "0")
		term.says("cat /etc/machine-id", id)
		if again := served(term); again != keys {
			t.Errorf("sshd serves other keys than slot A did:\n%s\n%s", again, keys)
		}
	})
}

// cutInAFirstBoot takes the power away from a first boot once systemd has said
// that it is one, long before it is complete, and returns the machine-id that is
// on /data then.
func cutInAFirstBoot(t *testing.T, image string) string {
	t.Helper()
	m := Machine{
		Kernel: machines(t).debian.Image, Initramfs: initramfs(t, releaseImage), Append: append(sessionWords(), "rauc.slot=A"),
		Drives: []Drive{{File: image, Keep: true}},
	}
	vm := start(t, m)
	if err := vm.Expect("systemd[1]: Detected first boot.", loginDeadline); err != nil {
		t.Fatal(err)
	}
	if err := vm.Stop(); err != nil {
		t.Fatal(err)
	}
	// A copy is looked at: to recover the journal is the next boot's business.
	cut := filepath.Join(t.TempDir(), "cut.img")
	if err := CopyImage(cut, image); err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("%s?offset=%d", cut, dataOf(debianDisk(machines(t).debian, false)).Start)
	_, _ = Tool("e2fsck", "-p", at) // replays the journal; what is read is judged
	read := func(file string) string {
		out, err := Tool("debugfs", "-R", "cat config/system/"+file, at)
		if err != nil {
			t.Fatalf("debugfs: %v, %s", err, out)
		}
		return string(out)
	}
	if done := read("first-boot-complete"); !strings.Contains(done, "File not found") {
		t.Errorf("the first boot is noted as complete when the power goes: %q", done)
	}
	id := regexp.MustCompile("(?m)^[0-9a-f]{32}$").FindString(read("machine-id"))
	if id == "" {
		t.Errorf("there is no machine-id on /data when the power goes: %q", read("machine-id"))
	}
	return id
}
