package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/minos-os/minos-init/pkg/btrfs"
	"github.com/minos-os/minos-init/pkg/btrfs/btrfstest"
	"github.com/minos-os/minos-init/pkg/profiles"
)

const someID = "0123456789abcdef0123456789abcdef\n"

// world is a filesystem with two bases, 1.0 being current, a base 0.9 that
// nothing needs, and two profiles, desk with two snapshots.
type world struct {
	*btrfstest.Disk
	now  time.Time
	boot string
	use  Use
}

func (w *world) store() *Store {
	return &Store{Top: w.Top, Use: w.use, BootID: w.boot, LockWait: time.Second, Now: func() time.Time { return w.now }}
}

func (w *world) ok(errs ...error) {
	w.Helper()
	if err := errors.Join(errs...); err != nil {
		w.Fatal(err)
	}
}

// base makes a base as an image builder does.
func (w *world) base(version, content string) {
	w.Helper()
	w.ok(btrfs.Create(w.Path("src")))
	w.Write("src/etc/machine-id", "uninitialized\n")
	w.Write("src/etc/of-base", content)
	w.Write("src/usr/bin/tool", content)
	w.ok(os.MkdirAll(w.Path("@base"), 0o755), btrfs.Snapshot(w.Path("src"), w.Path("@base/"+version), true), btrfs.Delete(w.Path("src")))
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{Disk: btrfstest.New(t, 256<<20), now: time.Date(2026, 11, 21, 18, 0, 0, 0, time.UTC), boot: "first"}
	w.base("0.9", "base 0.9")
	w.base("1.0", "base 1.0")
	w.base("2.0", "base 2.0")
	w.Write("@data/shared", "everybody's")
	w.ok(os.Symlink("1.0", w.Path("@base/current")))
	w.ok(os.Mkdir(w.Path("@pristine"), 0o755), btrfs.Create(w.Path("src")))
	w.Write("src/root/etc/shipped", "pristine")
	w.ok(os.Mkdir(w.Path("src/work"), 0o755), btrfs.Snapshot(w.Path("src"), w.Path("@pristine/desk"), true), btrfs.Delete(w.Path("src")))
	s := w.store()
	w.ok(s.Create("desk", Fresh{Name: "Desk"}), s.Create("router", Fresh{Pin: "1.0"}))
	w.Write("@profiles/desk/upper/root/etc/machine-id", someID)
	w.Write("@profiles/desk/upper/root/etc/x", "1")
	_, err := s.Snapshot("desk", "t1", 0)
	w.Write("@profiles/desk/upper/root/etc/x", "2")
	_, err2 := s.Snapshot("desk", "t2", 0)
	w.Write("@profiles/desk/upper/root/etc/x", "3")
	w.ok(err, err2, btrfs.Sync(w.Top))
	return w
}

// copyOf is the same world on another disk.
func (w *world) copyOf(t testing.TB) *world {
	c := *w
	c.Disk = w.Copy(t)
	return &c
}

// state is all that a boot or a person sees: what is half-made is not in it, nor
// are the tags with this prefix, "" for none.
func (w *world) state(ignore string) string {
	w.Helper()
	var b strings.Builder
	s := w.store()
	all, err := s.Profiles()
	w.ok(err)
	for _, p := range all {
		fmt.Fprintf(&b, "profile %s of %q over %s, pin %q, faults %q\n", p.ID, p.Metadata.Origin, p.Base.Version, p.Pin.Value, p.Faults)
		w.tree(&b, p.ID.Upper())
		for _, t := range p.Snapshots {
			if ignore != "" && strings.HasPrefix(string(t.Tag), ignore) {
				continue
			}
			fmt.Fprintf(&b, " snapshot %s, read-only %v\n", t.Tag, t.Info.ReadOnly)
			w.tree(&b, p.ID.Snapshot(t.Tag))
		}
	}
	bases, err := s.Bases()
	w.ok(err)
	for _, base := range bases {
		fmt.Fprintf(&b, "base %s current %v fault %v\n", base.Version, base.Current, base.Fault)
		w.tree(&b, base.Version.Dir())
	}
	w.tree(&b, "@pristine")
	w.tree(&b, "@data")
	return b.String()
}

func (w *world) tree(b *strings.Builder, dir string) {
	w.Helper()
	err := filepath.WalkDir(w.Path(dir), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(w.Top, path)
		switch {
		case strings.Contains(name, "/work/"): // overlayfs's own
			return nil
		case entry.Type().IsRegular():
			fmt.Fprintf(b, "  %s %q\n", name, w.Read(name))
		case entry.Type()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(path)
			fmt.Fprintf(b, "  %s -> %s\n", name, target)
		default:
			fmt.Fprintf(b, "  %s\n", name)
		}
		return nil
	})
	w.ok(err)
}

// temps are the names of what is half-made or thrown away.
func (w *world) temps() (found []string) {
	w.Helper()
	w.ok(filepath.WalkDir(w.Top, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(entry.Name(), profiles.TempPrefix) {
			name, _ := filepath.Rel(w.Top, path)
			found = append(found, name)
			return fs.SkipDir
		}
		return err
	}))
	return found
}

// stack mounts the overlay of a profile, as a boot does.
func (w *world) stack(id profiles.ID) (root string) {
	w.Helper()
	root = filepath.Join(w.TempDir(), "root")
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,index=off,metacopy=off,xino=off,redirect_dir=off",
		w.Path("@base/1.0"), w.Path(id.Root()), w.Path(id.Work()))
	w.ok(os.Mkdir(root, 0o755), unix.Mount("overlay", root, "overlay", 0, options))
	w.Cleanup(func() { _ = unix.Unmount(root, unix.MNT_DETACH) })
	return root
}

// Unstack unmounts an overlay.
func (w *world) Unstack(root string) {
	w.Helper()
	w.ok(unix.Unmount(root, 0))
}

// stream is what btrfs send writes of a base that is made for it.
func (w *world) stream(version, content string, args ...string) []byte {
	w.Helper()
	w.base(version, content)
	out, err := exec.Command("btrfs", append([]string{"send", "-q", w.Path("@base/" + version)}, args...)...).Output()
	w.ok(err, btrfs.Delete(w.Path("@base/"+version)))
	return out
}

// verbs are the changes, each with what a judge of a cut has to ignore.
func verbs(stream []byte) []verbCase {
	return []verbCase{
		{"create", Use{}, "", func(s *Store) error { return s.Create("lab", Fresh{Name: "Lab", Pin: "2.0"}) }},
		{"clone", Use{}, "", func(s *Store) error { return s.Clone("desk", "desk2", "") }},
		{"clone of what runs", Use{Profiles: []profiles.ID{"desk"}}, "", func(s *Store) error { return s.Clone("desk", "desk2", "") }},
		{"reset", Use{}, "", func(s *Store) error { _, err := s.Reset("desk", false); return err }},
		{"reset of what runs", Use{Profiles: []profiles.ID{"desk"}}, "", func(s *Store) error { _, err := s.Reset("desk", false); return err }},
		{"reset to nothing", Use{}, "", func(s *Store) error { _, err := s.Reset("desk", true); return err }},
		{"delete", Use{}, "", func(s *Store) error { return s.Delete("desk") }},
		{"snapshot", Use{}, "", func(s *Store) error { _, err := s.Snapshot("desk", "t3", 0); return err }},
		{"rollback", Use{}, undonePrefix, func(s *Store) error { _, err := s.Rollback("desk", "t1"); return err }},
		{"rollback of what runs", Use{Profiles: []profiles.ID{"desk"}}, undonePrefix, func(s *Store) error { _, err := s.Rollback("desk", ""); return err }},
		{"receive", Use{}, "", func(s *Store) error { _, err := s.Receive(bytes.NewReader(stream), ""); return err }},
		{"set-current", Use{}, "", func(s *Store) error { return s.SetCurrent("2.0") }},
		{"gc", Use{}, "", func(s *Store) error { _, err := s.Collect(false); return err }},
	}
}

type verbCase struct {
	name   string
	use    Use
	ignore string
	do     func(*Store) error
}
