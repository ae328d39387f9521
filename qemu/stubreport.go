package qemu

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Stub is what the stub real init printed.
type Stub struct {
	Started  bool // it printed something
	Complete bool // it got to its end

	PID     int
	Argv    []string
	Env     []string
	Machine string         // as uname -m says it
	Mounts  []string       // lines of mountinfo
	FDs     map[int]string // open descriptors and what they are
	RootDev string         // st_dev of /, "MAJOR:MINOR"

	BootJSON      string // the report, "" when there was none
	VolatileRoot  string // where the link points, or an errno
	InitrdRelease bool   // /etc/initrd-release exists
	Deserialize   string // "fd=N offset=N CONTENT", the content quoted; "" when it was not given

	CPU      time.Duration // of the process, up to the stub
	Children time.Duration // of its children, up to the stub
	Done     []string      // "VERB:ARG RESULT" for each verb of stub.do=, in order
}

// ReadStub finds the stub's lines in what a console showed. Whatever stands
// before the word STUB on a line, such as the kernel log's time, is left out.
func ReadStub(console string) (Stub, error) {
	s := Stub{FDs: map[int]string{}}
	for line := range strings.Lines(console) {
		_, line, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "STUB ")
		if !ok {
			continue
		}
		s.Started = true
		if err := s.add(line); err != nil {
			return Stub{}, fmt.Errorf("cannot read the stub's line %q: %w", line, err)
		}
	}
	s.BootJSON = strings.TrimPrefix(s.BootJSON, "\n")
	return s, nil
}

func (s *Stub) add(line string) (err error) {
	if text, ok := strings.CutPrefix(line, "boot.json|"); ok {
		s.BootJSON += "\n" + text
		return nil
	}
	if text, ok := strings.CutPrefix(line, "boot.json+"); ok {
		s.BootJSON += text
		return nil
	}
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "pid":
		s.PID, err = strconv.Atoi(rest)
	case "argv":
		_, quoted, _ := strings.Cut(rest, " ")
		err = appendQuoted(&s.Argv, quoted)
	case "env":
		err = appendQuoted(&s.Env, rest)
	case "uname":
		s.Machine = rest
	case "mount":
		s.Mounts = append(s.Mounts, rest)
	case "root":
		s.RootDev = strings.TrimPrefix(rest, "dev=")
	case "fd":
		number, target, _ := strings.Cut(rest, " ")
		var n int
		n, err = strconv.Atoi(number)
		s.FDs[n] = target
	case "volatile-root":
		s.VolatileRoot = rest
	case "initrd-release":
		s.InitrdRelease, err = strconv.ParseBool(rest)
	case "deserialize":
		s.Deserialize = rest
	case "cpu":
		var self, children int64
		_, err = fmt.Sscanf(rest, "self_us=%d children_us=%d", &self, &children)
		s.CPU, s.Children = time.Duration(self)*time.Microsecond, time.Duration(children)*time.Microsecond
	case "do":
		s.Done = append(s.Done, rest)
	case "end":
		s.Complete = true
	}
	return err
}

func appendQuoted(list *[]string, quoted string) error {
	text, err := strconv.Unquote(quoted)
	*list = append(*list, text)
	return err
}

// BootReport decodes the report that init left for the real root.
func (s Stub) BootReport() (map[string]any, error) {
	if s.BootJSON == "" {
		return nil, errors.New("cannot decode boot.json: the stub found none")
	}
	var report map[string]any
	if err := json.Unmarshal([]byte(s.BootJSON), &report); err != nil {
		return nil, fmt.Errorf("cannot decode boot.json: %w", err)
	}
	return report, nil
}

// Mount is one line of mountinfo, its escapes resolved.
type Mount struct {
	Target  string
	Options string // of the mount: "ro,noatime"
	FSType  string
	Source  string
	Super   string // options of the filesystem
}

// MountAt returns what is mounted at a path, the topmost if there are several.
func (s Stub) MountAt(path string) (found Mount, ok bool) {
	for _, line := range s.Mounts {
		m, err := parseMount(line)
		if err == nil && m.Target == path {
			found, ok = m, true
		}
	}
	return found, ok
}

// parseMount takes a line of mountinfo apart: six fields, any number of tags, a
// dash, three fields (proc_pid_mountinfo(5)).
func parseMount(line string) (Mount, error) {
	front, back, ok := strings.Cut(line, " - ")
	f, b := strings.Fields(front), strings.Fields(back)
	if !ok || len(f) < 6 || len(b) != 3 {
		return Mount{}, fmt.Errorf("%q is no line of mountinfo", line)
	}
	plain := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	return Mount{Target: plain.Replace(f[4]), Options: f[5], FSType: b[0], Source: plain.Replace(b[1]), Super: b[2]}, nil
}
