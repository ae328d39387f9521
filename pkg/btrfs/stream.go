package btrfs

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The format of a send stream (fs/btrfs/send.h): a magic with its zero, a
// version, and commands of a header and as many bytes as that says.
const (
	streamMagic   = "btrfs-stream\x00"
	newestVersion = 3
	commandHeader = 10 // __le32 len, __le16 cmd, __le32 crc
	firstLimit    = 64 << 10

	commandSubvolume = 1
	commandSnapshot  = 2
	commandEnd       = 21
	attributePath    = 15
)

// Stream is what "btrfs send" has written, of one subvolume. Read gives it out
// as it came, ends behind its last command, and with ErrIncomplete where that is
// missing. "btrfs receive" says that too, but only this knows the name before
// anything is made, and refuses what follows the end.
type Stream struct {
	// Name is that of the subvolume that was sent.
	Name string
	// Incremental tells that it is the difference to a parent, which the receiver
	// has to have.
	Incremental bool

	in      *bufio.Reader
	pending []byte // read, and not given out
	left    int    // bytes of the command that are still in in
	last    bool   // the command is the last one
}

// ErrIncomplete says that a stream ends before its end.
var ErrIncomplete = errors.New("the stream ends before its end")

// NewStream reads the beginning of a stream. What it reads from r may be more
// than what Read gives out.
func NewStream(r io.Reader) (*Stream, error) {
	s := &Stream{in: bufio.NewReaderSize(r, 256<<10)}
	head, err := s.take(len(streamMagic) + 4)
	if err != nil || string(head[:len(streamMagic)]) != streamMagic {
		return nil, errors.New("this is no stream of btrfs send")
	}
	if v := binary.LittleEndian.Uint32(head[len(streamMagic):]); v == 0 || v > newestVersion {
		return nil, fmt.Errorf("the stream has version %d, and known are 1 to %d", v, newestVersion)
	}
	size, command, err := s.command()
	if err != nil {
		return nil, err
	}
	if command != commandSubvolume && command != commandSnapshot || size > firstLimit {
		return nil, fmt.Errorf("the stream begins with command %d of %d bytes, and not with a subvolume", command, size)
	}
	body, err := s.take(size)
	if err != nil {
		return nil, err
	}
	s.left = 0
	s.Incremental = command == commandSnapshot
	if s.Name, err = attribute(body, attributePath); err != nil {
		return nil, err
	}
	return s, nil
}

// take reads n bytes that are given out later.
func (s *Stream) take(n int) ([]byte, error) {
	at := len(s.pending)
	s.pending = append(s.pending, make([]byte, n)...)
	if _, err := io.ReadFull(s.in, s.pending[at:]); err != nil {
		return nil, incomplete(err)
	}
	return s.pending[at:], nil
}

func incomplete(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrIncomplete
	}
	return err
}

// command reads the header of a command.
func (s *Stream) command() (size, command int, err error) {
	head, err := s.take(commandHeader)
	if err != nil {
		return 0, 0, err
	}
	size, command = int(int32(binary.LittleEndian.Uint32(head))), int(binary.LittleEndian.Uint16(head[4:]))
	if size < 0 {
		return 0, 0, fmt.Errorf("the stream has a command of %d bytes", uint32(size))
	}
	s.left = size
	return size, command, nil
}

// attribute finds a text among the attributes of a command: __le16 type,
// __le16 len, and as many bytes.
func attribute(body []byte, wanted uint16) (string, error) {
	for len(body) >= 4 {
		kind, size := binary.LittleEndian.Uint16(body), int(binary.LittleEndian.Uint16(body[2:]))
		if body = body[4:]; size > len(body) {
			break
		}
		if kind == wanted {
			return string(body[:size]), nil
		}
		body = body[size:]
	}
	return "", errors.New("the stream does not name its subvolume")
}

// Read gives the stream out.
func (s *Stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(s.pending) == 0 && s.left == 0 {
		if s.last {
			return 0, s.atEnd()
		}
		_, command, err := s.command()
		if err != nil {
			s.pending = nil
			return 0, err
		}
		if command == commandSubvolume || command == commandSnapshot {
			s.pending = nil
			return 0, errors.New("the stream has more than one subvolume")
		}
		s.last = command == commandEnd
	}
	if n := copy(p, s.pending); n > 0 {
		s.pending = s.pending[n:]
		return n, nil
	}
	n, err := s.in.Read(p[:min(len(p), s.left)])
	s.left -= n
	if n > 0 {
		return n, nil
	}
	return n, incomplete(err)
}

// atEnd is io.EOF where nothing follows.
func (s *Stream) atEnd() error {
	if _, err := s.in.ReadByte(); err == nil {
		return errors.New("something follows the end of the stream, which has to be of one subvolume")
	} else if err != io.EOF {
		return err
	}
	return io.EOF
}
