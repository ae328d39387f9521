package layout

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/modset"
	"github.com/minos-os/minos-init/pkg/sys"
)

// menuTime is how long somebody has for an answer, and menuTries how many answers
// there can be: nobody at the console costs a boot the first, once.
const (
	menuTime  = 30 * time.Second
	menuTries = 5
)

// pick shows a numbered list on the console and returns which of the entries
// somebody wants, and why it is that one. Without an answer it is the usual one.
func pick(k sys.Kernel, title string, entries []modset.Entry, usual int) (picked int, why string) {
	var menu strings.Builder
	menu.WriteString("\n" + title + "\n")
	for i, e := range entries {
		line := fmt.Sprintf("%3d  %s", i+1, e.Text)
		if e.No != "" {
			line = fmt.Sprintf("  -  %s: %s", e.Text, e.No)
		} else if e.Doubt != "" {
			line += " (" + e.Doubt + ")"
		}
		menu.WriteString(line + "\n")
	}
	for range menuTries {
		answer, err := k.Ask(sys.Question{Limit: menuTime, Text: fmt.Sprintf("%sa number and Enter, %d in %.0f s: ", menu.String(), usual+1, menuTime.Seconds())})
		if err != nil {
			return usual, "nobody at the console has chosen another"
		}
		menu.Reset() // it is on the screen
		n, err := strconv.Atoi(strings.TrimSpace(answer))
		if answer == "" {
			n, err = usual+1, nil
		}
		if err != nil || n < 1 || n > len(entries) || entries[n-1].No != "" {
			continue
		}
		if e := entries[n-1]; e.Doubt == "" || confirmed(k, e.Doubt) {
			return n - 1, "it was chosen at the console"
		}
	}
	return usual, "nothing that can be used was chosen at the console"
}

// confirmed asks whether something is meant in spite of a doubt.
func confirmed(k sys.Kernel, doubt string) bool {
	answer, err := k.Ask(sys.Question{Limit: menuTime, Text: fmt.Sprintf("%s; yes and Enter to use it all the same, not in %.0f s: ", doubt, menuTime.Seconds())})
	return err == nil && strings.TrimSpace(answer) == "yes"
}

// askDisk has somebody pick the device of the sessions. Without an answer it is
// the medium of the set, or none where that can have none.
func (d *medium) askDisk(wish modset.Wish) modset.Wish {
	if !wish.AskDisk {
		return wish
	}
	var devices []block.Device
	_, err := d.machine.Disks.Search(block.Search{
		Timeout: storeWait, Settle: d.machine.Settle, Say: d.machine.Say, What: "a disk for sessions",
		Find: func(all []block.Device) bool {
			devices = slices.DeleteFunc(slices.Clone(all), func(device block.Device) bool { return !d.machine.canHaveStore(device) })
			return len(devices) > 0
		},
	})
	if err != nil {
		wish.Refused = err.Error()
		return wish
	}
	var entries []modset.Entry
	for _, device := range devices {
		super, _ := d.machine.Disks.Superblock(device) // it could be read a moment ago
		text := strings.TrimSuffix(strings.Join([]string{device.Name, super.Type, super.Label}, ", "), ", ")
		if device.Name == d.device.Name {
			text += ", the medium of the system"
		}
		entries = append(entries, modset.Entry{Text: text})
	}
	entries = append(entries, modset.None)
	usual := slices.IndexFunc(devices, func(device block.Device) bool { return device.Name == d.device.Name })
	if usual < 0 {
		usual = len(devices)
	}
	picked, _ := pick(d.machine.Kernel, "Which disk has the sessions?", entries, usual)
	switch {
	case picked == len(devices):
		return modset.Wish{}
	case devices[picked].Name == d.device.Name:
	default:
		wish.Store.Device = devices[picked].Path()
		wish.Store.Path = cmp.Or(wish.Store.Path, modset.Dir+"/"+modset.StoreDir)
	}
	d.store = wish.Store
	return wish
}

// canHaveStore tells whether a device has a filesystem that sessions can be on.
func (m Machine) canHaveStore(device block.Device) bool {
	super, err := m.Disks.Superblock(device)
	_, ok := mediumTypeOf(super)
	whole := device.Number == 0 && len(m.Disks.Partitions(device.Name)) > 0
	return err == nil && ok && !whole && modset.NoStoreOn(super.Type) == ""
}
