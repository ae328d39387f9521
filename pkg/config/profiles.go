package config

import "strings"

// Profiles is what is said of the btrfs of the layout profiles.
type Profiles struct {
	Label       string // of the device's own filesystem
	CardLabel   string // of the one on a card; "": none is looked for
	Data        string // where @data is in the new root, absolute; "": nowhere
	RedirectDir bool   // overlayfs may note that a directory was renamed
}

// DefaultProfiles holds without a word.
var DefaultProfiles = Profiles{Label: "flipperos", CardLabel: "flipperos-sd", Data: "/data"}

func setProfilesLabel(c *Config, _ string, w Word) error {
	label, card, two := strings.Cut(w.Value, ",")
	if label == "" || label == card || two && card == "" || strings.Contains(card, ",") {
		return unexpected(w, "the label of a filesystem, or two different ones with a comma between")
	}
	c.Profiles.Label, c.Profiles.CardLabel = label, card
	return nil
}

func setProfilesData(c *Config, _ string, w Word) error {
	inside := strings.Trim(w.Value, "/")
	if w.Value != "none" && (!strings.HasPrefix(w.Value, "/") || inside == "" || strings.Contains("/"+inside+"/", "/../")) {
		return unexpected(w, "an absolute path, for example /data, or none")
	}
	if c.Profiles.Data = w.Value; w.Value == "none" {
		c.Profiles.Data = ""
	}
	return nil
}

func setRedirectDir(c *Config, _ string, w Word) error {
	if w.Value != "on" && w.Value != "off" {
		return unexpected(w, "on or off")
	}
	c.Profiles.RedirectDir = w.Value == "on"
	return nil
}
