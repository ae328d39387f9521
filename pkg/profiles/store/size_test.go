package store

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/minos-os/minos-init/pkg/btrfs"
	"github.com/minos-os/minos-init/pkg/btrfs/btrfstest"
	"github.com/minos-os/minos-init/pkg/profiles"
)

// A clone and a reset take as long for 10 GB as for 1 MB, within a fifth. The large
// profile shares its blocks among its files, so that the test writes little.
func TestCloneAndResetWhateverTheSize(t *testing.T) {
	if testing.Short() {
		t.Skip("times what the disk does")
	}
	w := &world{Disk: btrfstest.New(t, 1<<30), now: time.Now(), boot: "first"}
	w.base("1.0", "")
	s := w.store()
	w.ok(s.SetCurrent("1.0"), s.Create("small", Fresh{}), s.Create("large", Fresh{}))
	megabyte := make([]byte, 1<<20)
	_, err := rand.Read(megabyte)
	w.ok(err, os.WriteFile(w.Path("@profiles/small/upper/root/file"), megabyte, 0o644))
	size := w.fill("@profiles/large/upper/root", megabyte)
	if size < 10<<30 {
		t.Fatalf("the large profile has %d bytes only", size)
	}
	for _, id := range []profiles.ID{"small", "large"} {
		w.ok(btrfs.Snapshot(w.Path(id.Upper()), w.Path(id.Pristine()), true))
	}
	for what, do := range map[string]func(profiles.ID) error{
		"clone": func(id profiles.ID) error { return s.Clone(id, "copy", "") },
		"reset": func(id profiles.ID) error { _, err := s.Reset(id, false); return err },
	} {
		// What else the machine does only ever makes it slower, so the least of
		// several is what it takes; more are tried while they differ.
		least := map[profiles.ID]time.Duration{"small": time.Hour, "large": time.Hour}
		ratio, rounds := 0.0, 0
		for ; rounds < 5 || ratio > 1.2 && rounds < 60; rounds++ {
			for id := range least {
				began := time.Now()
				w.ok(do(id))
				least[id] = min(least[id], time.Since(began))
				if what == "clone" {
					w.ok(s.Delete("copy"))
				}
				w.Run("btrfs", "filesystem", "sync", w.Top)
			}
			ratio = float64(least["large"]) / float64(least["small"])
		}
		t.Logf("%s: %v for 1 MB, %v for %d GB, after %d rounds", what, least["small"], least["large"], size>>30, rounds)
		if ratio > 1.2 {
			t.Errorf("%s of the large profile takes %.2f times as long", what, ratio)
		}
	}
}

// fill makes files of 64 MB, 10 GB in all, and returns how much a reader finds.
func (w *world) fill(dir string, megabyte []byte) (size int64) {
	w.Helper()
	w.ok(os.WriteFile(w.Path(dir+"/0"), bytes.Repeat(megabyte, 64), 0o644))
	source, err := os.Open(w.Path(dir + "/0"))
	w.ok(err)
	defer source.Close()
	for i := range 170 {
		f, err := os.Create(w.Path(fmt.Sprintf("%s/%d", dir, i+1)))
		w.ok(err)
		w.ok(unix.IoctlFileClone(int(f.Fd()), int(source.Fd())))
		info, err := f.Stat()
		w.ok(err, f.Close())
		size += info.Size()
	}
	return size
}
