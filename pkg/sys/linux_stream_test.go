package sys

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A file is written and read in pieces, with the mode that was asked for and
// no other, also over one that is there.
func TestStreams(t *testing.T) {
	k := Linux{}
	file := filepath.Join(t.TempDir(), "file")
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	for _, perm := range []fs.FileMode{0o600, 0o666} {
		w, err := k.CreateFile(file, perm)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range [][]byte{content[:7], content[7:100000], content[100000:]} {
			if n, err := w.Write(part); n != len(part) || err != nil {
				t.Fatalf("Write = %d, %v", n, err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := k.SyncFS(file); err != nil {
			t.Error(err)
		}
		r, err := k.OpenReader(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if !bytes.Equal(got, content) || err != nil {
			t.Errorf("%d of %d bytes came back, %v", len(got), len(content), err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if info, err := k.Lstat(file); err != nil || info.Mode != perm || info.Size != int64(len(content)) || info.UID != uint32(os.Getuid()) {
			t.Errorf("Lstat = %+v, %v, want the mode %v", info, err, perm)
		}
	}
	if st, err := k.Statfs(file); err != nil || st.Free <= 0 {
		t.Errorf("Statfs = %+v, %v", st, err)
	}
}

func TestStreamsSayWhatFailed(t *testing.T) {
	k, dir := Linux{}, t.TempDir()
	if err := os.Symlink("elsewhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := k.CreateFile(filepath.Join(dir, "link"), 0o600); !errors.Is(err, unix.ELOOP) {
		t.Errorf("CreateFile follows a link: %v", err)
	}
	if _, err := k.OpenReader(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenReader of nothing: %v", err)
	}
	if err := k.SyncFS(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("SyncFS of nothing: %v", err)
	}
	if w, err := k.CreateFile("/dev/full", 0o666); err == nil {
		if _, err := w.Write([]byte("x")); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("Write to a full device: %v", err)
		}
		w.Close()
	}
}

func TestChown(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("this level needs root to give a file away, and CI has to run it")
		}
		t.Skip("SKIPPED: to give a file away needs root; run it as root")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (Linux{}).Chown(file, 12, 34); err != nil {
		t.Fatal(err)
	}
	if info, err := (Linux{}).Lstat(file); err != nil || info.UID != 12 || info.GID != 34 {
		t.Errorf("Lstat = %+v, %v", info, err)
	}
}

// Large pieces come past the kernel's memory of files where the buffer allows it, and
// whole in each case: into an aligned buffer and into another, in pieces that do not
// end where blocks do, and up to the end of a file that is no number of blocks.
func TestLargePiecesAreReadFromTheMedium(t *testing.T) {
	file := filepath.Join(t.TempDir(), "image")
	content := bytes.Repeat([]byte("0123456789abcde\n"), 3<<16)
	content = append(content, "the end"...)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (Linux{}).Fsync(file); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name             string
		skip, piece      int
		direct, isDirect bool
	}{
		{"aligned", 0, 1 << 20, true, true},
		{"not aligned", 1, 1 << 20, true, false},
		{"pieces of no number of blocks", 0, 1<<20 - 100, true, false},
		{"small pieces", 0, 4096, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Linux{}.OpenReader(file)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			buf := make([]byte, 1<<20+1)[c.skip:][:c.piece]
			var got []byte
			for err == nil {
				var n int
				n, err = io.ReadFull(r, buf)
				got = append(got, buf[:n]...)
			}
			if err != io.EOF && err != io.ErrUnexpectedEOF || !bytes.Equal(got, content) {
				t.Errorf("%d of %d bytes came, %v", len(got), len(content), err)
			}
			if m := r.(*mediumReader); m.tried != c.direct {
				t.Errorf("it was tried: %v, want %v", m.tried, c.direct)
			} else if flags, err := unix.FcntlInt(uintptr(m.fd), unix.F_GETFL, 0); err != nil || m.direct != (flags&unix.O_DIRECT != 0) {
				t.Errorf("direct is %v, and the flags are %#x, %v", m.direct, flags, err)
			} else if m.direct != c.isDirect && onDisk(t, file) {
				t.Errorf("in the end it reads from the medium: %v, want %v", m.direct, c.isDirect)
			}
		})
	}
}

// onDisk tells whether a file is on a disk. Memory is read in any way.
func onDisk(t *testing.T, file string) bool {
	st, err := Linux{}.Statfs(file)
	if err != nil {
		t.Fatal(err)
	}
	return st.Magic == unix.EXT4_SUPER_MAGIC || st.Magic == unix.XFS_SUPER_MAGIC
}
