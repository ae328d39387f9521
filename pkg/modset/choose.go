package modset

import (
	"fmt"
	"slices"
)

// StoreDir is the directory of a set that has its sessions.
const StoreDir = "changes"

// Release is what a system says of itself, and what it was when a session began.
type Release struct{ Version, Edition string }

// Session is what is known of a session. Of those that an older MiniOS made some
// fields are empty.
type Session struct {
	Mode  Mode
	Union string // "overlayfs"
	// Clean tells that it was closed when the machine went down.
	Clean bool
	Release
}

// ourUnion is how MiniOS calls overlay.
const ourUnion = "overlayfs"

// Store is what is known of a store of sessions.
type Store struct {
	// Default is the number of the session that is resumed; "": there is none.
	Default  string
	Sessions map[string]Session // by number
	Dirs     []string           // the numbers of which there is a directory
	// NoNative is why its filesystem cannot have native sessions; "" when it can.
	NoNative string
	// Unreadable is why its sessions are not known; nil when they are.
	Unreadable error
}

// Choice is the session of a boot, and why.
type Choice struct {
	Number string // "": none, and what is written stays in memory
	Create bool
	Mode   Mode
	Clean  bool // the session was closed when the machine went down
	Reason string
	// Degraded says that a session was wanted, and there is none.
	Degraded bool
	Rejected []Rejected
}

// Rejected is a session that could have been it.
type Rejected struct{ Number, Reason string }

// Choose decides which session a boot gets. Nothing here is ever written over:
// a session that does not fit stays as it is.
func Choose(w Wish, s Store, now Release) Choice {
	if w.Mode == Native && s.NoNative != "" {
		w.Mode = Raw // which takes its place there
	}
	switch {
	case w.Selector == NoSession:
		return Choice{Reason: "no word asks for a session, what is written stays in memory"}
	case w.Refused != "":
		return inMemory(w.Refused)
	case s.Unreadable != nil:
		return inMemory(s.Unreadable.Error())
	case w.Selector == New:
		return s.create("perchdir=new asks for a new session", w.Mode)
	case w.Selector == Default || w.Selector == Resume:
		return s.byDefault(w, now)
	}
	number := string(w.Selector)
	if !slices.Contains(s.Dirs, number) {
		w.Selector = Default
		c := s.byDefault(w, now)
		c.Rejected = append(c.Rejected, Rejected{number, "there is no such session"})
		return c
	}
	return s.open(number, "perchdir= names it")
}

// open uses a session that is there, if it can be used.
func (s Store) open(number, reason string) Choice {
	session := s.Sessions[number]
	why := session.unusable()
	if why == "" && session.mode() == Native && s.NoNative != "" {
		why = s.NoNative
	}
	if why != "" {
		return inMemory(fmt.Sprintf("session %s: %s", number, why))
	}
	return Choice{Number: number, Mode: session.mode(), Clean: session.Clean, Reason: reason}
}

// byDefault resumes the default session where that fits.
func (s Store) byDefault(w Wish, now Release) Choice {
	session := s.Sessions[s.Default]
	why := session.mismatch(w.Mode, now)
	switch {
	case s.Default == "" || !slices.Contains(s.Dirs, s.Default):
		if w.Selector == Default {
			return inMemory("there is no session to resume, and perch alone makes none")
		}
		return s.create("there is no session to resume", w.Mode)
	case why == "":
		return s.open(s.Default, "it is the default session")
	}
	c := inMemory(fmt.Sprintf("session %s %s, and perch alone makes no new one", s.Default, why))
	if w.Selector == Resume {
		c = s.create(fmt.Sprintf("session %s %s", s.Default, why), w.Mode)
	}
	c.Rejected = append(c.Rejected, Rejected{s.Default, "it " + why})
	return c
}

// create makes a session of a mode, "" for the usual one. Its number no other has
// had as far as the store knows.
func (s Store) create(reason string, mode Mode) Choice {
	if mode == "" {
		mode = Native
		if s.NoNative != "" {
			mode, reason = Raw, reason+", in an image: "+s.NoNative
		}
	}
	numbers := slices.Clone(s.Dirs)
	for number := range s.Sessions {
		numbers = append(numbers, number)
	}
	number := next(numbers)
	if number == "" {
		return inMemory("there is no number left for a new session")
	}
	return Choice{Number: number, Create: true, Mode: mode, Reason: reason}
}

func inMemory(reason string) Choice {
	return Choice{Reason: reason, Degraded: true}
}

// mode is how the session keeps what is written. What nobody knows is a
// directory.
func (s Session) mode() Mode {
	if _, other := otherModes[s.Mode]; other || imageNames[s.Mode] != "" {
		return s.Mode
	}
	return Native
}

// unusable says why nobody here can use the session; "" when it can be used.
func (s Session) unusable() string {
	if s.Union != "" && s.Union != ourUnion {
		return "it was written by another union filesystem, " + s.Union
	}
	return otherModes[s.mode()]
}

// mismatch says why the session is not resumed by itself; "" when it is. What it
// does not say is no mismatch.
func (s Session) mismatch(wanted Mode, now Release) string {
	differs := func(was, is string) bool { return was != "" && is != "" && was != is }
	switch {
	case differs(s.Union, ourUnion):
		return "was written by another union filesystem, " + s.Union
	case wanted != "" && s.mode() != wanted:
		return fmt.Sprintf("has the mode %s, and %s is wanted", s.mode(), wanted)
	case differs(s.Version, now.Version):
		return fmt.Sprintf("is of the version %s, and this is %s", s.Version, now.Version)
	case differs(s.Edition, now.Edition):
		return fmt.Sprintf("is of the edition %s, and this is %s", s.Edition, now.Edition)
	}
	return ""
}
