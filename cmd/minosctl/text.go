package main

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable replaces what does not print: names and errors come from media
// that anybody may have written, and go to terminals.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(text, string(utf8.RuneError)))
}

// oneLine makes one line of an error that may have several.
func oneLine(text string) string {
	return printable(strings.Join(strings.Fields(text), " "))
}

// short cuts a text to a number of columns.
func short(text string, columns int) string {
	runes := []rune(text)
	if len(runes) <= columns {
		return text
	}
	return string(runes[:columns-1]) + "…"
}

// wrap breaks a line at blanks, or in the middle of a word that is too long.
// What follows is indented like the line's second column: the place behind the
// first run of two blanks, where there is one.
func wrap(line string, columns int) string {
	indent := secondColumn([]rune(line), columns/2)
	var lines []string
	rest := []rune(line)
	for len(rest) > columns {
		cut := columns
		for i := columns; i > columns/2; i-- {
			if rest[i] == ' ' {
				cut = i
				break
			}
		}
		lines = append(lines, strings.TrimRight(string(rest[:cut]), " "))
		rest = []rune(strings.Repeat(" ", indent) + strings.TrimLeft(string(rest[cut:]), " "))
	}
	return strings.Join(append(lines, string(rest)), "\n")
}

// secondColumn is where the text behind the first gap begins, at most most.
func secondColumn(line []rune, most int) int {
	i := 0
	for i < len(line) && line[i] == ' ' {
		i++
	}
	first := i
	for ; i+2 < len(line); i++ {
		if line[i] != ' ' || line[i+1] != ' ' {
			continue
		}
		for i < len(line) && line[i] == ' ' {
			i++
		}
		return min(i, most)
	}
	return min(first, most)
}
