package config

import (
	"slices"
	"strconv"
	"strings"
)

// TrybootRequest is how the firmware is asked to start the other slot once.
type TrybootRequest string

// The values of minos.tryboot=.
const (
	TrybootFlag     TrybootRequest = "flag"     // reboot "0 tryboot"
	TrybootSelector TrybootRequest = "selector" // reboot "3", for a board whose flag has no effect
)

// TrybootParts are the numbers of the partitions of the layout tryboot, in the
// order of minos.tryboot-parts=. Which is which says tryboot.MappingOf.
type TrybootParts [6]int

func setTrybootRequest(c *Config, _ string, w Word) error {
	return choose(&c.Tryboot, w, TrybootFlag, TrybootSelector)
}

// setTrybootParts takes all six at once: with one of them wrong the others are
// not to be trusted either.
func setTrybootParts(c *Config, _ string, w Word) error {
	var n []int
	for text := range strings.SplitSeq(w.Value, ",") {
		number, err := strconv.ParseUint(text, 10, 8)
		if err != nil || number == 0 || number > 128 || // that a GPT has
			slices.Contains(n, int(number)) {
			n = nil
			break
		}
		n = append(n, int(number))
	}
	if len(n) != len(c.TryParts) {
		return unexpected(w, "six different numbers of partitions, for example 1,2,3,5,6,7")
	}
	c.TryParts = TrybootParts(n)
	return nil
}

// setKN86Slot keeps what it does not understand: the layout says what is wrong
// with it.
func setKN86Slot(c *Config, _ string, w Word) error {
	c.KN86Slots = append(c.KN86Slots, w.Value)
	return nil
}

// setVolatileSize takes what tmpfs(5) takes: a part of the memory, or bytes with
// a unit.
func setVolatileSize(c *Config, _ string, w Word) error {
	digits, percent := strings.CutSuffix(w.Value, "%")
	if !percent {
		digits = strings.TrimRight(w.Value, "kmg")
	}
	n, err := strconv.ParseUint(digits, 10, 20)
	if err != nil || n == 0 || percent && n > 100 || !percent && len(w.Value) != len(digits)+1 {
		return unexpected(w, "a part of the memory, 1% to 100%, or a size with the unit k, m or g, for example 128m")
	}
	c.UpperSize = w.Value
	return nil
}
