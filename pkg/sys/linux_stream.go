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
	return &aheadReader{stream: stream{fd, path}}, nil
}

// readAhead is how far the kernel is asked to read before somebody wants it, in
// bytes: then the disk has work while what was read is written elsewhere. Left
// alone it reads 128 KiB ahead.
const readAhead = 2 << 20

// aheadReader is a stream whose next bytes are on their way to memory.
type aheadReader struct {
	stream
	at    int64 // bytes read
	asked int64 // bytes that were read or asked for
}

// Read implements io.Reader. What is not on its way yet is asked for when half of
// that before it was read.
func (a *aheadReader) Read(p []byte) (int, error) {
	if a.at > 0 && a.at+readAhead/2 >= a.asked {
		_ = unix.Fadvise(a.fd, a.asked, readAhead, unix.FADV_WILLNEED)
		a.asked += readAhead
	}
	n, err := a.stream.Read(p)
	a.at += int64(n)
	return n, err
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
