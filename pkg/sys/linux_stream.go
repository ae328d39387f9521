package sys

import (
	"io"
	"io/fs"

	"golang.org/x/sys/unix"
)

// stream is an open file that is read or written from its start to its end.
type stream struct {
	fd   int
	path string
}

// OpenReader implements Files.
func (Linux) OpenReader(path string) (io.ReadCloser, error) {
	fd, err := open(path, unix.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	// Only advice: where it is not taken, memory is read.
	_ = unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED)
	return stream{fd, path}, nil
}

// CreateFile implements Files. The mode is set once more, since a file that
// was there keeps its own and the umask takes bits from a new one.
func (Linux) CreateFile(path string, perm fs.FileMode) (io.WriteCloser, error) {
	fd, err := open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW, uint32(perm.Perm()))
	if err != nil {
		return nil, err
	}
	if err := unix.Fchmod(fd, uint32(perm.Perm())); err != nil {
		unix.Close(fd)
		return nil, &fs.PathError{Op: "chmod", Path: path, Err: err}
	}
	return stream{fd, path}, nil
}

func (s stream) Read(p []byte) (int, error) {
	n, err := ignoringEINTR(func() (int, error) { return unix.Read(s.fd, p) })
	switch {
	case err != nil:
		return 0, &fs.PathError{Op: "read", Path: s.path, Err: err}
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

func (s stream) Write(p []byte) (written int, err error) {
	for written < len(p) {
		n, err := ignoringEINTR(func() (int, error) { return unix.Write(s.fd, p[written:]) })
		if err != nil {
			return written, &fs.PathError{Op: "write", Path: s.path, Err: err}
		}
		written += n
	}
	return written, nil
}

func (s stream) Close() error {
	if err := unix.Close(s.fd); err != nil {
		return &fs.PathError{Op: "close", Path: s.path, Err: err}
	}
	return nil
}
