package sys

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// To read a file is no reason to write to the disk.
func TestReadFileLeavesNoTime(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	// A time of access before that of the change is what a relatime mount renews.
	old := time.Unix(1e9, 0)
	if err := os.Chtimes(name, old, time.Now()); err != nil {
		t.Fatal(err)
	}
	if text, err := (Linux{}).ReadFile(name); err != nil || string(text) != "text" {
		t.Fatalf("%q, %v", text, err)
	}
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		t.Fatal(err)
	}
	if got := time.Unix(st.Atim.Unix()); !got.Equal(old) {
		t.Errorf("the time of access is %v, want %v", got, old)
	}
	if _, err := (Linux{}).ReadFile("/proc/self/status"); err != nil {
		t.Error(err)
	}
}
