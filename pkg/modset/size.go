package modset

import (
	"errors"
	"strconv"
	"strings"
)

const mib = 1 << 20

// Sizes of MiniOS, in MiB.
const (
	defaultSize    = 4000    // of a session in an image, unless perchsize= says another
	mostSize       = 1000000 // that perchsize= may ask for
	mostOnFAT      = 4000    // a file on a FAT ends below 4 GiB
	defaultReserve = 256     // what a new image leaves free
	mostReserve    = 4096    // that perchreserve= may ask for
	leastSize      = 32      // below that a session is of no use
)

// parseSize reads a size as MiniOS writes it, into MiB: a number, with M or MB
// behind it, or G, GB, T and TB, which are thousands of MiB and millions.
func parseSize(text string, most int64) (int64, error) {
	text = strings.ToUpper(text) // which can be longer
	digits := strings.TrimRight(text, "BGMT")
	factor := map[string]int64{"": 1, "M": 1, "MB": 1, "G": 1000, "GB": 1000, "T": 1000000, "TB": 1000000}[text[len(digits):]]
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil || factor == 0 || int64(n) > most/factor {
		return 0, errors.New("expected a size of at most " + strconv.FormatInt(most, 10) + " MiB, as 4000, 4000M or 4G")
	}
	return int64(n) * factor, nil
}

// imageSize is how many MiB an image gets that is to have as many as asked for;
// 0: nothing was asked for. It has some of them already, and is never made
// smaller. room is what its filesystem has for it, what it fills now included; of
// that the reserve stays free.
func imageSize(asked, reserve, room, had int64, fstype string) int64 {
	switch {
	case asked == 0 && had > 0:
		return had
	case asked == 0:
		asked = defaultSize
	}
	if fstype == "vfat" {
		asked = min(asked, mostOnFAT)
	}
	return max(had, min(asked, room-reserve))
}
