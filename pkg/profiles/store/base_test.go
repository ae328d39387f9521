package store

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/minos-os/minos-init/pkg/btrfs"
	"github.com/minos-os/minos-init/pkg/profiles"
)

// Layouts 4.6, statement 10: a stream that was cut off anywhere is no base, a
// whole one is, and the profiles go over to it when current is flipped.
func TestStatement4_6_10_Receive(t *testing.T) {
	w := newWorld(t)
	stream := w.stream("3.0", strings.Repeat("base 3.0", 10_000))
	s := w.store()
	for at := 0; at < len(stream); at += 1 + at/3 {
		if made, err := s.Receive(bytes.NewReader(stream[:at]), ""); err == nil {
			t.Errorf("the first %d bytes of %d made base %s", at, len(stream), made)
		}
		bases, err := s.Bases()
		w.ok(err)
		if len(bases) != 3 {
			t.Fatalf("after %d bytes: %+v", at, bases)
		}
	}
	flipped := bytes.Clone(stream)
	flipped[len(flipped)/2] ^= 1
	if _, err := s.Receive(bytes.NewReader(flipped), ""); err == nil || !strings.Contains(err.Error(), "btrfs receive") {
		t.Errorf("a flipped bit: %v", err)
	}
	made, err := s.Receive(bytes.NewReader(stream), "")
	w.ok(err)
	info, err := btrfs.Stat(w.Path("@base/3.0"))
	w.ok(err)
	if made != "3.0" || !info.ReadOnly || info.Received == (btrfs.UUID{}) || len(w.temps()) != 0 {
		t.Errorf("%s %+v, left %q", made, info, w.temps())
	}
	startsOver := func(want profiles.Version) {
		t.Helper()
		p, err := s.Profile("desk")
		if err != nil || p.Base.Version != want {
			t.Errorf("desk starts over %s, want %s: %v", p.Base.Version, want, err)
		}
	}
	startsOver("1.0")
	w.ok(s.SetCurrent("3.0"))
	startsOver("3.0")
	w.ok(s.SetCurrent("1.0"))
	startsOver("1.0")
	for _, again := range []profiles.Version{"", "2.0"} {
		if _, err := s.Receive(bytes.NewReader(stream), again); !errors.Is(err, ErrRefused) {
			t.Errorf("a base that is there: %v", err)
		}
	}
	if err := s.SetCurrent("9"); err == nil {
		t.Error("a base that is not there became current")
	}
	if made, err := s.Receive(bytes.NewReader(stream), "3.0-copy"); made != "3.0-copy" || err != nil {
		t.Errorf("under another name: %s, %v", made, err)
	}
}

// The difference to a base that was received itself is received too.
func TestReceiveDifference(t *testing.T) {
	w, builder := newWorld(t), newWorld(t)
	send := func(args ...string) []byte {
		out, err := exec.Command("btrfs", append([]string{"send", "-q"}, args...)...).Output()
		w.ok(err)
		return out
	}
	w.ok(btrfs.Snapshot(builder.Path("@base/1.0"), builder.Path("src"), false))
	builder.Write("src/etc/added", "in 3.1")
	w.ok(btrfs.Snapshot(builder.Path("src"), builder.Path("@base/3.1"), true))
	_, err := w.store().Receive(bytes.NewReader(send(builder.Path("@base/1.0"))), "3.0")
	w.ok(err)
	difference := send("-p", builder.Path("@base/1.0"), builder.Path("@base/3.1"))
	_, err = w.store().Receive(bytes.NewReader(difference), "")
	w.ok(err)
	if got := w.Read("@base/3.1/etc/added") + w.Read("@base/3.1/etc/of-base"); got != "in 3.1base 1.0" {
		t.Errorf("the base has %q", got)
	}
}

func TestCollect(t *testing.T) {
	w := newWorld(t)
	w.base("0.8", "")
	w.base("0.7", "")
	w.ok(btrfs.Create(w.Path("@base/0.6")))
	w.use.Bases = []profiles.Version{"0.8"}
	s := w.store()
	w.ok(s.Create("old", Fresh{Pin: "0.7"}))
	said, err := s.Collect(true)
	w.ok(err)
	did, err := s.Collect(false)
	w.ok(err)
	if diff := cmp.Diff(said, did); diff != "" {
		t.Error("what is said is not what is done: ", diff)
	}
	want := []Verdict{
		{"2.0", false, "it is newer than what is current"}, {"1.0", false, "it is current"},
		{"0.9", true, "it is older than what is current, and no profile is pinned to it"},
		{"0.8", false, "it is running"}, {"0.7", false, "it is the base of old"},
		{"0.6", false, "somebody is making it: " + profiles.WhyNoBase(true, false).Error()},
	}
	if diff := cmp.Diff(want, did); diff != "" {
		t.Error(diff)
	}
	if got := w.Run("ls", w.Path("@base")); got != "0.6\n0.7\n0.8\n1.0\n2.0\ncurrent\n" {
		t.Errorf("left: %q", got)
	}
	w.ok(os.Remove(w.Path("@base/current")))
	did, err = s.Collect(true)
	w.ok(err)
	for _, v := range did {
		if v.Goes {
			t.Errorf("without a current base %+v", v)
		}
	}
}
