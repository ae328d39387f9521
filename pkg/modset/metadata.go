package modset

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/minos-os/minos-init/pkg/jsondoc"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// The files of a store that tell of its sessions. A store has one of them; when
// both are there the first counts, as with MiniOS where it has jq.
const (
	jsonFile = "session.json"
	confFile = "session.conf"
)

// metadata is one of these files.
type metadata interface {
	read(s *Store)
	record(number string, fields []field)
	// close marks a session as one that was closed, and none as running.
	close(number string)
	bytes() []byte
}

// readMetadata returns what a store says of its sessions, and the name of the
// file. A store without one gets a new one.
func readMetadata(k sys.Kernel, dir string) (name string, m metadata, err error) {
	for _, name = range []string{jsonFile, confFile} {
		data, err := k.ReadFile(path.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return name, nil, err
		}
		if name == confFile {
			return name, newConf(data), nil
		}
		document, err := jsondoc.Parse(string(data))
		if err != nil {
			return name, nil, fmt.Errorf("%s is not understood, and stays as it is: %w", jsonFile, err)
		}
		return name, &jsonMetadata{document}, nil
	}
	document := jsondoc.Object()
	// A cut in a rename on a FAT can leave the new file under its other name only.
	if data, err := k.ReadFile(path.Join(dir, jsonFile+mount.PartialSuffix)); err == nil {
		if whole, err := jsondoc.Parse(string(data)); err == nil {
			document = whole
		}
	}
	return jsonFile, &jsonMetadata{document}, nil
}

// IsStore tells whether sessions are kept in a directory.
func IsStore(k sys.Kernel, dir string) bool {
	for _, name := range []string{jsonFile, confFile} {
		if _, err := k.Lstat(path.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// ReadStore looks at a store. One that is not there has no sessions.
func ReadStore(k sys.Kernel, dir string) (s Store) {
	s.Sessions = map[string]Session{}
	names, err := k.ReadDir(dir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.Unreadable = err
		}
		return s
	}
	for _, name := range names {
		if !isNumber(name) {
			continue
		}
		if info, err := k.Lstat(path.Join(dir, name)); err == nil && info.Mode.IsDir() {
			s.Dirs = append(s.Dirs, name)
		}
	}
	_, m, err := readMetadata(k, dir)
	if err != nil {
		s.Unreadable = err
		return s
	}
	m.read(&s)
	return s
}

// note takes in a session. What is no number is passed over, here and where the
// default is read.
func (s *Store) note(number string, change func(*Session)) {
	if !isNumber(number) {
		return
	}
	session := s.Sessions[number]
	change(&session)
	s.Sessions[number] = session
}

func (s *Store) noteDefault(number string) {
	if isNumber(number) {
		s.Default = number
	}
}

// field is one thing that a record says of a session; "" says nothing.
type field struct{ key, value string }

// fields are what a record says of a session, in the order of MiniOS.
func (s Session) fields() []field {
	return []field{{"mode", string(s.Mode)}, {"version", s.Version}, {"edition", s.Edition}, {"union", s.Union}}
}

// The states of a session.
const (
	dirty = "dirty" // it is in use, or was when the power went
	clean = "clean" // it was closed when the machine went down
)

func (s *Session) take(key, text string) {
	switch key {
	case "mode":
		s.Mode = Mode(text)
	case "version":
		s.Version = text
	case "edition":
		s.Edition = text
	case "union":
		s.Union = text
	case "state":
		s.Clean = text == clean
	}
}

// jsonMetadata is session.json.
type jsonMetadata struct{ document *jsondoc.Value }

func (j *jsonMetadata) read(s *Store) {
	s.noteDefault(j.document.Get("default").Text())
	j.document.Get("sessions").Each(func(number string, fields *jsondoc.Value) {
		s.note(number, func(session *Session) {
			fields.Each(func(key string, val *jsondoc.Value) { session.take(key, val.Text()) })
		})
	})
}

func (j *jsonMetadata) record(number string, fields []field) {
	j.document.Set("default", jsondoc.String(number))
	j.document.Set("running", jsondoc.String(number))
	entry := j.document.Child("sessions").Child(number)
	for _, f := range fields {
		if f.value != "" {
			entry.Set(f.key, jsondoc.String(f.value))
		}
	}
}

func (j *jsonMetadata) close(number string) {
	j.document.Remove("running")
	j.document.Child("sessions").Child(number).Set("state", jsondoc.String(clean))
}

func (j *jsonMetadata) bytes() []byte { return j.document.Bytes() }

// confMetadata is session.conf, line by line. Lines that nobody here knows stay.
type confMetadata struct{ lines []string }

func newConf(data []byte) *confMetadata {
	return &confMetadata{slices.Collect(strings.Lines(string(data)))}
}

func (c *confMetadata) read(s *Store) {
	for _, line := range c.lines {
		key, text, _ := strings.Cut(strings.TrimSpace(line), "=")
		text = strings.Trim(text, `"`)
		if key == "default" {
			s.noteDefault(text)
		}
		if field, number, ok := confField(key); ok {
			s.note(number, func(session *Session) { session.take(field, text) })
		}
	}
}

// confField takes session_FIELD[NUMBER] apart.
func confField(key string) (field, number string, ok bool) {
	field, number, ok = strings.Cut(strings.TrimSuffix(key, "]"), "[")
	field, of := strings.CutPrefix(field, "session_")
	return field, number, ok && of && strings.HasSuffix(key, "]")
}

func (c *confMetadata) record(number string, fields []field) {
	c.set("default", number)
	c.set("running", number)
	for _, f := range fields {
		if f.value != "" {
			c.set("session_"+f.key+"["+number+"]", f.value)
		}
	}
}

func (c *confMetadata) close(number string) {
	c.lines = slices.DeleteFunc(c.lines, func(line string) bool { return confKey(line) == "running" })
	c.set("session_state["+number+"]", clean)
}

// confKey is the key of a line.
func confKey(line string) string {
	key, _, _ := strings.Cut(strings.TrimSpace(line), "=")
	return key
}

// set gives a key a value, in its place or at the end.
func (c *confMetadata) set(key, text string) {
	line := key + "=" + text + "\n"
	for i, old := range c.lines {
		if confKey(old) == key {
			c.lines[i] = line
			return
		}
	}
	if n := len(c.lines); n > 0 && !strings.HasSuffix(c.lines[n-1], "\n") {
		c.lines[n-1] += "\n"
	}
	c.lines = append(c.lines, line)
}

func (c *confMetadata) bytes() []byte { return []byte(strings.Join(c.lines, "")) }
