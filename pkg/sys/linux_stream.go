package sys

import (
	"errors"
	"io"
	"io/fs"

	"golang.org/x/sys/unix"
)

// stream is an open file that is read or written from its start to its end.
type stream struct {
	fd   int
	path string
}

// OpenReader implements Files. What is read in large pieces goes past the kernel's
// memory of files (O_DIRECT of open(2)): nobody wants an image a second time, and
// to give it pages and to take them back again costs more than to read it. Where a
// filesystem or a buffer is not fit for that, memory is read.
func (Linux) OpenReader(path string) (io.ReadCloser, error) {
	fd, err := open(path, unix.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	// Only advice: where it is not taken, memory is read.
	_ = unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED)
	return &mediumReader{stream: stream{fd, path}}, nil
}

// mediumReader is a stream that is read from its medium as far as that can be.
type mediumReader struct {
	stream
	tried, direct bool
	at            int64 // bytes read
	asked         int64 // bytes that were read or asked for ahead
}

// directPiece is how large a piece has to be, in bytes, to be worth a read of its
// own from the disk. The kernel reads so much ahead by itself.
const directPiece = 128 << 10

// readAhead is how far the kernel is asked to read before somebody wants it, in
// bytes, where large pieces have to go by its memory (iso9660 has nothing else): then
// the disk has work while what was read is written elsewhere.
const readAhead = 2 << 20

// Read implements io.Reader.
func (m *mediumReader) Read(p []byte) (int, error) {
	if !m.tried && len(p) >= directPiece {
		m.tried, m.direct = true, m.set(unix.O_DIRECT) == nil
	}
	if m.tried && !m.direct && m.at+readAhead/2 >= m.asked {
		_ = unix.Fadvise(m.fd, m.asked, readAhead, unix.FADV_WILLNEED)
		m.asked += readAhead
	}
	n, err := m.stream.Read(p)
	m.at += int64(max(n, 0))
	if m.direct && errors.Is(err, unix.EINVAL) { // the buffer, or what is left, is not aligned
		m.direct = false
		if err := m.set(0); err != nil {
			return 0, &fs.PathError{Op: "read", Path: m.path, Err: err}
		}
		m.asked = m.at
		return m.Read(p)
	}
	return n, err
}

// set changes how the file is read.
func (m *mediumReader) set(flag int) error {
	_, err := unix.FcntlInt(uintptr(m.fd), unix.F_SETFL, unix.O_NONBLOCK|flag)
	return err
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
