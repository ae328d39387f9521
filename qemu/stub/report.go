package main

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func printProcess(out output) {
	out.line("pid %d", os.Getpid())
	for i, arg := range os.Args {
		out.line("argv %d %q", i, arg)
	}
	for _, variable := range os.Environ() {
		out.line("env %q", variable)
	}
}

func printMachine(out output) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		out.line("uname %s", errnoName(err))
	} else {
		out.line("uname %s", unix.ByteSliceToString(name.Machine[:]))
	}
	var root unix.Stat_t
	if err := unix.Stat("/", &root); err != nil {
		out.line("root %s", errnoName(err))
	} else {
		out.line("root dev=%s", device(uint64(root.Dev)))
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		out.line("mount %s", errnoName(err))
	}
	for line := range strings.Lines(string(mounts)) {
		out.line("mount %s", strings.TrimSuffix(line, "\n"))
	}
}

// device is a device number as /sys writes it.
func device(number uint64) string {
	return strconv.FormatUint(uint64(unix.Major(number)), 10) + ":" + strconv.FormatUint(uint64(unix.Minor(number)), 10)
}

// printDescriptors prints the standard descriptors, and then what else is open.
// The Go runtime's own, epoll and an event, come into being with the first
// file that can block, so they can be among the others.
func printDescriptors(out output) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		out.line("fd-error %s", errnoName(err))
		return
	}
	var numbers []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		target, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(n))
		if err != nil {
			continue // that of the directory that was just read
		}
		out.line("fd %d %s", n, target)
	}
}

// printHandover prints what an initramfs leaves for systemd and for tools.
func printHandover(out output) {
	report, err := os.ReadFile("/run/minos/boot.json")
	if err != nil {
		out.line("boot.json missing %s", errnoName(err))
	} else {
		out.text("boot.json", string(report))
	}
	link, err := os.Readlink("/run/systemd/volatile-root")
	if err != nil {
		link = errnoName(err)
	}
	out.line("volatile-root %s", link)
	_, err = os.Lstat("/etc/initrd-release")
	out.line("initrd-release %t", !errors.Is(err, fs.ErrNotExist))
	printSerialization(out)
}

// printSerialization prints the file in memory that --deserialize names, and
// where its reader would begin, which for systemd has to be 0.
func printSerialization(out output) {
	value, ok := optionValue(os.Args, "--deserialize")
	if !ok {
		return
	}
	fd, err := strconv.Atoi(value)
	if err != nil {
		out.line("deserialize %q is no number", value)
		return
	}
	offset, err := unix.Seek(fd, 0, unix.SEEK_CUR)
	content := make([]byte, 4096)
	n := 0
	if err == nil {
		n, err = unix.Pread(fd, content, 0)
	}
	if err != nil {
		out.line("deserialize fd=%d %s", fd, errnoName(err))
		return
	}
	out.line("deserialize fd=%d offset=%d %q", fd, offset, content[:n])
}

// optionValue finds "name=value" or "name" "value".
func optionValue(args []string, name string) (value string, ok bool) {
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, name+"="); ok {
			return value, true
		}
		if arg == name && i+1 < len(args) {
			return args[i+1], true
		}
	}
	return "", false
}
