package block

import (
	"bytes"
	"testing"
)

// The identities are those that sfdisk was told, and those that it makes of an
// MBR's.
func TestPartUUID(t *testing.T) {
	const guid1, guid2 = "11111111-2222-4333-8444-555555555555", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
	gpt, _ := partitioned(t, "label: gpt\n1 : size=2048, uuid="+guid1+"\n3 : size=2048, uuid="+guid2+"\n")
	dos, _ := partitioned(t, "label: dos\nlabel-id: 0x0badcafe\n1 : size=2048\n4 : size=8192, type=f\n10 : size=1024\n")
	without := bytes.Clone(gpt)
	clear(without[512:1024]) // the copy at the end is left
	for name, c := range map[string]struct {
		image  []byte
		number int
		want   string
	}{
		"GPT": {gpt, 1, guid1}, "GPT, a number behind a gap": {gpt, 3, guid2}, "GPT from the backup": {without, 3, guid2},
		"GPT, no such number": {gpt, 1000, ""}, "MBR": {dos, 1, "0badcafe-01"}, "MBR, two digits": {dos, 10, "0badcafe-0a"},
		"no table": {make([]byte, 1<<20), 1, ""},
	} {
		if got := partUUID(reader{bytes.NewReader(c.image), int64(len(c.image))}, c.number); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
