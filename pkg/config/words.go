package config

import "bytes"

// Word is one word of a kernel command line.
type Word struct {
	Key      string // what is before the first =, without the quotes that protect the word
	Value    string // what is behind it, without the quotes that protect it
	HasValue bool   // there was a =, so Value was given even when it is empty
	Text     string // the word as it was written, quotes included
}

// ParseWords splits a command line as the kernel does it (next_arg in its
// lib/cmdline.c): blanks separate words; a double quote anywhere in a word
// protects blanks up to the next one; a quote that opens the word or the value
// is taken off together with one that closes it; nothing escapes a quote; a
// missing one protects the rest of the line. Order and repeated words are kept.
//
// A word "--" ends what is for the kernel: initArgs is what follows, each as
// the kernel hands it to init as an argument. Newlines at the end are ignored.
func ParseWords(line []byte) (words []Word, initArgs []string) {
	words = split(line)
	for i, w := range words {
		if w.isDashes() {
			for _, argument := range words[i+1:] {
				initArgs = append(initArgs, argument.argument())
			}
			return words[:i], initArgs
		}
	}
	return words, nil
}

// split returns all words of a line.
func split(line []byte) []Word {
	// To the kernel the line is a string of C, which a NUL ends.
	line, _, _ = bytes.Cut(line, []byte{0})
	line = skipBlanks(bytes.TrimRight(line, "\n"))
	var words []Word
	for len(line) > 0 {
		var word Word
		word, line = nextWord(line)
		words = append(words, word)
		line = skipBlanks(line)
	}
	return words
}

// isDashes tells whether the word ends those for the kernel.
func (w Word) isDashes() bool {
	return w.Key == "--" && !w.HasValue
}

// argument is the word as init gets it from the kernel: without quotes.
func (w Word) argument() string {
	if w.HasValue {
		return w.Key + "=" + w.Value
	}
	return w.Key
}

// nextWord takes the first word off a line that starts with one.
func nextWord(line []byte) (Word, []byte) {
	equals, end := scanWord(line)
	word := Word{Text: string(line[:end])}
	content := line[:end]
	quoted := content[0] == '"'
	if quoted {
		content = content[1:]
		equals--
	}
	// The kernel cuts one closing quote off, whether the word or the value or
	// both were opened by one.
	key, value := content, []byte(nil)
	if equals > 0 {
		word.HasValue = true
		key, value = content[:equals], content[equals+1:]
		if len(value) > 0 && value[0] == '"' {
			value, quoted = value[1:], true
		}
	}
	if quoted && word.HasValue {
		value = bytes.TrimSuffix(value, []byte{'"'})
	} else if quoted {
		key = bytes.TrimSuffix(key, []byte{'"'})
	}
	word.Key, word.Value = string(key), string(value)
	return word, line[end:]
}

// scanWord returns where the first = of the word is, counted from the start of
// line, and where the word ends. A = at the very start of a word is a letter to
// the kernel like any other; for that, and for none, equals is 0.
func scanWord(line []byte) (equals, end int) {
	first, inQuotes := 0, false
	if line[0] == '"' {
		first, inQuotes = 1, true
	}
	for i := first; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			inQuotes = !inQuotes
		case c == '=' && equals == 0 && i > first:
			equals = i
		case isBlank(c) && !inQuotes:
			return equals, i
		}
	}
	return equals, len(line)
}

func skipBlanks(line []byte) []byte {
	for len(line) > 0 && isBlank(line[0]) {
		line = line[1:]
	}
	return line
}

// isBlank is the kernel's isspace, which knows Latin-1 and no UTF-8: 0xa0 is
// its blank that does not break, and also the second half of "à".
func isBlank(c byte) bool {
	return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xa0
}
