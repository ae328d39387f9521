package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/minos-os/minos-init/pkg/btrfs"
)

// The effects, each of them one step. Names are relative to the top level.

func (s *Store) step(format string, args ...any) error {
	if s.Step == nil {
		return nil
	}
	return s.Step(fmt.Sprintf(format, args...))
}

func (s *Store) mkdir(name string) error {
	if err := s.step("mkdir %s", name); err != nil {
		return err
	}
	return os.Mkdir(s.path(name), 0o755)
}

func (s *Store) writeFile(name string, data []byte) error {
	if err := s.step("write %s", name); err != nil {
		return err
	}
	return os.WriteFile(s.path(name), data, 0o644)
}

func (s *Store) symlink(target, name string) error {
	if err := s.step("symlink %s %s", target, name); err != nil {
		return err
	}
	return os.Symlink(target, s.path(name))
}

func (s *Store) subvolume(name string) error {
	if err := s.step("subvolume %s", name); err != nil {
		return err
	}
	return btrfs.Create(s.path(name))
}

func (s *Store) snapshot(from, to string, readOnly bool) error {
	if err := s.step("snapshot %s %s", from, to); err != nil {
		return err
	}
	return btrfs.Snapshot(s.path(from), s.path(to), readOnly)
}

func (s *Store) rename(from, to string) error {
	if err := s.step("rename %s %s", from, to); err != nil {
		return err
	}
	return os.Rename(s.path(from), s.path(to))
}

func (s *Store) exchange(a, b string) error {
	if err := s.step("exchange %s %s", a, b); err != nil {
		return err
	}
	return btrfs.Exchange(s.path(a), s.path(b))
}

func (s *Store) remove(name string) error {
	if err := s.step("remove %s", name); err != nil {
		return err
	}
	return btrfs.RemoveAll(s.path(name))
}

func (s *Store) sync() error {
	if err := s.step("sync"); err != nil {
		return err
	}
	return btrfs.Sync(s.Top)
}

// receive has btrfs-progs make a subvolume of a stream, in a directory.
func (s *Store) receive(stream *btrfs.Stream, dir string) error {
	if err := s.step("receive %s", dir); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	cmd := exec.CommandContext(ctx, "btrfs", "receive", "-q", "-e", s.path(dir))
	cmd.WaitDelay = 5 * time.Second
	watched := &watched{stream: stream}
	var said strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = watched, &said, &said
	err := cmd.Run()
	switch {
	case watched.err != nil:
		return watched.err // what btrfs says of it is only that something is missing
	case err != nil:
		return fmt.Errorf("btrfs receive: %w: %s", err, strings.TrimSpace(said.String()))
	case !watched.ended:
		return btrfs.ErrIncomplete
	}
	return nil
}

// watched is a stream, and how it ended.
type watched struct {
	stream *btrfs.Stream
	ended  bool
	err    error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.stream.Read(p)
	if errors.Is(err, io.EOF) {
		w.ended = true
	} else if err != nil {
		w.err = err
	}
	return n, err
}
