package btrfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/minos-os/minos-init/pkg/btrfs/btrfstest"
)

func TestSubvolumes(t *testing.T) {
	d := btrfstest.New(t, 256<<20)
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(Create(d.Path("a")))
	d.Write("a/file", "one")
	before := time.Now().Add(-time.Minute)
	ok(Snapshot(d.Path("a"), d.Path("ro"), true))
	d.Write("a/file", "two")
	ok(Snapshot(d.Path("a"), d.Path("rw"), false))
	d.Write("rw/file", "three")
	if got := d.Read("ro/file") + d.Read("a/file") + d.Read("rw/file"); got != "onetwothree" {
		t.Error(got)
	}
	a, err := Stat(d.Path("a"))
	ok(err)
	ro, err := Stat(d.Path("ro"))
	ok(err)
	rw, err := Stat(d.Path("rw"))
	ok(err)
	if a.ReadOnly || !ro.ReadOnly || rw.ReadOnly {
		t.Errorf("read-only: %v %v %v", a.ReadOnly, ro.ReadOnly, rw.ReadOnly)
	}
	if ro.Parent != a.UUID || a.Parent != (UUID{}) || ro.Received != (UUID{}) || ro.ID <= a.ID || rw.ID <= ro.ID {
		t.Errorf("%+v\n%+v\n%+v", a, ro, rw)
	}
	if ro.Created.Before(before) || ro.Created.After(time.Now().Add(time.Minute)) {
		t.Error(ro.Created)
	}
	// The program that everybody uses says the same.
	said := d.Run("btrfs", "subvolume", "show", d.Path("ro"))
	for _, want := range []string{ro.UUID.String(), ro.Parent.String(), "readonly"} {
		if !strings.Contains(said, want) {
			t.Errorf("btrfs subvolume show has no %q:\n%s", want, said)
		}
	}
	ok(SetReadOnly(d.Path("rw")))
	if err := os.WriteFile(d.Path("rw/file"), nil, 0o644); !errors.Is(err, unix.EROFS) {
		t.Errorf("a file of a read-only subvolume: %v", err)
	}
	ok(Exchange(d.Path("a"), d.Path("rw")))
	if got := d.Read("a/file") + d.Read("rw/file"); got != "threetwo" {
		t.Errorf("after the exchange: %s", got)
	}
}

func TestDelete(t *testing.T) {
	d := btrfstest.New(t, 256<<20)
	for _, name := range []string{"a", "a/dir", "a/dir/b", "a/dir/b/c"} {
		if name == "a/dir" {
			d.Write("a/dir/file", "")
		} else if err := Create(d.Path(name)); err != nil {
			t.Fatal(err)
		}
	}
	d.Write("plain/x/y", "")
	if err := Snapshot(d.Path("a"), d.Path("plain/x/snap"), true); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "plain", "nothing"} {
		if err := RemoveAll(d.Path(name)); err != nil {
			t.Error(err)
		}
	}
	if left := d.Run("btrfs", "subvolume", "list", d.Top) + d.Run("ls", d.Top); left != "" {
		t.Errorf("left: %s", left)
	}
	if err := Delete(d.Path("a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
}

func TestStatOfOthers(t *testing.T) {
	d := btrfstest.New(t, 256<<20)
	d.Write("dir/file", "")
	for _, name := range []string{"dir", "dir/file"} {
		if _, err := Stat(d.Path(name)); !errors.Is(err, ErrNoSubvolume) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Stat(d.Path("none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
	if err := Create(d.Path(strings.Repeat("x", 256))); !errors.Is(err, unix.ENAMETOOLONG) {
		t.Errorf("a long name: %v", err)
	}
}

// The streams of the real btrfs send: each is given out as it came, and each of
// its beginnings is incomplete.
func TestRealStreams(t *testing.T) {
	d := btrfstest.New(t, 256<<20)
	d.Write("x", "") // so that there is more than a subvolume
	if err := errors.Join(Create(d.Path("sub")), os.WriteFile(d.Path("sub/file"), bytes.Repeat([]byte("abc"), 50_000), 0o600),
		Snapshot(d.Path("sub"), d.Path("1.0"), true), os.WriteFile(d.Path("sub/more"), []byte("more"), 0o600),
		Snapshot(d.Path("sub"), d.Path("2.0"), true)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name        string
		incremental bool
		args        []string
	}{
		{"2.0", false, []string{d.Path("2.0")}},
		{"2.0", true, []string{"-p", d.Path("1.0"), d.Path("2.0")}},
		{"1.0", false, []string{"--proto", "2", d.Path("1.0")}},
	} {
		whole, err := exec.Command("btrfs", append([]string{"send", "-q"}, c.args...)...).Output()
		if err != nil {
			t.Fatal(c.args, err)
		}
		s, err := NewStream(bytes.NewReader(whole))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(s)
		if err != nil || !bytes.Equal(got, whole) || s.Name != c.name || s.Incremental != c.incremental {
			t.Errorf("%v: %v, %d bytes of %d, name %q, incremental %v", c.args, err, len(got), len(whole), s.Name, s.Incremental)
		}
		for at := 0; at < len(whole); at += 1 + at/7 {
			if _, err := readAll(whole[:at]); err == nil {
				t.Errorf("the first %d bytes of %d are taken for a whole stream", at, len(whole))
			}
		}
		for _, tail := range [][]byte{whole, {0}} {
			if _, err := readAll(append(bytes.Clone(whole), tail...)); err == nil {
				t.Errorf("%d bytes behind the end are taken for a part of the stream", len(tail))
			}
		}
	}
}

func readAll(stream []byte) ([]byte, error) {
	s, err := NewStream(bytes.NewReader(stream))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(s)
}

// Whatever comes in, what goes out is a beginning of it, and is all of it when
// there was no error.
//
//fuzz:covers stream.go
func FuzzStream(f *testing.F) {
	end := []byte{0, 0, 0, 0, commandEnd, 0, 1, 2, 3, 4}
	named := append([]byte(streamMagic+"\x01\x00\x00\x00\x07\x00\x00\x00\x01\x00\xff\xff\xff\xff\x0f\x00\x03\x002.0"), end...)
	f.Add(named)
	f.Add(named[:len(named)-3])
	f.Add([]byte(streamMagic + "\x02\x00\x00\x00\xff\xff\xff\xff\x01\x00"))
	f.Add([]byte("PK"))
	f.Add(append(bytes.Clone(named), 0))                                                           // something behind the end
	f.Add(append(bytes.Clone(named[:len(named)-len(end)]), named[17:]...))                         // two subvolumes
	f.Add(bytes.Replace(named, []byte("\x01\x00\x00\x00\x07"), []byte("\x09\x00\x00\x00\x07"), 1)) // of another version
	f.Add(bytes.Replace(named, []byte("\x07\x00\x00\x00\x01"), []byte("\x07\x00\x00\x00\x09"), 1)) // begins with a write
	f.Add(bytes.Replace(named, []byte("\x0f\x00\x03"), []byte("\x0f\x00\x09"), 1))                 // a name that is too long
	f.Add(bytes.Replace(named, []byte("\x0f\x00\x03"), []byte("\x01\x00\x03"), 1))                 // no name
	f.Add(named[:25])
	f.Add(named[:30])
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := readAll(in)
		if !bytes.HasPrefix(in, out) || err == nil && len(in) != len(out) {
			t.Errorf("%q comes out as %q, %v", in, out, err)
		}
	})
}

func TestStreamNamed(t *testing.T) {
	in := streamMagic + "\x01\x00\x00\x00\x07\x00\x00\x00\x01\x00\xff\xff\xff\xff\x0f\x00\x03\x002.0" + "\x00\x00\x00\x00\x15\x00\x01\x02\x03\x04"
	if s, err := NewStream(strings.NewReader(in)); err != nil || s.Name != "2.0" {
		t.Fatalf("%+v %v", s, err)
	}
	for _, c := range []struct{ in, want string }{
		{"", "no stream"}, {strings.Replace(in, "stream", "strean", 1), "no stream"},
		{strings.Replace(in, "\x00\x01\x00", "\x00\x09\x00", 1), "version 9"},
		{strings.Replace(in, "\x0f\x00\x03", "\x0f\x00\x04", 1), "does not name"},
		{strings.Replace(in, "\x00\x00\x01\x00\xff", "\x00\x00\x02\x01\xff", 1), "begins with command 258"},
		{in[:len(in)-1], "before its end"}, {in[:len(in)-10], "before its end"}, {in + "x", "something follows"},
	} {
		if _, err := readAll([]byte(c.in)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.in, err, c.want)
		}
	}
}
