package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

// aSetWithCryptsetup is aSetWithTools, and cryptsetup in another module.
func aSetWithCryptsetup(files ...string) []string {
	return append(aSetWithTools(files...), sbFile("minios/06-crypt.sb", "usr/sbin/cryptsetup=\x7fELF"))
}

// lockedSession are the files of session 2, the default one, which "secret"
// opens.
func lockedSession() []string {
	return []string{
		"minios/changes/2/changes.luks=" + systest.Luks("secret", 500<<20, "changes/mine=of 2", "workdir/work/"),
		`minios/changes/session.json={"default": "2", "sessions": {"2": {"mode": "luks", "version": "5.0"}}}`,
	}
}

// usesVolume fails unless the encrypted session of this number is the upper.
func usesVolume(t *testing.T, k *systest.Kernel, number string) {
	t.Helper()
	report := readFile(k, "/run/minos/boot.json")
	if !strings.Contains(report, `"value": "`+number+`"`) || !strings.Contains(report, `"durability": "keep"`) || k.MountedAt(changesDir) != "/dev/mapper/minos-session" {
		t.Errorf("session %s is not used, %s is %q:\n%s\n%s", number, changesDir, k.MountedAt(changesDir), report, k.Trace())
	}
	if k.MountedAt("/mnt/stack") != "" || k.MountedAt("/mnt/tools-session") != "" {
		t.Errorf("the tools' place is still mounted:\n%s", k.Trace())
	}
}

// Layouts 3.6, statement 22: an encrypted session is made, opened with three tries,
// and nothing that is not encrypted takes its place.
func TestStatement3_6_22_EncryptedSession(t *testing.T) {
	k := bootModulesWith(t, "perchdir=new perchmode=luks perchsize=300", typing("secret", "secret"), stickWith(aSetWithCryptsetup()...))
	usesVolume(t, k, "1")
	if err := k.WriteFile("/written", []byte("now"), 0o644); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(k.Trace(), "ask for a secret, 1m0s: A passphrase for the new session 1:\nask for a secret, 1m0s: The same once more:\n") {
		t.Errorf("the questions:\n%s", k.Trace())
	}
	k = bootModulesWith(t, "perch perchsize=400", typing("", "wrong", "secret"), cutOff(k)...)
	usesVolume(t, k, "1")
	if got := readFile(k, "/written"); got != "now" || !strings.Contains(k.Trace(), "e2fsck -p -z /tmp/before-e2fsck -f /dev/mapper/minos-session") || !strings.Contains(k.Trace(), "session 1 has grown to 400 MiB") {
		t.Errorf("what the first boot wrote reads %q:\n%s", got, k.Trace())
	}
	meta := readFile(k, setStore+"/session.json")
	if !strings.Contains(meta, `"mode": "luks"`) || !strings.Contains(meta, `"size": "400"`) || strings.Contains(meta, "secret") {
		t.Errorf("session.json: %s", meta)
	}

	const wrong = "the session stays locked: cryptsetup open ended with exit status 2: No key available with this passphrase."
	for name, c := range map[string]struct {
		words  string
		break_ func(*systest.Kernel)
		files  []string
		said   string
		took   time.Duration
	}{
		"three times wrong":  {"perch", typing("1", "2", "3", "secret"), lockedSession(), wrong, 0},
		"silence":            {"perch", nil, lockedSession(), "the session stays locked: nobody has typed a passphrase within 1m0s", time.Minute},
		"silence after one":  {"perch", typing("1"), lockedSession(), "the session stays locked: nobody has typed a passphrase within 1m0s", time.Minute},
		"no console":         {"perch", func(k *systest.Kernel) { k.Fail("ask", io.EOF) }, lockedSession(), "the session stays locked: EOF", 0},
		"no volume":          {"perch", typing("1"), []string{"minios/changes/2/changes.luks=x", lockedSession()[1]}, "Device is not a valid LUKS device.", 0},
		"no file":            {"perch", typing("1"), []string{"minios/changes/2/x", lockedSession()[1]}, "no such file or directory", 0},
		"no cryptsetup":      {"perch noload=crypt", typing("secret"), lockedSession(), "the set has no cryptsetup in ", 0},
		"cryptsetup fails":   {"perch", func(k *systest.Kernel) { typing("secret")(k); k.Fail("cryptsetup open", sys.ErrKilled) }, lockedSession(), "was killed", 0},
		"damaged":            {"perch", func(k *systest.Kernel) { typing("secret")(k); k.Answer("e2fsck", sys.Exit{Status: 4}) }, lockedSession(), "it is damaged, and stays as it is", 0},
		"new, silence":       {"perchdir=new perchmode=luks", nil, nil, "nobody has typed a passphrase within 1m0s", time.Minute},
		"new, never twice":   {"perchdir=new perchmode=luks", typing("a", "b", "", "", "c", "d", "secret", "secret"), nil, "the session stays locked: there is no passphrase, or another one the second time", 0},
		"new, no cryptsetup": {"perchdir=new perchmode=luks noload=crypt", typing("a", "a"), nil, "the set has no cryptsetup in ", 0},
		"new, not formatted": {"perchdir=new perchmode=luks", func(k *systest.Kernel) { typing("a", "a")(k); k.Fail("cryptsetup luksFormat", unix.EIO) }, nil, "input/output error", 0},
		"another is wanted":  {"perch perchmode=luks", nil, sessions("2", 2), "session 2 has the mode native, and luks is wanted, and perch alone makes no new one", 0},
	} {
		k := bootModulesWith(t, c.words, c.break_, stickWith(aSetWithCryptsetup(c.files...)...))
		before := names(k, setStore)
		usesSession(t, k, "none")
		if !strings.Contains(k.Trace(), c.said) || k.Now() != c.took {
			t.Errorf("%s: after %v, want %q after %v:\n%s", name, k.Now(), c.said, c.took, k.Trace())
		}
		// Nothing but what was there, and no volume left open.
		want := len(makeNames(c.files))
		if len(before) != want || strings.Contains(k.Trace(), "changes.img") || strings.Contains(k.Trace(), "rename "+setStore) {
			t.Errorf("%s: the store holds %q:\n%s", name, before, k.Trace())
		}
		if strings.Count(k.Trace(), "cryptsetup close") != strings.Count(k.Trace(), "e2fsck -p") {
			t.Errorf("%s: the volume stays open:\n%s", name, k.Trace())
		}
	}
}

// makeNames are the names that these files have in a store.
func makeNames(files []string) []string {
	return names(bootOnly(files...), setStore)
}

// bootOnly is a machine that has not started, with a store of these files mounted.
func bootOnly(files ...string) *systest.Kernel {
	k := systest.New("", strings.TrimPrefix(dataDir, "/")+"/")
	k.AddDisk(stickWith(files...))
	_ = k.Mount(sys.MountRequest{Source: "/dev/sda1", Target: dataDir, FSType: "ext4"})
	return k
}

// The key may be in a file on another medium, to which nothing is written. What
// does not fit is asked for.
func TestKeyOfAnEncryptedSession(t *testing.T) {
	key := func(content string) *systest.Disk {
		d := named(stickWith("keys/minios="+content), "vdb")
		d.Parts[0].Label = "KEYS"
		return d
	}
	for name, c := range map[string]struct {
		word  string
		key   *systest.Disk
		typed []string
		said  string
		used  bool
	}{
		"on a label":                {"/dev/disk/by-label/KEYS/keys/minios", key("secret"), nil, "", true},
		"on a device":               {"/dev/vdb1/keys/minios", key("secret"), nil, "", true},
		"on the medium":             {"/dev/sda1/minios/config.conf", key(""), nil, "", true},
		"another":                   {"/dev/vdb1/keys/minios", key("other"), []string{"1", "2", "secret"}, "the key of session 2 in its file does not fit, ignoring: ", true},
		"another, and nobody types": {"/dev/vdb1/keys/minios", key("other"), []string{"1", "2", "3", "secret"}, "the key of session 2 in its file does not fit, ignoring: ", false},
		"no device":                 {"/dev/vdx1/keys/minios", key("secret"), []string{"secret"}, "somebody has to type the passphrase of session 2, ignoring: no /dev/vdx1/keys/minios within 10s", true},
		"no file":                   {"/dev/vdb1/keys/x", key("secret"), []string{"secret"}, "somebody has to type the passphrase of session 2, ignoring: ", true},
		"empty":                     {"/dev/vdb1/keys/minios", key(""), []string{"secret"}, "is no file of 1 to 65536 bytes", true},
		"a wrong word":              {"keys/minios", key("secret"), []string{"secret"}, "expected the path of a file, with /dev/NAME or /dev/disk/by-label/LABEL before it, ignoring: minos.session-key=keys/minios", true},
	} {
		k := bootModulesWith(t, "perch minos.session-key="+c.word, typing(c.typed...), stickWith(aSetWithCryptsetup(append(lockedSession(), "minios/config.conf=secret")...)...), c.key)
		if c.used {
			usesVolume(t, k, "2")
		} else {
			usesSession(t, k, "none")
		}
		if !strings.Contains(k.Trace(), c.said) || c.said == "" && strings.Contains(k.Trace(), "ask for") {
			t.Errorf("%s: want %q:\n%s", name, c.said, k.Trace())
		}
		if k.MountedAt("/mnt/key") != "" || strings.Contains(k.Trace(), "mount ext4 /dev/vdb1 /mnt/key rw") {
			t.Errorf("%s: the medium of the key can be written to:\n%s", name, k.Trace())
		}
	}
	k := bootModulesWith(t, "perch", func(k *systest.Kernel) { typing("secret")(k); k.Fail("cryptsetup close", unix.EIO) }, stickWith(aSetWithCryptsetup(lockedSession()...)...))
	usesVolume(t, k, "2")
	if !strings.Contains(k.Trace(), "the volume of session 2 stays open, ignoring: ") {
		t.Errorf("a volume that is not closed:\n%s", k.Trace())
	}
	k = bootModules(t, "perchdir=new perchmode=luks minos.session-key=/dev/vdb1/keys/minios", stickWith(aSetWithCryptsetup()...), key("secret"))
	usesVolume(t, k, "1")
}

// Whatever a cut leaves of a new encrypted session: the old one is what it was,
// and what was not finished is removed.
func TestPowerCutWhileAVolumeIsMade(t *testing.T) {
	const words = "perchdir=new perchmode=luks perchsize=300"
	machine := func() *systest.Kernel {
		k := systest.New(onModules + " " + words)
		k.AddDisk(stickWith(aSetWithCryptsetup(lockedSession()...)...))
		k.Type("secret", "secret")
		return k
	}
	whole := machine()
	start(whole, mount.InOrder)
	effects := strings.Count(whole.Trace(), "\n")
	for cut := range effects {
		for variant := 0; ; variant++ {
			k := machine()
			k.CutAfter(cut)
			start(k, mount.InOrder)
			keep, last := losses(variant, k.Unsynced())
			disks := k.CutPower(keep)
			after := bootModulesWith(t, "perch", typing("secret"), disks...)
			number := between(readFile(after, setStore+"/session.json"), `"default": "`, `"`)
			usesVolume(t, after, number)
			if number == "2" && readFile(after, changesDir+"/changes/mine") != "of 2" {
				t.Errorf("session 2 holds %q", names(after, changesDir))
			}
			after = bootModulesWith(t, words, typing("secret", "secret"), cutOff(after)...)
			if hasUnfinished(after) {
				t.Errorf("what was not finished is still there: %q", names(after, setStore))
			}
			if t.Failed() {
				t.Fatalf("cut after %d effects, loss %d:\n%s", cut, variant, k.Trace())
			}
			if last || testing.Short() && variant == 4 {
				break
			}
		}
	}
}
