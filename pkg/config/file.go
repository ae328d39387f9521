package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// fileLine is one line of minos.conf that holds something.
type fileLine struct {
	number int // from 1
	text   string
	words  []Word
	err    error // the line is not one word; what can be used is in words all the same
}

// fileLines reads minos.conf: one word a line, with the quotes of the command
// line. A word that begins with # begins a comment.
func fileLines(data []byte) []fileLine {
	var lines []fileLine
	number := 0
	for text := range bytes.Lines(data) {
		number++
		words, err := lineWords(text)
		if len(words) > 0 || err != nil {
			lines = append(lines, fileLine{number, string(bytes.TrimRight(text, "\r\n")), words, err})
		}
	}
	return lines
}

func lineWords(text []byte) ([]Word, error) {
	// Some editors end a line with CR and LF. A blank to the kernel, the CR
	// would still be part of a word whose quote is missing.
	words := split(bytes.TrimRight(text, "\r\n"))
	if i := slices.IndexFunc(words, func(w Word) bool { return strings.HasPrefix(w.Text, "#") }); i >= 0 {
		words = words[:i]
	}
	if i := slices.IndexFunc(words, Word.isDashes); i >= 0 {
		return words[:i], errors.New("-- has a meaning on the kernel command line only")
	}
	switch {
	case bytes.IndexByte(text, 0) >= 0:
		return words, errors.New("there is a NUL byte in it, expected text")
	case len(words) > 1:
		return words, fmt.Errorf("these are %d words, expected one a line; double quotes protect blanks", len(words))
	case len(words) == 1 && strings.Count(words[0].Text, `"`)%2 != 0:
		return words, errors.New("a double quote is missing")
	}
	return words, nil
}

// CheckFile finds everything that is wrong in a minos.conf, for the builder of
// an image. Each error names the file, here name, and the line; they come
// together as errors.Join makes it.
func CheckFile(name string, data []byte) error {
	var wrong []error
	keys := Keys()
	for _, line := range fileLines(data) {
		if line.err != nil {
			wrong = append(wrong, fmt.Errorf("%s:%d: %q: %w", name, line.number, line.text, line.err))
		}
		for _, w := range line.words {
			var c Config
			if err := c.obey(keys, w); err != nil {
				wrong = append(wrong, fmt.Errorf("%s:%d: %q: %w", name, line.number, w.Text, err))
			}
		}
	}
	return errors.Join(wrong...)
}

// unknownKey names the key that was probably meant, when there is one.
func unknownKey(keys []Key, key string) error {
	const near = 2
	nearest, distance := "", near+1
	for _, k := range keys {
		candidate := k.Name
		if prefix, variable := k.prefix(); variable {
			// The rest of the key is the part that stands for any name.
			candidate = prefix + afterDots(key, strings.Count(prefix, "."))
		}
		if d := editDistance(key, candidate); d < distance {
			nearest, distance = candidate, d
		}
	}
	if nearest == "" {
		return errors.New("there is no such key, docs/cmdline.md lists those there are")
	}
	return fmt.Errorf("there is no such key, %q was probably meant", nearest)
}

// afterDots is what follows the nth dot of a key.
func afterDots(key string, n int) string {
	parts := strings.SplitN(key, ".", n+1)
	if len(parts) <= n {
		return ""
	}
	return parts[n]
}

// editDistance is the number of bytes to insert, remove or replace to make a
// into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
