// Command stub is the real init of the fast tests: it stands where systemd
// would, prints what it was handed, does what the kernel command line asks for
// and ends the machine. Every line that it prints begins with "STUB ". It knows
// nothing of the initramfs that started it, and can be an initramfs's /init
// itself.
//
// Words of the kernel command line:
//
//	stub.do=VERB:ARG,VERB:ARG…   what to do, see verbs; %2C and %20 for a comma and a space
//	stub.end=poweroff|reboot|hang
//	stub.end=exitrd:WORD         goes the way out as systemd does, with this word
//	stub.end=become:WORD         becomes /run/initramfs/shutdown, and nothing else
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == holderWord {
		_ = unix.Pause()
	}
	// First of all, or the figures are those of this program: what the process
	// and its children spent before it became this one.
	cpu := spent()

	mounted := mountMissing()
	out := openOutput()
	words := kernelWords()
	for _, line := range mounted {
		out.line("mounted %s", line)
	}
	printProcess(out)
	printMachine(out)
	printDescriptors(out)
	printHandover(out)
	out.line("cpu self_us=%d children_us=%d", cpu.self.Microseconds(), cpu.children.Microseconds())
	for verb := range strings.SplitSeq(words["stub.do"], ",") {
		if verb != "" {
			out.line("do %s %s", verb, perform(verb))
		}
	}
	out.line("end")
	out.drain()
	unix.Sync()
	end(words["stub.end"])
}

// end ends the machine's run.
func end(how string) {
	if word, ok := strings.CutPrefix(how, "exitrd:"); ok {
		fmt.Printf("STUB way out: %v\n", enterExitrd(word))
	}
	if word, ok := strings.CutPrefix(how, "become:"); ok {
		const program = "/run/initramfs/shutdown"
		fmt.Printf("STUB way out: %v\n", unix.Exec(program, []string{program, word}, os.Environ()))
	}
	switch how {
	case "hang":
	case "reboot":
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	default:
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}
	// Also for the case that the reboot failed: a PID 1 that returns is a
	// kernel panic, which a test would take for something else.
	for {
		_ = unix.Pause()
	}
}

type cpuTime struct {
	self, children time.Duration
}

func spent() cpuTime {
	var self unix.Timespec
	var children unix.Rusage
	if unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &self) != nil || unix.Getrusage(unix.RUSAGE_CHILDREN, &children) != nil {
		return cpuTime{-1, -1}
	}
	return cpuTime{
		self:     time.Duration(self.Nano()),
		children: time.Duration(children.Utime.Nano() + children.Stime.Nano()),
	}
}

// mountMissing mounts what the stub itself needs when nobody did, as is the
// case when it is the first program of an initramfs.
func mountMissing() (mounted []string) {
	for _, m := range []struct{ fstype, target, probe string }{
		{"proc", "/proc", "/proc/self"},
		{"devtmpfs", "/dev", "/dev/kmsg"},
	} {
		if _, err := os.Stat(m.probe); err == nil {
			continue
		}
		result := "ok"
		_ = os.Mkdir(m.target, 0o755) // there already, or the mount says so
		if err := unix.Mount(m.fstype, m.target, m.fstype, 0, ""); err != nil {
			result = errnoName(err)
		}
		mounted = append(mounted, m.target+" "+result)
	}
	return mounted
}

// kernelWords are the key=value words of the kernel command line; the last of
// equal keys wins.
func kernelWords() map[string]string {
	words := map[string]string{}
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return words
	}
	for word := range strings.FieldsSeq(string(cmdline)) {
		key, value, _ := strings.Cut(word, "=")
		words[key] = value
	}
	return words
}

// errnoName is the symbol of an error's errno, "ENOENT", or the error's text.
func errnoName(err error) string {
	var errno unix.Errno
	if errors.As(err, &errno) {
		if name := unix.ErrnoName(errno); name != "" {
			return name
		}
	}
	return fmt.Sprintf("%q", err.Error())
}
