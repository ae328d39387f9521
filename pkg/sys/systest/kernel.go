// Package systest is a kernel in memory. It does what sys.Kernel promises, on
// filesystems, mounts and disks that a test describes in a few lines, and it
// writes one readable line for each effect: the golden trace of a boot. Any
// call can be made to fail.
package systest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/minos-os/minos-init/pkg/sys"
	"golang.org/x/sys/unix"
)

// Kernel records what is done to it. Make one with New.
type Kernel struct {
	mu     sync.Mutex
	trace  []string
	rules  []*rule
	now    time.Duration
	uname  sys.Uname
	mounts []*mountpoint
	ended  string
	goesOn bool
	left   int // effects until the power is cut; negative: it stays

	proc, sysfs, dev *node
	loops            map[string]*loopFile // by their devices
	disks            []*Disk
	listeners        []*listener
	answers          map[string]sys.Exit // of tools, by name
	known            map[string]bool     // filesystem types
	loaded           map[string]bool     // kernel modules
	nextDev          uint64
	random           byte // that Random gives next
	reads            []string
	slack            time.Duration
	typed            []string // at the console, that nobody has read yet
}

// RelaxTimers implements sys.Processes. It changes nothing of the machine, and so
// is not in the trace.
func (k *Kernel) RelaxTimers(slack time.Duration) { k.slack = slack }

// Slack is what RelaxTimers was told last.
func (k *Kernel) Slack() time.Duration { return k.slack }

// Reads are the files that were read, in order, by the paths that they had then.
func (k *Kernel) Reads() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.reads)
}

var _ sys.Kernel = (*Kernel)(nil)

// rule makes calls fail.
type rule struct {
	contains string
	err      error
	times    int // how often still; negative: always
}

// New makes a machine with this command line, whose initramfs holds these
// files (written as in Part.Files) and whose kernel has the filesystems that
// the layouts use built in.
func New(cmdline string, initramfs ...string) *Kernel {
	k := &Kernel{
		left:   -1,
		uname:  sys.Uname{Release: "6.12.0-test"},
		known:  map[string]bool{},
		loaded: map[string]bool{},
		proc: makeTree([]string{
			"cmdline=" + cmdline + "\n",
			meminfo(400),
			"sys/kernel/panic=0\n",
		}),
		sysfs: makeTree([]string{"class/block/", "devices/", "bus/"}),
		dev:   makeTree([]string{"console=", "kmsg=", "null="}),
	}
	k.addFilesystems("proc", "sysfs", "devtmpfs", "tmpfs", "ext4", "overlay", "squashfs", "vfat", "erofs", "iso9660", "btrfs")
	root := makeTree(append([]string{"dev/null=", "proc/", "sys/", "run/", "exitrd/dev/", "exitrd/oldroot/", "exitrd/proc/", "exitrd/run/", "exitrd/sys/", "etc/initrd-release=ID=minos-init\n"}, initramfs...))
	k.mounts = []*mountpoint{{at: "/", source: "rootfs", fs: k.newFilesystem("ramfs", root)}}
	return k
}

// meminfo is /proc/meminfo of a machine with 512 MiB and so many of them free.
func meminfo(free int) string {
	return fmt.Sprintf("meminfo=MemTotal: %d kB\nMemFree: 1 kB\nMemAvailable: %d kB\n", 512<<10, free<<10)
}

// FreeMemory sets how many MiB of the 512 are free.
func (k *Kernel) FreeMemory(mib int) {
	k.proc.put("meminfo", makeTree([]string{meminfo(mib)}).entries["meminfo"])
}

// addFilesystems makes the kernel know more filesystem types.
func (k *Kernel) addFilesystems(types ...string) {
	var text strings.Builder
	for _, t := range types {
		k.known[t] = true
	}
	for _, t := range slices.Sorted(maps.Keys(k.known)) {
		fmt.Fprintf(&text, "\t%s\n", t)
	}
	k.proc.put("filesystems", &node{mode: 0o444, data: []byte(text.String())})
}

// PutProc puts a file below /proc, such as one of the device tree.
func (k *Kernel) PutProc(name, content string) {
	k.proc.put(name, &node{mode: 0o444, data: []byte(content)})
}

// PutDev makes a device that takes whatever is written to it.
func (k *Kernel) PutDev(name string) { k.dev.put(name, &node{mode: fs.ModeCharDevice | 0o600}) }

// PutSys puts a file below /sys.
func (k *Kernel) PutSys(name, content string) {
	k.sysfs.put(name, &node{mode: 0o444, data: []byte(content)})
}

// ForgetFilesystem takes a filesystem type away, as on a kernel whose support
// for it is a module.
func (k *Kernel) ForgetFilesystem(t string) {
	delete(k.known, t)
	k.addFilesystems()
}

// Fail makes each call whose line in the trace contains text fail with err.
func (k *Kernel) Fail(text string, err error) { k.FailTimes(text, -1, err) }

// FailTimes is Fail for the first n such calls.
func (k *Kernel) FailTimes(text string, n int, err error) {
	k.rules = append(k.rules, &rule{text, err, n})
}

// Trace is what was done so far, one line a call.
func (k *Kernel) Trace() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return strings.Join(k.trace, "\n") + "\n"
}

// Files lists what is below path in one filesystem, as in Part.Files; nil when
// there is nothing.
func (k *Kernel) Files(path string) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, err := k.walk("/", path, true)
	if err != nil || p.node() == nil {
		return nil
	}
	return p.node().list("")
}

// MountedAt is the source of what is mounted at path, "" when nothing is.
func (k *Kernel) MountedAt(path string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if m := k.mountAt(path); m != nil {
		return m.source
	}
	return ""
}

// Ended says how the machine's run ended: "exec PATH", a sys.Ending, "stay"
// for a sleep without end, "cut" for the power, or "" when it has not.
func (k *Kernel) Ended() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ended
}

// errEnded is what every call gets after the machine's run has ended.
var errEnded = errors.New("the machine has been restarted or given away")

// effect writes a line to the trace and says whether the call is to fail.
func (k *Kernel) effect(format string, args ...any) error {
	line := fmt.Sprintf(format, args...)
	if k.left == 0 && k.ended == "" {
		k.ended = "cut"
	}
	if k.ended != "" {
		return errEnded
	}
	k.left--
	for _, r := range k.rules {
		if r.times == 0 || !strings.Contains(line, r.contains) {
			continue
		}
		r.times--
		k.trace = append(k.trace, line+" = "+errorName(r.err))
		return r.err
	}
	k.trace = append(k.trace, line)
	return nil
}

// errorName is an error as a trace shows it: EIO rather than its text.
func errorName(err error) string {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

// failed is how an errno comes back from a call on a path.
func failed(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}

// Now implements sys.Kernel. The clock stands still but for waits.
func (k *Kernel) Now() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

// Realtime implements sys.Kernel. It is a board without a clock.
func (k *Kernel) Realtime() time.Time { return time.Unix(0, 0).Add(k.Now()) }

// Sleep implements sys.Kernel. To sleep for ever ends the run.
func (k *Kernel) Sleep(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if d > 365*24*time.Hour {
		_ = k.effect("sleep for ever")
		k.ended = "stay"
		return
	}
	_ = k.effect("sleep %v", d)
	k.advance(k.now + d)
}

// RandomFrom sets the byte that Random gives next.
func (k *Kernel) RandomFrom(first byte) { k.random = first }

// Random implements sys.Kernel. What comes can be told beforehand: the bytes
// count up, from 0 where RandomFrom says nothing else.
func (k *Kernel) Random(n int) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("random %d", n); err != nil {
		return nil, err
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = k.random
		k.random++
	}
	return b, nil
}

// Uname implements sys.Kernel.
func (k *Kernel) Uname() (sys.Uname, error) { return k.uname, nil }

// AttachConsole implements sys.Kernel.
func (k *Kernel) AttachConsole(path string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("console %s", path); err != nil {
		return failed("open", path, err)
	}
	_, err := k.find("open", path, true)
	return err
}

// Memfd implements sys.Kernel.
func (k *Kernel) Memfd(name string, content []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return 3, k.effect("memfd %s %q", name, content)
}

// Run implements sys.Kernel.
func (k *Kernel) Run(c sys.Command) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.effect("run %s", strings.Join(c.Argv, " "))
}

// Answer makes a tool end in this way when it is run; without an answer it ends
// with status 0 and says nothing, but for mke2fs, which does its work. tool is
// the last part of its path.
func (k *Kernel) Answer(tool string, exit sys.Exit) {
	if k.answers == nil {
		k.answers = map[string]sys.Exit{}
	}
	k.answers[tool] = exit
}

// RunTool implements sys.Kernel. The program has to be there.
func (k *Kernel) RunTool(t sys.Tool) (sys.Exit, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.effect("tool in %s: %s", t.Root, strings.Join(t.Argv, " "))
	if err == nil || errors.Is(err, sys.ErrKilled) {
		k.takeNotes(t)
	}
	if err != nil {
		return sys.Exit{}, failed("exec", t.Argv[0], err)
	}
	p, err := k.walk(t.Root, t.Argv[0], true)
	if err != nil || p.node() == nil {
		return sys.Exit{}, failed("exec", t.Argv[0], unix.ENOENT)
	}
	_, told := k.answers[path.Base(t.Argv[0])]
	switch {
	case told:
	case isTool(t, "mke2fs"):
		return k.mke2fs(t)
	case isTool(t, "cryptsetup"):
		return k.cryptsetup(t), nil
	}
	return k.answers[path.Base(t.Argv[0])], nil
}

// Exec implements sys.Kernel. When it works it returns nil, which no other
// kernel does, and nothing can be done to the machine any more.
func (k *Kernel) Exec(path string, argv, env []string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("exec %s %q env %q", path, argv, env); err != nil {
		return failed("exec", path, err)
	}
	if !k.goesOn {
		k.ended = "exec " + path
	}
	return nil
}

// ReturnAfterExec lets a test do on this machine what the real init would.
func (k *Kernel) ReturnAfterExec() { k.goesOn = true }

// Reboot implements sys.Kernel. When it works it returns nil, as Exec does.
func (k *Kernel) Reboot(how sys.Ending) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("end %s", how); err != nil {
		return err
	}
	k.ended = string(how)
	return nil
}

// RestartWith implements sys.Kernel.
func (k *Kernel) RestartWith(argument string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("end reboot %q", argument); err != nil {
		return err
	}
	k.ended = fmt.Sprintf("%s %q", sys.Restart, argument)
	return nil
}

// Kill implements sys.Kernel.
func (k *Kernel) Kill(pid int, _ time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("kill %d", pid); err != nil {
		return err
	}
	delete(k.proc.entries, strconv.Itoa(pid))
	return nil
}

// LoadModule implements sys.Kernel.
func (k *Kernel) LoadModule(path, params string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("%s", strings.TrimRight("module "+path+" "+params, " ")); err != nil {
		return failed("finit_module", path, err)
	}
	name, _, _ := strings.Cut(path[strings.LastIndex(path, "/")+1:], ".ko")
	k.loaded[name] = true
	k.addFilesystems(name)
	k.advance(k.now)
	return nil
}
