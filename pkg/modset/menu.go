package modset

import (
	"slices"
	"strings"
)

// Entry is one line of a menu.
type Entry struct {
	Text string
	// Doubt is why the entry is not picked by itself, and is to be confirmed; ""
	// for one that fits.
	Doubt string
	// No is why it cannot be picked; "" when it can.
	No string
	// Session is the selector that it stands for.
	Session Selector
}

// None is the entry for no session at all.
var None = Entry{Text: "none, what is written stays in memory", Session: NoSession}

// Menu lists the sessions of a store, a new one and none, and says which of them
// it is when nobody picks one: what perchdir=resume would use.
func Menu(w Wish, s Store, now Release) (entries []Entry, usual int) {
	numbers := slices.SortedFunc(slices.Values(s.Dirs), compareNames)
	w.Selector = Resume
	resumed := Choose(w, s, now)
	for _, number := range numbers {
		session, choice := s.Sessions[number], s.open(number, "")
		words := []string{"session " + number, string(session.mode())}
		for _, known := range []string{session.Version, session.Edition} {
			if known != "" {
				words = append(words, known)
			}
		}
		if number == s.Default {
			words = append(words, "the default")
		}
		e := Entry{Text: strings.Join(words, ", "), Session: Selector(number)}
		switch {
		case choice.Number == "":
			e.No = choice.Reason
		case session.mismatch("", now) != "":
			e.Doubt = "session " + number + " " + session.mismatch("", now)
		}
		entries = append(entries, e)
	}
	entries = append(entries, Entry{Text: "a new session", Session: New}, None)
	usual = slices.IndexFunc(entries, func(e Entry) bool {
		return e.Session == Selector(resumed.Number) && !resumed.Create || e.Session == New && resumed.Create
	})
	return entries, usual
}

// Picked is the choice of somebody at the console.
func Picked(selector Selector, w Wish, s Store, now Release, why string) Choice {
	w.Selector = selector
	c := Choose(w, s, now)
	if selector == NoSession || c.Number != "" {
		c.Reason = why
	}
	return c
}
