package modset

import (
	"slices"
	"strings"
	"testing"
)

func TestParseFrom(t *testing.T) {
	for text, want := range map[string]Place{
		"minios":                              {Path: "minios"},
		"/a//b/":                              {Path: "a/b"},
		"/img/m.ISO":                          {Path: "img/m.ISO"},
		"/dev/vdb/foo":                        {Device: "/dev/vdb", Path: "foo"},
		"/dev/vdb":                            {Device: "/dev/vdb", Path: "minios"},
		"/dev/mapper/x/foo":                   {Device: "/dev/mapper/x", Path: "foo"},
		"/dev/disk/by-label/L/foo":            {Label: "L", Path: "foo"},
		`/dev/disk/by-label/a\x20b`:           {Label: "a b", Path: "minios"},
		"/device/x":                           {Path: "device/x"},
		"/dev/disk/by-label/L/img/minios.iso": {Label: "L", Path: "img/minios.iso"},
	} {
		if got, err := ParseFrom(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                      "expected the path of a directory",
		"/":                     "expected the path of a directory",
		"/dev/":                 "the name of a device is missing",
		"/dev/disk/by-label/":   "the name of a device is missing",
		"/dev/mapper/":          "the name of a device is missing",
		"/dev/disk/by-uuid/1/x": "only those of by-label",
		"../x":                  "there is a . or .. in the path",
		"/dev/sda/../x":         "there is a . or .. in the path",
		"http://x/y.iso":        "starting over the network is not taken over",
		"askdisk":               "asking for the device is not there yet",
		"askdisk:a:b":           "asking for the device is not there yet",
	} {
		if got, err := ParseFrom(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v, want %q", text, got, err, want)
		}
	}
}

// Layouts 6.2, statement 6: no word leads out of the medium.
//
//fuzz:covers ParseFrom parsePlace cleanPath
func FuzzParseFrom(f *testing.F) {
	for _, seed := range []string{"/dev/vdb/foo", "/dev/disk/by-label/L/x.iso", "../x", "a/./b", "askdisk:a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseFrom(text)
		if err == nil && (p.Path == "" || strings.HasPrefix(p.Path, "/") || slices.Contains(strings.Split(p.Path, "/"), "..")) {
			t.Errorf("%q leads to %+v", text, p)
		}
	})
}

// lastOf is a command line.
func lastOf(line string) func(string) (string, bool) {
	return func(key string) (value string, ok bool) {
		for word := range strings.FieldsSeq(line) {
			if k, v, _ := strings.Cut(word, "="); k == key {
				value, ok = v, true
			}
		}
		return value, ok
	}
}

func TestParseWish(t *testing.T) {
	for line, want := range map[string]Wish{
		"":                                 {},
		"perchance xperch perch.x=1":       {},
		"from=/perch/toram":                {},
		"perch":                            {Selector: Default},
		"perch=none perchdir=new":          {},
		"perchdir=new perch=none":          {},
		"perchsize=4000":                   {Selector: Default, Size: 4000},
		"perchreserve=1":                   {Selector: Default, Reserve: 1},
		"perchmode=native":                 {Selector: Default, Mode: Native},
		"perchdir=resume":                  {Selector: Resume},
		"perch perchdir=new":               {Selector: New},
		"perchdir=12":                      {Selector: "12"},
		"perchdir=/dev/sda2/my":            {Selector: Resume, Store: Place{Device: "/dev/sda2", Path: "my"}},
		"perchdir=/dev/sda2":               {Selector: Resume, Store: Place{Device: "/dev/sda2", Path: "minios/changes"}},
		"perchdir=/dev/mapper/x/my":        {Selector: Resume, Store: Place{Device: "/dev/mapper/x", Path: "my"}},
		"perchdir=/dev/disk/by-label/L/my": {Selector: Resume, Store: Place{Label: "L", Path: "my"}},
		"perchdir=label:L/my":              {Selector: Resume, Store: Place{Label: "L", Path: "my"}},
		"perchdir=/my":                     {Selector: Resume, Store: Place{Path: "my"}},
		"perch=/dev/sda2:/my":              {Selector: Resume, Store: Place{Device: "/dev/sda2", Path: "my"}},
		"perch=/dev/disk/by-label/L:my":    {Selector: Resume, Store: Place{Label: "L", Path: "my"}},
		"perchdir=ask":                     {Selector: Ask},
		"perchdir=askdisk:x:y":             {Selector: Resume, AskDisk: true, Store: Place{Path: "x/y"}},
		"perch=askdisk":                    {Selector: Resume, AskDisk: true},
		"perchdir=new perchmode=raw":       {Selector: New, Mode: Raw},
		"perchmode=dynfilefs":              {Selector: Default, Mode: "dynfilefs", Refused: "dynfilefs needs a program that is not in the image"},
		"perchsize=2GB perchreserve=1":     {Selector: Default, Size: 2000, Reserve: 1},
		"perchsize=0 perchreserve=0":       {Selector: Default, Reserve: -1},
	} {
		switch {
		case want.Reserve < 0:
			want.Reserve = 0
		case want.Reserve == 0 && !strings.Contains(line, "none"):
			want.Reserve = 256
		}
		if got, warnings := ParseWish(lastOf(line)); got != want || warnings != nil {
			t.Errorf("%q: %+v, %q, want %+v", line, got, warnings, want)
		}
	}
	for line, want := range map[string]string{
		"perch=yes":           "expected none, askdisk, or a device and a path with a colon between, ignoring: perch=yes",
		"perch=/dev/x:../y":   "ignoring: perch=/dev/x:../y",
		"perchdir=../../x":    "expected resume, new, ask, the number of a session, or the place of a store, ignoring: perchdir=../../x",
		"perchdir=":           "ignoring: perchdir=",
		"perchdir=01":         "ignoring: perchdir=01",
		"perchdir=/":          "ignoring: perchdir=/",
		"perchdir=label:":     "ignoring: perchdir=label:",
		"perchdir=askdisk:..": "ignoring: perchdir=askdisk:..",
		"perchmode=Native":    "expected native, raw, dynfilefs, luks or squashfs, ignoring: perchmode=Native",
		"perchdir=/dev/a/..":  "ignoring: perchdir=/dev/a/..",
		"perchsize=4x":        "expected a size of at most 1000000 MiB, as 4000, 4000M or 4G, ignoring: perchsize=4x",
		"perchreserve=4097":   "expected a size of at most 4096 MiB",
	} {
		got, warnings := ParseWish(lastOf(line))
		if got.Selector != Default || got.Store != (Place{}) || len(warnings) != 1 || !strings.Contains(warnings[0], want) {
			t.Errorf("%q: %+v, %q, want %q", line, got, warnings, want)
		}
	}
}

//fuzz:covers ParseWish Wish.takePerch Wish.takeDir Wish.takeStore Wish.takeAskDisk parseSize
func FuzzParseWish(f *testing.F) {
	for _, seed := range []string{"perch=/dev/sda2:/my", "perchdir=label:L/my perchmode=raw", "perchdir=../x", "perchdir=99999999999", "perch=none", "perch=askdisk", "perch=x",
		"perchdir=resume", "perchdir=ask", "perchdir=7", "perchdir=/dev/sda2/my", "perchmode=luks", "perchmode=x", "perchdir=askdisk:a:b",
		"perch=askdisk:..", "perchsize=4G perchreserve=9999999", "perchsize=x", "perchsize=\u0250", "minos.session-key=/dev/disk/by-label/KEY/key", "minos.session-key=key"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		w, _ := ParseWish(lastOf(line))
		if s := string(w.Selector); strings.Contains(s, "/") || strings.Contains(s, "..") || slices.Contains(strings.Split(w.Store.Path, "/"), "..") {
			t.Errorf("%q leads out of the store: %+v", line, w)
		}
	})
}

func TestNext(t *testing.T) {
	for want, numbers := range map[string][]string{"1": nil, "11": {"1", "2", "9", "10"}, "100": {"99"}, "200": {"199", "2"}, "": {"999999999"}} {
		if got := next(numbers); got != want {
			t.Errorf("behind %q comes %q, want %q", numbers, got, want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "4000": 4000, "12M": 12, "12mb": 12, "4G": 4000, "4GB": 4000, "1T": 1000000, "1tb": 1000000, "1000000": 1000000} {
		if got, err := parseSize(text, mostSize); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "M", "4K", "4MM", "4BG", "4.5G", "-4", "+4", "1000001", "2T", "99999999999999999999", "4 G"} {
		if got, err := parseSize(text, mostSize); err == nil {
			t.Errorf("%q: %d, want an error", text, got)
		}
	}
}

// Layouts 3.6, statement 16: what an image gets.
func TestStatement3_6_16_ImageSize(t *testing.T) {
	for _, c := range []struct {
		name                      string
		asked, reserve, room, had int64
		fstype                    string
		want                      int64
	}{
		{"new", 0, 256, 10000, 0, "ext4", 4000},
		{"new, asked", 9000, 256, 10000, 0, "ext4", 9000},
		{"new, more than there is", 20000, 256, 10000, 0, "ext4", 9744},
		{"new, little", 0, 256, 1000, 0, "ext4", 744},
		{"new, another reserve", 0, 500, 1000, 0, "ext4", 500},
		{"new, none", 0, 256, 100, 0, "ext4", 0},
		{"new, FAT", 9000, 256, 10000, 0, "vfat", 4000},
		{"there", 0, 256, 10000, 700, "ext4", 700},
		{"grows", 900, 256, 10000, 700, "ext4", 900},
		{"never shrinks", 500, 256, 10000, 700, "ext4", 700},
		{"grows as far as there is room", 9000, 256, 1000, 700, "ext4", 744},
		{"grows without room", 9000, 256, 300, 700, "ext4", 700},
		{"grows on FAT", 9000, 256, 10000, 700, "vfat", 4000},
		{"a large one on FAT", 9000, 256, 10000, 4001, "vfat", 4001},
	} {
		if got := imageSize(c.asked, c.reserve, c.room, c.had, c.fstype); got != c.want {
			t.Errorf("%s: %d MiB, want %d", c.name, got, c.want)
		}
	}
}
