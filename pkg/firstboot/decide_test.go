package firstboot

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecide(t *testing.T) {
	none := Wish{}
	for _, c := range []struct {
		content Content
		wish    Wish
		want    Decision
		err     string // a part of it
	}{
		{Filesystem, Wish{"1.2", "1.2"}, Decision{}, ""},
		{Leftover, Wish{"1.2", "1.2"}, Decision{Clear: true}, ""},
		{Blank, none, Decision{Claim: true, Format: true}, ""},
		{HalfMade, none, Decision{Format: true}, ""},
		{Stale, Wish{"1.2", "1.2"}, Decision{Claim: true, Format: true}, ""},
		{Stale, Wish{"", "1.2"}, Decision{}, "; minos.format-data=1.2 asks for it"},
		{Stale, Wish{"1.1", "1.2"}, Decision{}, "minos.format-data=1.1 is for another image, this one is 1.2"},
		{Stale, Wish{"1.2", ""}, Decision{}, "this image has no minos.build="},
		{Stale, none, Decision{}, "this image has no minos.build="},
		{Unknown, Wish{"1.2", "1.2"}, Decision{}, "what is not known is never formatted"},
		{Unreadable, Wish{"1.2", "1.2"}, Decision{}, "what cannot be read is never formatted"},
	} {
		got := Decide(Finding{Content: c.content, Reason: "is like this"}, c.wish)
		err := got.Err
		got.Err = nil
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%d with %+v (-want +got):\n%s", c.content, c.wish, diff)
		}
		if (err == nil) != (c.err == "") || err != nil && !(strings.HasPrefix(err.Error(), "it is like this; ") && strings.Contains(err.Error(), c.err)) {
			t.Errorf("%d with %+v: %v, want %q", c.content, c.wish, err, c.err)
		}
	}
}
