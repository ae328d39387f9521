package modset

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Selector says which session a boot wants.
type Selector string

// The selectors. A number is one, too: the session of that number.
const (
	NoSession Selector = ""        // what is written stays in memory
	Default   Selector = "default" // the default session, if there is one
	Resume    Selector = "resume"  // the default session, or a new one
	New       Selector = "new"
	Ask       Selector = "ask" // what somebody at the console picks
)

// Wish is what was asked for of persistence.
type Wish struct {
	Selector Selector
	Store    Place // of the sessions; the zero value: in the set itself
	AskDisk  bool  // the device of the store is what somebody at the console picks
	Mode     Mode  // asked for; "": none was
	Size     int64 // of a session in an image, in MiB; 0: nothing was asked for
	Reserve  int64 // what a new image, or one that grows, leaves free, in MiB
	Key      Place // of the key of an encrypted session; the zero value: it is typed
	// Refused is why the wish is not followed, and what is written stays in
	// memory; "": it is followed.
	Refused string
}

// Wanted tells whether a session is wanted, and can be had.
func (w Wish) Wanted() bool { return w.Selector != NoSession && w.Refused == "" }

// Mode is how a session keeps what is written.
type Mode string

// The modes of a session.
const (
	Native Mode = "native" // it is a directory
	Raw    Mode = "raw"    // it is an ext4 in a file
	Luks   Mode = "luks"   // it is an ext4 in a LUKS volume in a file
)

// otherModes are those of MiniOS that are not there, and why.
var otherModes = map[Mode]string{
	"dynfilefs": "dynfilefs needs a program that is not in the image",
	"squashfs":  "a session that is packed into a squashfs is not taken over",
}

// The words of MiniOS that ask for persistence.
const (
	wordPerch   = "perch"
	wordDir     = "perchdir"
	wordMode    = "perchmode"
	wordSize    = "perchsize"
	wordReserve = "perchreserve"
	wordKey     = "minos.session-key" // ours: MiniOS has none
)

// ParseWish reads the words of persistence. last returns the value of the last
// word with a key. Only whole words count: a path that holds the text perch asks
// for nothing. warnings name what is not understood.
func ParseWish(last func(key string) (value string, ok bool)) (w Wish, warnings []string) {
	perch, given := last(wordPerch)
	if given && perch == "none" {
		return Wish{}, nil
	}
	for _, word := range []string{wordPerch, wordDir, wordMode, wordSize, wordReserve} {
		if _, ok := last(word); ok {
			w.Selector = Default
		}
	}
	if perch != "" {
		if why := w.takePerch(perch); why != "" {
			warnings = append(warnings, fmt.Sprintf("%s, ignoring: perch=%s", why, perch))
		}
	}
	if dir, ok := last(wordDir); ok {
		if why := w.takeDir(dir); why != "" {
			warnings = append(warnings, fmt.Sprintf("%s, ignoring: perchdir=%s", why, dir))
		}
	}
	if mode, ok := last(wordMode); ok {
		w.Mode = Mode(mode)
		if why, other := otherModes[w.Mode]; other {
			w.Refused = why
		} else if w.Mode != Native && imageNames[w.Mode] == "" {
			warnings = append(warnings, fmt.Sprintf("expected native, raw, dynfilefs, luks or squashfs, ignoring: perchmode=%s", mode))
			w.Mode = Native
		}
	}
	w.Reserve = defaultReserve
	size := func(word string, most int64, to *int64) {
		text, ok := last(word)
		if !ok {
			return
		}
		n, err := parseSize(text, most)
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("%v, ignoring: %s=%s", err, word, text))
			return
		}
		*to = n
	}
	if text, ok := last(wordKey); ok {
		key, err := parsePlace(text)
		if err == nil && (key.Any() || key.Path == "") {
			err = errors.New("expected the path of a file, with /dev/NAME or /dev/disk/by-label/LABEL before it")
		}
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("%v, ignoring: %s=%s", err, wordKey, text))
			key = Place{}
		}
		w.Key = key
	}
	size(wordSize, mostSize, &w.Size)
	size(wordReserve, mostReserve, &w.Reserve)
	return w, warnings
}

// takePerch follows the value of perch=, and says what is wrong with it.
func (w *Wish) takePerch(value string) (why string) {
	const expected = "expected none, askdisk, or a device and a path with a colon between"
	if isAskDisk(value) {
		return w.takeAskDisk(value, expected)
	}
	device, dir, ok := strings.Cut(value, ":")
	if !ok || !strings.HasPrefix(device, "/dev/") {
		return expected
	}
	return w.takeStore(device+"/"+strings.Trim(dir, "/"), expected)
}

// takeDir follows the value of perchdir=, and says what is wrong with it.
func (w *Wish) takeDir(value string) (why string) {
	const expected = "expected resume, new, ask, the number of a session, or the place of a store"
	switch {
	case value == "resume" || value == "new" || value == "ask":
		w.Selector = Selector(value)
	case isAskDisk(value):
		return w.takeAskDisk(value, expected)
	case isNumber(value):
		w.Selector = Selector(value)
	case strings.HasPrefix(value, "label:"):
		return w.takeStore("/dev/disk/by-label/"+value[len("label:"):], expected)
	case strings.HasPrefix(value, "/"):
		return w.takeStore(value, expected)
	default:
		return expected
	}
	return ""
}

// takeAskDisk keeps the sessions on a device that somebody will pick. What is
// behind the word is the path there, with colons between its parts.
func (w *Wish) takeAskDisk(value, expected string) (why string) {
	dir, err := cleanPath(strings.ReplaceAll(strings.TrimPrefix(value, "askdisk"), ":", "/"))
	if err != nil {
		return expected
	}
	w.AskDisk, w.Selector, w.Store = true, Resume, Place{Path: dir}
	return ""
}

// takeStore keeps the sessions elsewhere.
func (w *Wish) takeStore(place, expected string) (why string) {
	p, err := parsePlace(place)
	if err == nil && p.Path == "" && !p.Any() {
		p.Path = Dir + "/" + StoreDir
	}
	if err != nil || p.Path == "" {
		return expected
	}
	w.Store, w.Selector = p, Resume
	return ""
}

// maxDigits bounds the number of a session.
const maxDigits = 9

// isNumber tells whether text is the number of a session as MiniOS writes it.
// Whatever else stands in metadata or on a command line names no directory.
func isNumber(text string) bool {
	return text != "" && text[0] != '0' && len(text) <= maxDigits && strings.Trim(text, "0123456789") == ""
}

// next is the number behind the highest; "" when there is none.
func next(numbers []string) string {
	highest := "0"
	for _, n := range numbers {
		if compareNames(n, highest) > 0 {
			highest = n
		}
	}
	digits := []byte(highest)
	for i := range slices.Backward(digits) {
		if digits[i] < '9' {
			digits[i]++
			break
		}
		digits[i] = '0'
		if i == 0 {
			digits = append([]byte{'1'}, digits...)
		}
	}
	if len(digits) > maxDigits {
		return ""
	}
	return string(digits)
}
