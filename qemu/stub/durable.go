package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// fsync is fsync(2) of what is at a path.
func fsync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// replace is how a careful program replaces a file.
func replace(path, text string) error {
	partial := path + ".new"
	if err := os.WriteFile(partial, []byte(text), 0o644); err != nil {
		return err
	}
	if err := fsync(partial); err != nil {
		return err
	}
	return os.Rename(partial, path)
}

// markSize is more than a sector of any disk, and what direct I/O asks for.
const markSize = 4096

// mark shows in a record of the disk's writes how far this program has come.
// It goes past the cache, so that it is there now, and makes the disk flush
// nothing, so that it changes nothing for the writes around it.
func mark(device string) error {
	page, err := unix.Mmap(-1, 0, markSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Munmap(page) }()
	copy(page, "mark")
	fd, err := unix.Open(device, unix.O_WRONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Pwrite(fd, page, 0)
	return err
}
