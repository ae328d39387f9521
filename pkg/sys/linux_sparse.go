package sys

import (
	"io"
	"io/fs"

	"golang.org/x/sys/unix"
)

// sparseFile is an open file that may have holes.
type sparseFile struct{ device }

// MakeSparse implements Files.
func (Linux) MakeSparse(path string, size int64) error {
	fd, err := open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := ignoringEINTR(func() (int, error) { return 0, unix.Ftruncate(fd, size) }); err != nil {
		return &fs.PathError{Op: "truncate", Path: path, Err: err}
	}
	return nil
}

// Extend implements Files.
func (Linux) Extend(path string, size int64) error {
	fd, err := open(path, unix.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil {
		return &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if s.Size >= size {
		return nil
	}
	if _, err := ignoringEINTR(func() (int, error) { return 0, unix.Ftruncate(fd, size) }); err != nil {
		return &fs.PathError{Op: "truncate", Path: path, Err: err}
	}
	return nil
}

// OpenSparse implements Files.
func (Linux) OpenSparse(path string) (SparseFile, error) {
	fd, err := open(path, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	return sparseFile{device{fd, path}}, nil
}

func (s sparseFile) NextData(from int64) (start, end int64, err error) {
	start, err = unix.Seek(s.fd, from, unix.SEEK_DATA)
	if err == unix.ENXIO { // lseek(2): there is none behind from
		return 0, 0, io.EOF
	}
	if err == nil {
		end, err = unix.Seek(s.fd, start, unix.SEEK_HOLE)
	}
	if err != nil {
		return 0, 0, &fs.PathError{Op: "look for data in", Path: s.path, Err: err}
	}
	return start, end, nil
}
