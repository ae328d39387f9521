package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// perform does one "VERB:ARG" of stub.do= and returns its result in words: "ok"
// or what was found, or the errno.
// It is the table of all verbs, and so longer than a function should be.
func perform(text string) string {
	verb, arg, _ := strings.Cut(text, ":")
	arg, err := url.PathUnescape(arg)
	if err != nil {
		return "bad escape"
	}
	result := "ok"
	switch verb {
	case "write": // PATH=TEXT: makes or replaces a file
		path, text, _ := strings.Cut(arg, "=")
		err = os.WriteFile(path, []byte(text), 0o644)
	case "read": // at most the first 512 bytes
		var data []byte
		data, err = os.ReadFile(arg)
		result = fmt.Sprintf("%q", data[:min(len(data), 512)])
	case "grep": // PATH=TEXT: the first line that begins with the text
		path, text, _ := strings.Cut(arg, "=")
		result, err = lineOf(path, text)
	case "rm": // also a directory with all that is in it; a missing one is an error
		if _, err = os.Lstat(arg); err == nil {
			err = os.RemoveAll(arg)
		}
	case "mkdir":
		err = os.MkdirAll(arg, 0o755)
	case "ls":
		result, err = list(arg)
	case "readlink":
		result, err = os.Readlink(arg)
	case "stat":
		result, err = stat(arg)
	case "statfs":
		result, err = statfs(arg)
	case "replace": // PATH=TEXT: the file is the old one or the new one, whatever a cut takes
		path, text, _ := strings.Cut(arg, "=")
		err = replace(path, text)
	case "rename": // FROM=TO
		from, to, _ := strings.Cut(arg, "=")
		err = unix.Rename(from, to)
	case "fsync": // a file and the directory that it is in
		if err = fsync(arg); err == nil {
			err = fsync(filepath.Dir(arg))
		}
	case "mark": // writes 4 KiB to a device, and flushes nothing
		err = mark(arg)
	case "sleep": // SECONDS
		err = sleep(arg)
	case "sync":
		unix.Sync()
	case "hold": // FILE: a process that does not end keeps it open for writing
		err = hold(arg)
	case "leak": // FILE: is opened, and stays open after an exec
		_, err = unix.Open(arg, unix.O_RDONLY, 0)
	case "module": // FILE: a kernel module, compressed or not
		err = loadModule(arg)
	case "loop": // FILE=DIRECTORY: mounts the ext4 in a file
		file, dir, _ := strings.Cut(arg, "=")
		err = mountLoop(file, dir)
	case "run": // PROGRAM ARGUMENT…: its status and all that it says
		result, err = runProgram(strings.Fields(arg))
	case "rootwrite":
		result, err = rootWrite()
	case "must": // PROGRAM ARGUMENT…: ok when it ends with status 0, else as run says it
		if result, err = runProgram(strings.Fields(arg)); strings.HasPrefix(result, "status=0 ") {
			result = "ok"
		}
	case "exit", "hang": // SLOT: ends, or hangs, when this is the root of that slot
		var slot []byte
		if slot, err = os.ReadFile("/etc/minos-slot"); err == nil && strings.TrimSpace(string(slot)) == arg {
			stop(verb)
		}
	default:
		return "unknown verb"
	}
	if err != nil {
		return errnoName(err)
	}
	return result
}

// stop is a real init that does not come up: the kernel panics when it ends.
func stop(how string) {
	if how == "exit" {
		os.Exit(1)
	}
	fmt.Println("STUB hangs")
	for {
		time.Sleep(time.Hour)
	}
}

// runProgram runs a program to its end, and says how that was.
func runProgram(argv []string) (string, error) {
	if len(argv) == 0 {
		return "no program", nil
	}
	said, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		return "", err
	}
	status := 0
	if ended != nil {
		status = ended.ExitCode()
	}
	return fmt.Sprintf("status=%d %q", status, said), nil
}

func lineOf(path, start string) (string, error) {
	data, err := os.ReadFile(path)
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, start) {
			return fmt.Sprintf("%q", strings.TrimSuffix(line, "\n")), nil
		}
	}
	return "no such line", err
}

func list(path string) (string, error) {
	entries, err := os.ReadDir(path)
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return fmt.Sprintf("%q", strings.Join(names, " ")), err
}

func stat(path string) (string, error) {
	var s unix.Stat_t
	err := unix.Lstat(path, &s)
	return fmt.Sprintf("mode=%o uid=%d gid=%d size=%d dev=%s", s.Mode, s.Uid, s.Gid, s.Size, device(uint64(s.Dev))), err
}

func statfs(path string) (string, error) {
	var s unix.Statfs_t
	err := unix.Statfs(path, &s)
	return fmt.Sprintf("magic=%#x ro=%t bytes=%d", s.Type, s.Flags&unix.ST_RDONLY != 0, int64(s.Blocks)*int64(s.Bsize)), err
}

// rootWrite writes to the root, reads that back and removes it.
func rootWrite() (string, error) {
	const path, text = "/stub-probe", "probe"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return "", err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if string(data) != text {
		return fmt.Sprintf("read back %q", data), nil
	}
	return "ok", os.Remove(path)
}

// sleep waits, so that the kernel can do what it does by itself.
func sleep(seconds string) error {
	n, err := strconv.Atoi(seconds)
	if err == nil {
		time.Sleep(time.Duration(n) * time.Second)
	}
	return err
}
