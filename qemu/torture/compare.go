package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/minos-os/minos-init/qemu"
)

// sameRange compares a partition of two disks. Only what at least one of them
// has data for is read: most of a disk are holes.
func sameRange(one, other string, r qemu.Range) (same bool, err error) {
	a, err := os.Open(one)
	if err != nil {
		return false, fmt.Errorf("cannot compare %s: %w", r.Name, err)
	}
	defer a.Close()
	b, err := os.Open(other)
	if err != nil {
		return false, fmt.Errorf("cannot compare %s: %w", r.Name, err)
	}
	defer b.Close()
	for _, f := range []*os.File{a, b} {
		same, err := sameData(f, a, b, r.Start, r.Start+r.Size)
		if err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// sameData compares two files where f, one of them, has data.
func sameData(f, a, b *os.File, from, to int64) (bool, error) {
	for at := from; at < to; {
		start, err := f.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) || (err == nil && start >= to) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("cannot look for data in %s: %w", f.Name(), err)
		}
		end, err := f.Seek(start, unix.SEEK_HOLE)
		if err != nil {
			return false, fmt.Errorf("cannot look for a hole in %s: %w", f.Name(), err)
		}
		at = min(end, to)
		one, other := make([]byte, at-start), make([]byte, at-start)
		n, errA := a.ReadAt(one, start)
		m, errB := b.ReadAt(other, start)
		if err := errors.Join(notEOF(errA), notEOF(errB)); err != nil {
			return false, fmt.Errorf("cannot compare: %w", err)
		}
		if !bytes.Equal(one[:n], other[:m]) {
			return false, nil
		}
	}
	return true, nil
}

// notEOF is err, but for the end of a file.
func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
