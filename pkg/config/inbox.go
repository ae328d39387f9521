package config

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"
)

// InboxRule is one minos.inbox=: what of the boot partition goes where on the
// data partition.
type InboxRule struct {
	Source string // a file or a directory of the boot partition: "config/wpa_supplicant.conf"
	Target string // what it becomes on the data partition: "config/wifi/wpa_supplicant.conf"
	Policy InboxPolicy
	Mode   fs.FileMode // of the files that are written
}

// InboxPolicy is what becomes of a file in the inbox and of one that is at its
// target already.
type InboxPolicy string

// The policies of minos.inbox=.
const (
	IfAbsent     InboxPolicy = "if-absent"     // a target that exists is left alone; the inbox stays
	AppendUnique InboxPolicy = "append-unique" // lines that the target lacks are appended to it; the inbox stays
	Consume      InboxPolicy = "consume"       // the target is replaced, and then the file is removed from the inbox
)

// inboxMode is for what may hold a password, on a filesystem without modes.
const inboxMode = 0o600

// DefaultInbox are the rules without any minos.inbox=.
func DefaultInbox() []InboxRule {
	return []InboxRule{{"config/wpa_supplicant.conf", "config/wifi/wpa_supplicant.conf", IfAbsent, inboxMode}}
}

// setInbox adds a rule. The first one takes the place of the default, and none
// takes away what was there before.
func setInbox(c *Config, _ string, w Word) error {
	if w.Value == "none" {
		c.Inbox = []InboxRule{}
		return nil
	}
	rule, err := parseInboxRule(w)
	if err == nil {
		c.Inbox = append(c.Inbox, rule)
	}
	return err
}

// parseInboxRule reads SOURCE:TARGET[:POLICY[:MODE]]. A FAT has no name with a
// colon in it.
func parseInboxRule(w Word) (InboxRule, error) {
	parts := strings.Split(w.Value, ":")
	if len(parts) < 2 || len(parts) > 4 {
		return InboxRule{}, unexpected(w, "none, or SOURCE:TARGET, and behind it :POLICY and :MODE, for example config:config:consume")
	}
	rule := InboxRule{Policy: IfAbsent, Mode: inboxMode}
	var err error
	if rule.Source, err = insidePath(parts[0]); err != nil {
		return InboxRule{}, err
	}
	if rule.Target, err = insidePath(parts[1]); err != nil {
		return InboxRule{}, err
	}
	if len(parts) > 2 {
		if err := choose(&rule.Policy, Word{Value: parts[2], HasValue: true}, IfAbsent, AppendUnique, Consume); err != nil {
			return InboxRule{}, err
		}
	}
	if len(parts) > 3 {
		mode, err := strconv.ParseUint(parts[3], 8, 9)
		if err != nil {
			return InboxRule{}, errors.New("expected a mode in octal behind the third colon, for example 0644")
		}
		rule.Mode = fs.FileMode(mode)
	}
	return rule, nil
}

// setDataDirs adds directories that are made on the data partition.
func setDataDirs(c *Config, _ string, w Word) error {
	var dirs []string
	for text := range strings.SplitSeq(w.Value, ",") {
		dir, err := insidePath(text)
		if err != nil {
			return err
		}
		dirs = append(dirs, dir)
	}
	c.DataDirs = append(c.DataDirs, dirs...)
	return nil
}

// insidePath is a path below the root of a partition, as it is kept: without a
// slash at its ends. One that climbs, or stays where it is, is refused.
func insidePath(text string) (string, error) {
	inside := strings.Trim(text, "/")
	for part := range strings.SplitSeq(inside, "/") {
		if part == "" || part == "." || part == ".." || strings.ContainsFunc(part, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "", errors.New("expected a path inside the partition, without . and .. in it, for example config/wifi")
		}
	}
	return inside, nil
}
