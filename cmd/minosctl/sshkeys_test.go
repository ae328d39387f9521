package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/sys"
	"github.com/minos-os/minos-init/pkg/sys/systest"
)

// keyText is a private key as far as it is looked at, and pubText its other half.
func keyText(which string) string {
	return "-----BEGIN OPENSSH PRIVATE KEY-----\n" + which + "\n-----END OPENSSH PRIVATE KEY-----\n"
}
func pubText(which string) string { return "ssh-x AAAA" + which + "\n" }

// keyDisk is a device whose data partition, and the upper of its overlay, hold
// these files.
func keyDisk(data, upper []string) *systest.Disk {
	return &systest.Disk{Name: "vda", Parts: []*systest.Part{
		{Number: 3, FS: "ext4", Files: upper}, {Number: 4, FS: "ext4", Files: data},
	}}
}

// keyDevice is that device while it runs; /etc is in the upper.
func keyDevice(t *testing.T, d *systest.Disk) *systest.Kernel {
	t.Helper()
	k := systest.New("", "data/", "etc/", "dev/", "upper/")
	k.AddDisk(d)
	for _, m := range []sys.MountRequest{
		{Source: "devtmpfs", Target: "/dev", FSType: "devtmpfs"},
		{Source: "/dev/vda4", Target: "/data", FSType: "ext4"},
		{Source: "/dev/vda3", Target: "/upper", FSType: "ext4"},
	} {
		if err := k.Mount(m); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

// makes is a key generator whose keys tell which run of it has made them.
func makes(k *systest.Kernel, run string, without ...string) keygen {
	return func(generator, keyType, file string) error {
		if slices.Contains(without, keyType) {
			return errors.New("unknown key type " + keyType)
		}
		if _, err := k.Lstat(file); err == nil {
			return errors.New(file + " already exists")
		}
		// The real one syncs nothing either.
		return errors.Join(k.WriteFile(file, []byte(keyText(run+keyType)), 0o600), k.WriteFile(file+".pub", []byte(pubText(run+keyType)), 0o644))
	}
}

// keepOn does what the verb does for OpenSSH.
func keepOn(k *systest.Kernel, generate keygen) (warned string, err error) {
	h := hostKeys{kernel: k, keygen: generate, data: "/data", upper: "/upper",
		warn: func(format string, args ...any) { warned += fmt.Sprintf(format, args...) + "\n" }}
	return warned, h.keep(sshServers()[0], "/upper/etc/ssh")
}

// served is what the server would have of each type, "-" for none and "?" for
// halves that do not belong together.
func served(k *systest.Kernel, dir string) (keys []string) {
	for _, keyType := range sshServers()[0].types {
		key, err := k.ReadFile(dir + "/ssh_host_" + keyType + "_key")
		if errors.Is(err, fs.ErrNotExist) {
			keys = append(keys, "-")
			continue
		}
		pub, _ := k.ReadFile(dir + "/ssh_host_" + keyType + "_key.pub")
		which := strings.TrimSpace(strings.TrimPrefix(string(pub), "ssh-x AAAA"))
		if string(key) != keyText(which) || which == "" {
			which = "?"
		}
		keys = append(keys, which)
	}
	return keys
}

// keyFiles are the two halves of a key in a directory.
func keyFiles(dir, keyType, which string) []string {
	name := dir + "ssh_host_" + keyType + "_key"
	return []string{name + ":0600=" + keyText(which), name + ".pub=" + pubText(which)}
}

func TestSSHKeys(t *testing.T) {
	const store, etc = "config/ssh/", "etc/ssh/"
	for _, c := range []struct {
		name        string
		data, upper []string
		without     []string
		want        string // what is served, and kept
		warns       string
	}{
		{name: "a new device", want: "1ed25519 1ecdsa 1rsa"},
		{name: "no ecdsa", without: []string{"ecdsa"}, want: "1ed25519 - 1rsa", warns: "there is no ecdsa key for OpenSSH, ignoring: unknown key type ecdsa"},
		{name: "the slot has one", upper: keyFiles(etc, "rsa", "old"), want: "1ed25519 1ecdsa old"},
		{name: "the other slot has been here", data: keyFiles(store, "ed25519", "kept"), upper: keyFiles(etc, "ed25519", "old"), want: "kept 1ecdsa 1rsa"},
		{name: "cut short in the slot", upper: []string{"etc/ssh/ssh_host_rsa_key:0600=-----BEGIN OPENSSH PRI", "etc/ssh/ssh_host_rsa_key.pub=" + pubText("x")}, want: "1ed25519 1ecdsa 1rsa"},
		{name: "cut short on data", data: []string{"config/ssh/ssh_host_rsa_key:0600="}, upper: keyFiles(etc, "rsa", "old"), want: "1ed25519 1ecdsa old"},
		{name: "only the public half", data: keyFiles(store, "rsa", "x")[1:], want: "1ed25519 1ecdsa 1rsa"},
		{name: "remains of a cut", data: keyFiles(store+"new-", "ed25519", "x"), want: "1ed25519 1ecdsa 1rsa"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := keyDevice(t, keyDisk(c.data, c.upper))
			warned, err := keepOn(k, makes(k, "1", c.without...))
			if err != nil || strings.TrimSpace(warned) != c.warns {
				t.Errorf("%v, %s", err, warned)
			}
			for _, dir := range []string{"/data/config/ssh", "/upper/etc/ssh"} {
				if got := strings.Join(served(k, dir), " "); got != c.want {
					t.Errorf("%s has %s, want %s", dir, got, c.want)
				}
				for _, f := range k.Files(dir) {
					name, _, _ := strings.Cut(f, "=")
					if private := !strings.Contains(name, ".pub"); private != strings.HasSuffix(name, ":0600") || strings.HasPrefix(name, "new-") {
						t.Errorf("%s has %s", dir, name)
					}
				}
			}
			if info, err := k.Lstat("/data/config/ssh"); err != nil || len(c.data) == 0 && info.Mode.Perm() != 0o700 {
				t.Errorf("the directory has the mode %v (%v)", info.Mode, err)
			}
			before := k.Trace()
			if _, err := keepOn(k, makes(k, "2", c.without...)); err != nil || len(c.without) == 0 && k.Trace() != before {
				t.Errorf("a second run did something (%v): %s", err, strings.TrimPrefix(k.Trace(), before))
			}
		})
	}
}

// Dropbear's keys have no second half in a file, and no text to know them by.
func TestDropbearKeys(t *testing.T) {
	k := keyDevice(t, keyDisk([]string{"config/ssh/dropbear_ed25519_host_key:0600=short", "config/ssh/dropbear_rsa_host_key:0600=" + keyText("kept")}, nil))
	h := hostKeys{kernel: k, data: "/data", warn: t.Errorf, keygen: func(generator, keyType, file string) error {
		return k.WriteFile(file, []byte(keyText(generator+keyType)), 0o600)
	}}
	if err := h.keep(sshServers()[1], "/etc/dropbear"); err != nil {
		t.Fatal(err)
	}
	for keyType, want := range map[string]string{"ed25519": "dropbearkeyed25519", "ecdsa": "dropbearkeyecdsa", "rsa": "kept"} {
		if got, err := k.ReadFile("/etc/dropbear/dropbear_" + keyType + "_host_key"); err != nil || string(got) != keyText(want) {
			t.Errorf("%s: %q (%v)", keyType, got, err)
		}
	}
}

// No generator, no key: that is a failure, and the unit shows it.
func TestSSHKeysWithoutGenerator(t *testing.T) {
	k := keyDevice(t, keyDisk(nil, nil))
	warned, err := keepOn(k, func(string, string, string) error { return exec.ErrNotFound })
	if err == nil || !strings.Contains(warned, exec.ErrNotFound.Error()) {
		t.Errorf("%v, %s", err, warned)
	}
	if got := served(k, "/upper/etc/ssh"); !slices.Equal(got, []string{"-", "-", "-"}) {
		t.Errorf("%v", got)
	}
}

// Power cut at every call: each key is absent or whole, and one that the server
// can have had is the one that it has ever after.
func TestPowerCutLeavesWholeKeys(t *testing.T) {
	halved := []string{"config/ssh/ssh_host_ed25519_key:0600=-----BEG", "config/ssh/ssh_host_ed25519_key.pub=" + pubText("x")}
	for name, files := range map[string]struct{ data, upper []string }{
		"new": {}, "taken over": {upper: keyFiles("etc/ssh/", "ed25519", "old")}, "a damaged one": {data: halved},
	} {
		whole := keyDevice(t, keyDisk(files.data, files.upper))
		if _, err := keepOn(whole, makes(whole, "1")); err != nil {
			t.Fatal(err)
		}
		effects := strings.Count(whole.Trace(), "\n")
		for cut := range effects + 1 {
			for variant := range 40 {
				k := keyDevice(t, keyDisk(files.data, files.upper))
				mounts := strings.Count(k.Trace(), "\n")
				if cut < mounts {
					break
				}
				k.CutAfter(cut - mounts)
				_, err := keepOn(k, makes(k, "1"))
				had := []string{"-", "-", "-"}
				if err == nil { // the server was started
					had = served(k, "/upper/etc/ssh")
				}
				seed := uint64(variant)
				disks := k.CutPower(func(int) bool {
					seed = seed*6364136223846793005 + 1442695040888963407
					return variant == 1 || variant > 1 && seed>>63 == 0
				})
				next := keyDevice(t, disks[0])
				if _, err := keepOn(next, makes(next, "2")); err != nil {
					t.Fatalf("%s: cut after %d of %d, loss %d: %v", name, cut, effects, variant, err)
				}
				store, etc := served(next, "/data/config/ssh"), served(next, "/upper/etc/ssh")
				if !slices.Equal(store, etc) || slices.Contains(store, "?") || slices.Contains(store, "-") {
					t.Fatalf("%s: cut after %d of %d, loss %d: %v on /data, and %v", name, cut, effects, variant, store, etc)
				}
				for i := range had {
					if had[i] != "-" && had[i] != etc[i] {
						t.Fatalf("%s: cut after %d of %d, loss %d: the server had %v and has %v", name, cut, effects, variant, had, etc)
					}
				}
				if name == "taken over" && etc[0] != "old" {
					t.Fatalf("%s: cut after %d of %d, loss %d: the old key is lost: %v", name, cut, effects, variant, etc)
				}
			}
		}
	}
}

// The verb finds the servers and the upper by itself, and the real ssh-keygen
// makes keys that it reads again.
func TestSSHKeysWithTheRealGenerator(t *testing.T) {
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("ssh-keygen is not installed, and with CI=true nothing is skipped")
		}
		t.Skip("SKIPPED: ssh-keygen, of the package openssh-client, is not installed")
	}
	d := identified(t, anID, anID)
	if err := os.MkdirAll(d.path("usr/sbin"), 0o755); err != nil {
		t.Fatal(err)
	}
	d.file("usr/sbin/sshd", "")
	var out, errs bytes.Buffer
	h := host{root: d.root, kernel: sys.Linux{}, keygen: func(generator, keyType, file string) error {
		if keyType == "rsa" {
			return errors.New("it takes seconds")
		}
		return runKeygen(generator, keyType, file)
	}}
	if status := run(h, []string{"minosctl", "ssh-keys"}, &out, &errs); status != statusOK {
		t.Fatalf("status %d: %s", status, errs.String())
	}
	for _, keyType := range []string{"ed25519", "ecdsa"} {
		file := d.path("etc/ssh/ssh_host_" + keyType + "_key")
		printed, err := exec.Command("ssh-keygen", "-y", "-f", file).Output()
		pub, readErr := exec.Command("ssh-keygen", "-l", "-f", file+".pub").Output()
		if err != nil || readErr != nil || !bytes.Contains(printed, []byte(keyType)) || len(pub) == 0 {
			t.Errorf("%s: %v %v %s %s", keyType, err, readErr, printed, pub)
		}
	}
}
