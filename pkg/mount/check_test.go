package mount

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/minos-os/minos-init/pkg/sys"
	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

// slotRoot is a machine with a root filesystem of these files, mounted, and
// the toolbox that it is.
func slotRoot(t *testing.T, k *systest.Kernel, files ...string) Toolbox {
	t.Helper()
	k.AddDisk(&systest.Disk{Name: "vda", Parts: []*systest.Part{{Number: 6, FS: "ext4", Files: append(files, "dev/", "proc/", "run/")}}})
	root := Mount{Source: "/dev/vda6", Target: "/rootfs", FSType: "ext4", Flags: sys.ReadOnly}
	for _, m := range append(API(), root) {
		if err := m.Apply(Env{Kernel: k, Modules: allKnown{}}); err != nil {
			t.Fatal(err)
		}
	}
	return Toolbox{Root: root.Target, Name: "slot A"}
}

func TestToolbox(t *testing.T) {
	for _, test := range []struct {
		name      string
		initramfs []string
		files     []string // of the slot
		fail      string   // a call that fails
		ran       string
		err       string
	}{
		{"in the slot", nil, []string{"usr/sbin/e2fsck=\x7fELF", "tmp/"}, "", "tool in /mnt/tools: /usr/sbin/e2fsck -p x", ""},
		{"behind a link", nil, []string{"sbin->usr/bin", "usr/bin/e2fsck=\x7fELF", "tmp/"}, "", "tool in /mnt/tools: /usr/bin/e2fsck -p x", ""},
		{"in the initramfs", []string{"sbin/e2fsck=\x7fELF"}, []string{"usr/sbin/e2fsck=\x7fELF", "tmp/"}, "", "tool in /: /sbin/e2fsck -p x", ""},
		{"nowhere", nil, []string{"tmp/"}, "", "", "slot A has no e2fsck in /usr/sbin, /usr/bin, /sbin, /bin"},
		{"not executable", nil, []string{"usr/sbin/e2fsck=text", "tmp/"}, "", "", "slot A has no e2fsck in "},
		{"no place for it", nil, []string{"usr/sbin/e2fsck=\x7fELF"}, "", "", "e2fsck of slot A has no place to run: mkdir /mnt/tools/tmp: read-only file system"},
		{"a mount fails", nil, []string{"usr/sbin/e2fsck=\x7fELF", "tmp/"}, "mount proc proc /mnt/tools", "", "e2fsck of slot A has no place to run: "},
		{"it does not start", nil, []string{"usr/sbin/e2fsck=\x7fELF", "tmp/"}, "tool in", "tool in /mnt/tools: /usr/sbin/e2fsck -p x = EIO", "exec /usr/sbin/e2fsck: input/output error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := systest.New("", test.initramfs...)
			tools := slotRoot(t, k, test.files...)
			if test.fail != "" {
				k.Fail(test.fail, unix.EIO)
			}
			_, err := tools.Run(Env{Kernel: k, Modules: allKnown{}}, "/mnt/tools", time.Second, "e2fsck", "-p", "x")
			if (err != nil) != (test.err != "") || err != nil && !strings.HasPrefix(err.Error(), test.err) {
				t.Errorf("error %v, want %q", err, test.err)
			}
			ran := ""
			for line := range strings.Lines(k.Trace()) {
				if strings.HasPrefix(line, "tool ") {
					ran += strings.TrimSuffix(line, "\n")
				}
			}
			if ran != test.ran {
				t.Errorf("it ran %q, want %q", ran, test.ran)
			}
			for _, place := range []string{"", "/dev", "/proc", "/run", "/tmp"} {
				if k.MountedAt("/mnt/tools"+place) != "" {
					t.Errorf("/mnt/tools%s is still mounted", place)
				}
			}
		})
	}
}

func TestCheck(t *testing.T) {
	const (
		line   = "Inode 12 was wrong. FIXED.\n" // with ; it is 28 bytes long
		doubt  = "says that it has errors"
		mended = "e2fsck has gone through /dev/vda3 and left no errors: "
		unrun  = "/dev/vda3 says that it has errors, and is used unchecked, ignoring: "
	)
	for _, test := range []struct {
		name   string
		check  Check
		noTool bool
		exit   sys.Exit
		fails  error // the run itself
		option string
		limit  time.Duration
		said   string
		err    string
	}{
		{name: "mended", exit: sys.Exit{Status: 1, Output: "overlay: one\n\n  two \n"}, said: mended + "overlay: one; two"},
		{name: "clean", check: Check{Doubt: doubt}, exit: sys.Exit{Output: "overlay: clean\n"}, said: mended + "overlay: clean"},
		{name: "not mended", exit: sys.Exit{Status: 4, Output: "by hand"}, err: "it is not mended: e2fsck of /dev/vda3 ended with exit status 4: by hand"},
		{name: "doubted and not mended", check: Check{Doubt: doubt}, exit: sys.Exit{Status: 4}, err: "it is not mended: e2fsck of /dev/vda3 ended with exit status 4: "},
		{name: "mended, but for a root that is in use", exit: sys.Exit{Status: 3}, err: "it is not mended: "},
		{name: "no tool", noTool: true, err: "it is not mended: slot A has no e2fsck in "},
		{name: "doubted, no tool", check: Check{Doubt: doubt}, noTool: true, said: unrun + "slot A has no e2fsck in /usr/sbin, /usr/bin, /sbin, /bin"},
		{name: "doubted, took too long", check: Check{Doubt: doubt}, fails: sys.ErrKilled, err: "it is not mended: exec /usr/sbin/e2fsck: was killed because it took too long"},
		{name: "many words", exit: sys.Exit{Status: 1, Output: strings.Repeat(line, 50) + "8 bytes."},
			said: mended + "…" + strings.Repeat("Inode 12 was wrong. FIXED.; ", 14) + "8 bytes."},
		{name: "all is to be mended", check: Check{Repair: "-y"}, exit: sys.Exit{Status: 1}, option: "-y", said: mended},
		{name: "nothing is to be mended", check: Check{Repair: "-n", Doubt: doubt}, exit: sys.Exit{Status: 4}, option: "-n", err: "it is not mended: "},
		{name: "never", check: Check{Never: true}, err: "it is not mended: fsck.mode=skip wants no e2fsck"},
		{name: "never, doubted", check: Check{Never: true, Doubt: doubt}, said: unrun + "fsck.mode=skip wants no e2fsck"},
		{name: "large", check: Check{Size: 128 << 30}, limit: 3 * time.Minute, said: "told: e2fsck goes through /dev/vda3, for at most 3m0s" + mended},
		{name: "larger than anybody waits for", check: Check{Size: 4 << 40}, limit: 15 * time.Minute, said: "told: e2fsck goes through /dev/vda3, for at most 15m0s" + mended},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := systest.New("")
			files := []string{"tmp/"}
			if !test.noTool {
				files = append(files, "usr/sbin/e2fsck=\x7fELF")
			}
			tools := slotRoot(t, k, files...)
			k.Answer("e2fsck", test.exit)
			if test.fails != nil {
				k.Fail("tool in", test.fails)
			}
			said := ""
			c := test.check
			c.Device, c.Tools = "/dev/vda3", tools
			err := c.Apply(Env{Kernel: k, Modules: allKnown{}, Say: func(line string) { said += line }, Tell: func(line string) { said += "told: " + line }})
			if (err != nil) != (test.err != "") || err != nil && !strings.HasPrefix(err.Error(), test.err) {
				t.Errorf("error %v, want %q", err, test.err)
			}
			if diff := gocmp.Diff(test.said, said); diff != "" {
				t.Errorf("said (-want +got):\n%s", diff)
			}
			if test.fails != nil && !errors.Is(err, test.fails) {
				t.Errorf("the error %v is not %v", err, test.fails)
			}
			ran := fmt.Sprintf("tool in /mnt/tools-vda3: /usr/sbin/e2fsck %s -f /dev/vda3", cmp.Or(test.option, "-p"))
			if want := !test.noTool && !test.check.Never; strings.Contains(k.Trace(), ran) != want {
				t.Errorf("%q: %t, want %t:\n%s", ran, !want, want, k.Trace())
			}
			if got, want := CheckTime(c.Size), cmp.Or(test.limit, time.Minute); got != want {
				t.Errorf("it may take %v, want %v", got, want)
			}
		})
	}
}

// A step that fails is mended once and tried once more, when what mends it can
// be there; who needs it waits, and who does not is not held up.
func TestMend(t *testing.T) {
	for _, c := range []struct {
		name   string
		fails  int // how often the step fails
		mends  bool
		want   string
		err    string // of the step's outcome
		orphan bool   // the step that mending waits for fails
	}{
		{"not needed", 0, true, "try a, after, slow", "", false},
		{"mended", 1, true, "try a, slow, mend, try a, after", "", false},
		{"fails again", 2, true, "try a, slow, mend, try a, instead, without", "cannot do a: first; second", false},
		{"not mended", 1, false, "try a, slow, mend, instead, without", "cannot do a: first; not mended", false},
		{"mending waits for what fails", 1, true, "try a, slow, mend, try a, after", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var did []string
			note := func(name string, err func() error) Action {
				return call{name, func() error { did = append(did, name); return err() }}
			}
			fine := func() error { return nil }
			tries := 0
			try := func() error {
				tries++
				if tries > c.fails {
					return nil
				}
				return errors.New([]string{"first", "second"}[tries-1])
			}
			mend := func() error {
				if !c.mends {
					return errors.New("not mended")
				}
				return nil
			}
			slow := fine
			if c.orphan {
				slow = func() error { return errBroken }
			}
			built, err := Build(env(), []Step{
				{Name: "slow", Do: []Action{note("slow", slow)}, Tolerated: true},
				{Name: "a", Title: "do a", Do: []Action{note("try a", try)}, Mend: []Action{note("mend", mend)}, MendAfter: []string{"slow"},
					Tolerated: true, Else: []Action{note("instead", fine)}, Loss: "a is lost"},
				{Name: "after", Needs: []string{"a"}, Do: []Action{note("after", fine)}, Tolerated: true, Else: []Action{note("without", fine)}},
			}, func(ready int) int { return ready - 1 }) // "a" begins before "slow"
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(did, ", "); got != c.want {
				t.Errorf("did %s; want %s", got, c.want)
			}
			outcome := ""
			for _, o := range built.Outcomes {
				if o.Step == "a" && o.Err != nil {
					outcome = o.Err.Error()
				}
				if o.Step == "a" && o.Full != (c.err == "") {
					t.Errorf("the step was done in full: %v", o.Full)
				}
			}
			if outcome != c.err {
				t.Errorf("the outcome's error is %q, want %q", outcome, c.err)
			}
		})
	}
}

// call is an action that is a function.
type call struct {
	name string
	do   func() error
}

func (c call) Apply(Env) error { return c.do() }
func (c call) Undo(Env) error  { return nil }
func (c call) String() string  { return c.name }
