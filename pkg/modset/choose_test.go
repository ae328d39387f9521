package modset

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/minos-os/minos-init/pkg/jsondoc"
	"github.com/minos-os/minos-init/pkg/sys/systest"
)

// Layouts 3.4: the table of selectors.
func TestChoose(t *testing.T) {
	now := Release{"5.0", "standard"}
	with := func(def string, change func(*Session)) Store {
		two := Session{Mode: Native, Union: ourUnion, Release: now}
		if change != nil {
			change(&two)
		}
		return Store{Default: def, Dirs: []string{"1", "2", "10"}, Sessions: map[string]Session{"2": two, "12": {}}}
	}
	usable := with("2", nil)
	for _, c := range []struct {
		name   string
		wish   Wish
		store  Store
		number string
		create bool
		reason string
	}{
		{"nothing wanted", Wish{}, usable, "", false, "no word asks for a session"},
		{"perch", Wish{Selector: Default}, usable, "2", false, "it is the default session"},
		{"perch, none", Wish{Selector: Default}, with("", nil), "", false, "perch alone makes none"},
		{"perch, gone", Wish{Selector: Default}, with("3", nil), "", false, "perch alone makes none"},
		{"perch, version", Wish{Selector: Default}, with("2", func(s *Session) { s.Version = "4" }), "", false, "session 2 is of the version 4, and this is 5.0, and perch alone makes no new one"},
		{"resume", Wish{Selector: Resume}, usable, "2", false, "it is the default session"},
		{"resume, none", Wish{Selector: Resume}, with("", nil), "13", true, "there is no session to resume"},
		{"resume, version", Wish{Selector: Resume}, with("2", func(s *Session) { s.Version = "4" }), "13", true, "session 2 is of the version 4, and this is 5.0"},
		{"resume, edition", Wish{Selector: Resume}, with("2", func(s *Session) { s.Edition = "ultra" }), "13", true, "session 2 is of the edition ultra, and this is standard"},
		{"resume, union", Wish{Selector: Resume}, with("2", func(s *Session) { s.Union = "aufs" }), "13", true, "aufs"},
		{"resume, another mode", Wish{Selector: Resume, Mode: Native}, with("2", func(s *Session) { s.Mode = "raw" }), "13", true, "session 2 has the mode raw, and native is wanted"},
		{"resume, an image", Wish{Selector: Resume}, with("2", func(s *Session) { s.Mode = Raw }), "2", false, "it is the default session"},
		{"resume, on a FAT", Wish{Selector: Resume, Mode: Native}, onFAT(with("2", nil)), "13", true, "session 2 has the mode native, and raw is wanted"},
		{"perch, on a FAT", Wish{Selector: Default}, onFAT(with("2", nil)), "", false, "session 2: vfat keeps no owners"},
		{"number, on a FAT", Wish{Selector: "1"}, onFAT(with("2", nil)), "", false, "session 1: vfat keeps no owners"},
		{"new, on a FAT", Wish{Selector: New}, onFAT(with("2", nil)), "13", true, "perchdir=new asks for a new session, in an image: vfat keeps no owners"},
		{"resume native, an image on a FAT", Wish{Selector: Resume, Mode: Native}, onFAT(with("2", func(s *Session) { s.Mode = Raw })), "2", false, "it is the default session"},
		{"resume, a mode that is not there", Wish{Selector: Resume}, with("2", func(s *Session) { s.Mode = "dynfilefs" }), "", false, "session 2: dynfilefs needs a program that is not in the image"},
		{"resume, an unknown mode", Wish{Selector: Resume}, with("2", func(s *Session) { s.Mode = "x" }), "2", false, "it is the default session"},
		{"resume, of before", Wish{Selector: Resume}, with("2", func(s *Session) { *s = Session{} }), "2", false, "it is the default session"},
		{"resume, without record", Wish{Selector: Resume}, with("10", nil), "10", false, "it is the default session"},
		{"new", Wish{Selector: New}, usable, "13", true, "perchdir=new asks for a new session"},
		{"number", Wish{Selector: "10"}, usable, "10", false, "perchdir= names it"},
		{"number, gone", Wish{Selector: "12"}, usable, "2", false, "it is the default session"},
		{"number, gone, no default", Wish{Selector: "12"}, with("", nil), "", false, "perch alone makes none"},
		{"number, version", Wish{Selector: "2"}, with("", func(s *Session) { s.Version = "4" }), "2", false, "perchdir= names it"},
		{"number, union", Wish{Selector: "2"}, with("", func(s *Session) { s.Union = "aufs" }), "", false, "session 2: it was written by another union filesystem, aufs"},
		{"refused", Wish{Selector: New, Refused: "why"}, usable, "", false, "why"},
		{"full", Wish{Selector: New}, Store{Dirs: []string{"999999999"}}, "", false, "there is no number left"},
	} {
		got := Choose(c.wish, c.store, now)
		if got.Number != c.number || got.Create != c.create || !strings.Contains(got.Reason, c.reason) || got.Degraded != (c.number == "" && c.name != "nothing wanted") {
			t.Errorf("%s: %+v, want session %q, create %v, %q", c.name, got, c.number, c.create, c.reason)
		}
	}
}

// onFAT is a store on a FAT.
func onFAT(s Store) Store {
	s.NoNative = NoNativeOn("vfat")
	return s
}

func TestRecordKeepsWhatItDoesNotKnow(t *testing.T) {
	session := Session{Mode: Native, Union: ourUnion, Release: Release{"5.0", "a \"b\""}}
	for before, want := range map[string]string{
		"{}": `{"default":"3","running":"3","sessions":{"3":{"mode":"native","version":"5.0","edition":"a \"b\"","union":"overlayfs","state":"dirty"}}}`,
		`{"x": [1, {"y": "]"}], "default": null, "sessions": {"3": {"size": 4000, "state": "clean"}, "4": 5}}`: `{"x":[1, {"y": "]"}],"default":"3","sessions":{"3":{"size":4000,"state":"dirty","mode":"native","version":"5.0","edition":"a \"b\"","union":"overlayfs"},"4":5},"running":"3"}`,
		`{"sessions": [], "default": 7}`: `{"sessions":{"3":{"mode":"native","version":"5.0","edition":"a \"b\"","union":"overlayfs","state":"dirty"}},"default":"3","running":"3"}`,
	} {
		v, err := jsondoc.Parse(before)
		if err != nil {
			t.Fatal(err)
		}
		m := &jsonMetadata{v}
		m.record("3", append(session.fields(), field{"state", dirty}))
		var got, wanted any
		if err := json.Unmarshal(m.bytes(), &got); err != nil {
			t.Fatalf("%v: %s", err, m.bytes())
		}
		if err := json.Unmarshal([]byte(want), &wanted); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", before, diff)
		}
	}
}

func TestReadStore(t *testing.T) {
	files := []string{"s/1/", "s/x/", "s/01/", "s/12=a file", "s/3->1"}
	want := Store{Default: "1", Dirs: []string{"1"}, Sessions: map[string]Session{"1": {Mode: "raw", Union: "aufs", Release: Release{"5", "e"}}}}
	for _, meta := range []string{
		`s/session.json={"default": 1, "sessions": {"1": {"mode": "raw", "version": 5, "edition": "\u0065", "union": "aufs"}, "../x": {"mode": "native"}}}`,
		"s/session.conf=default=1\nsession_mode[1]=raw\nsession_version[1]=5\nsession_edition[1]=\"e\"\nsession_union[1]=aufs\nsession_mode[../x]=native\nsession_mode=\n# x\n",
	} {
		got := ReadStore(systest.New("", append(files, meta)...), "/s")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", meta, diff)
		}
	}
	// A cut on a FAT has taken the old name, and not given it to the new file.
	if got := ReadStore(systest.New("", "s/1/", `s/session.json.minos-new={"default": "1"}`), "/s"); got.Default != "1" || got.Unreadable != nil {
		t.Errorf("a new file under its other name: %+v", got)
	}
	if got := ReadStore(systest.New("", "s/1/", `s/session.json.minos-new={"default": "`), "/s"); got.Default != "" || got.Unreadable != nil {
		t.Errorf("half of a new file: %+v", got)
	}
	if got := ReadStore(systest.New(""), "/none"); got.Unreadable != nil || got.Default != "" {
		t.Errorf("a store that is not there: %+v", got)
	}
	if got := ReadStore(systest.New("", "s/session.json=[]"), "/s"); got.Unreadable == nil {
		t.Errorf("metadata that is not understood: %+v", got)
	}
}

// Whatever encoding/json reads is read here too, as the same; and what is
// written is what was read.
//
//fuzz:covers jsonMetadata.read Store.note Store.noteDefault Session.take
func FuzzSessionJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `{"default":"2","sessions":{"2":{"mode":"native","size":4000}}}`, `{"a":[1,{"b":null}],"c":"\"\\\/\b\f\n\r\t\u00e9"}`, `{"a":-1.5e3,"b":true}`, `{"a":}`, `{"default":"x","sessions":{"1":{"version":"1","edition":"e","union":"aufs"},"x":{}}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := jsondoc.Parse(text)
		if err != nil {
			return
		}
		var before, after any
		if json.Unmarshal([]byte(text), &before) != nil {
			t.Skip("more lenient than encoding/json; nothing is lost by that")
		}
		if err := json.Unmarshal((&jsonMetadata{v}).bytes(), &after); err != nil || !reflect.DeepEqual(before, after) {
			t.Errorf("%q became %q: %v", text, (&jsonMetadata{v}).bytes(), err)
		}
		var s Store
		s.Sessions = map[string]Session{}
		(&jsonMetadata{v}).read(&s)
		checkNumbers(t, s)
		(&jsonMetadata{v}).record("3", Session{Mode: Native}.fields())
		if json.Unmarshal((&jsonMetadata{v}).bytes(), &after) != nil {
			t.Errorf("%q: what is recorded is no JSON", text)
		}
	})
}

//fuzz:covers newConf confMetadata.read confField
func FuzzSessionConf(f *testing.F) {
	f.Add("default=2\nrunning=2\nsession_mode[2]=native\nsession_state[2]=clean")
	f.Add("default=../x\nsession_mode[../x]=native\nsession_[]=\n=\n")
	f.Fuzz(func(t *testing.T, text string) {
		s := Store{Sessions: map[string]Session{}}
		newConf([]byte(text)).read(&s)
		checkNumbers(t, s)
		c := newConf([]byte(text))
		c.record("3", Session{Mode: Native}.fields())
		once := string(c.bytes())
		c = newConf([]byte(once))
		c.record("3", Session{Mode: Native}.fields())
		again := Store{Sessions: map[string]Session{}}
		c.read(&again)
		if string(c.bytes()) != once || again.Default != "3" || again.Sessions["3"].Mode != Native {
			t.Errorf("%q: %q becomes %q, default %q", text, once, c.bytes(), again.Default)
		}
	})
}

func checkNumbers(t *testing.T, s Store) {
	t.Helper()
	for number := range s.Sessions {
		if !isNumber(number) {
			t.Errorf("the session %q was taken in", number)
		}
	}
	if s.Default != "" && !isNumber(s.Default) {
		t.Errorf("the default %q was taken in", s.Default)
	}
}
