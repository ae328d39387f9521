package config

import (
	"errors"
	"slices"
	"strings"
)

// MarkPlace is where the name of an image has the mark of another generation.
type MarkPlace string

// The values of minos.image-old=.
const (
	Infix  MarkPlace = "infix"  // root-squashfs-old.img
	Suffix MarkPlace = "suffix" // root-squashfs.img-old
)

// NewImage is how a new image is taken, as minos.newimg= says.
type NewImage struct {
	Any  bool // from a removable disk, also when no checksum stands beside it
	Wait bool // from a disk that appears a little later than the boot disk
}

func setImages(c *Config, _ string, w Word) error {
	names := strings.Split(w.Value, ",")
	for _, name := range names {
		if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/ \t") {
			return unexpected(w, "the name of a file without a directory, or several with commas")
		}
	}
	c.Images = names
	return nil
}

func setImageOld(c *Config, _ string, w Word) error {
	return choose(&c.ImageOld, w, Infix, Suffix)
}

func setNewImage(c *Config, _ string, w Word) error {
	words := strings.Split(w.Value, ",")
	for _, word := range words {
		if word != "any" && word != "wait" {
			return unexpected(w, "any, wait, or both with a comma")
		}
	}
	c.NewImage = NewImage{Any: slices.Contains(words, "any"), Wait: slices.Contains(words, "wait")}
	return nil
}

func setReadOnly(c *Config, _ string, w Word) error {
	if w.HasValue {
		return errors.New("expected no value")
	}
	c.ReadOnly = w.Key == "ro"
	return nil
}
