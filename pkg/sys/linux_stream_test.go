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
