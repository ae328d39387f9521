package qemu

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// CopyImage copies a disk image and keeps its holes.
func CopyImage(to, from string) error {
	// Removed and not truncated, so that a machine that runs from the old image
	// keeps it.
	if err := os.RemoveAll(to); err != nil {
		return fmt.Errorf("cannot remove the old disk image: %w", err)
	}
	if err := copySparse(to, from); err != nil {
		return fmt.Errorf("cannot copy the disk image %s: %w", from, err)
	}
	return nil
}

func copySparse(to, from string) (err error) {
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	size, err := insertSparse(out, 0, from)
	if err != nil {
		return err
	}
	return out.Truncate(size)
}

// insertSparse writes the data of a file, without its holes, into out at an
// offset, and returns the file's size. Where the file has holes, out must be
// zero already: old blocks that shine through are what "checksumming directory
// block" errors come from.
func insertSparse(out *os.File, offset int64, from string) (size int64, err error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return 0, err
	}
	size = info.Size()
	return size, copyData(out, offset, in, 0, size)
}

// copyData copies what lies between two places of a file, without its holes, to
// places that are shift bytes further on in another.
func copyData(out *os.File, shift int64, in *os.File, from, to int64) error {
	for pos := from; pos < to; {
		start, err := in.Seek(pos, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break // nothing but a hole up to the end
		}
		if err != nil {
			return fmt.Errorf("cannot look for data in %s: %w", in.Name(), err)
		}
		if start >= to {
			break
		}
		end, err := in.Seek(start, unix.SEEK_HOLE)
		if err != nil {
			return fmt.Errorf("cannot look for a hole in %s: %w", in.Name(), err)
		}
		end = min(end, to)
		if _, err := io.Copy(io.NewOffsetWriter(out, start+shift), io.NewSectionReader(in, start, end-start)); err != nil {
			return fmt.Errorf("cannot copy the data of %s: %w", in.Name(), err)
		}
		pos = end
	}
	return nil
}

// Extract copies one partition of a disk image to a new file, and keeps its
// holes.
func (r Range) Extract(to, image string) (err error) {
	out, err := os.Create(to)
	if err != nil {
		return fmt.Errorf("cannot extract %s: %w", r.Name, err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	in, err := os.Open(image)
	if err != nil {
		return fmt.Errorf("cannot extract %s: %w", r.Name, err)
	}
	defer in.Close()
	if err := copyData(out, -r.Start, in, r.Start, r.Start+r.Size); err != nil {
		return fmt.Errorf("cannot extract %s: %w", r.Name, err)
	}
	return out.Truncate(r.Size)
}
