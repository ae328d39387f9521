package tryboot

import (
	"fmt"

	"github.com/minos-os/minos-init/pkg/slots"
)

// Facts are what the choice of the slot goes by.
type Facts struct {
	Firmware Firmware
	Mapping  Mapping
	Named    []string // the values of kn86.slot= in the order of the command line
	// File reads autoboot.txt. It is called only where nothing else tells the
	// slot, so that a settled boot does not look at the common partition.
	File func() (File, error)
}

// Choose says which slot the firmware has started, so that its root filesystem
// is the one that fits the kernel. What the firmware tells comes first, then the
// word that the slot's own cmdline.txt has, then what autoboot.txt makes the
// firmware start.
func Choose(f Facts) slots.Choice {
	var c slots.Choice
	for _, doubt := range f.Firmware.Doubts {
		c.Warnings = append(c.Warnings, doubt+", ignoring: it")
	}
	named := f.named(&c)
	slot, known := f.Mapping.Started(f.Firmware.Partition)
	if known {
		c.Slot, c.Source = slot, "firmware"
		c.Reason = fmt.Sprintf("the firmware started partition %d", f.Firmware.Partition)
		if named != "" && named != slot {
			c.Rejected = append(c.Rejected, slots.Rejected{Value: string(named), Reason: "the firmware decides"})
			c.Warnings = append(c.Warnings, fmt.Sprintf("the firmware started partition %d, which is slot %s, ignoring: kn86.slot=%s",
				f.Firmware.Partition, slot, named))
		}
		return c
	}
	why := "the firmware does not tell what it started"
	if n := f.Firmware.Partition; n != 0 {
		why = fmt.Sprintf("the firmware started partition %d, which is no slot's", n)
		c.Warnings = append(c.Warnings, why+", ignoring: it")
	}
	if named != "" {
		c.Slot, c.Source, c.Reason = named, "kn86.slot=", why+", and kn86.slot= names it"
		return c
	}
	c.Slot, c.Source, c.Reason = f.byFile(&c)
	c.Reason = why + ", there is no kn86.slot=, and " + c.Reason
	return c
}

// named is the last valid value of kn86.slot=, "" when there is none.
func (f Facts) named(c *slots.Choice) slots.Slot {
	slot, _ := slots.Named(f.Named)
	for _, value := range f.Named {
		if _, valid := slots.Named([]string{value}); !valid {
			c.Rejected = append(c.Rejected, slots.Rejected{Value: value, Reason: "names no slot, A or B"})
			c.Warnings = append(c.Warnings, "a slot is A or B, in upper case, ignoring: kn86.slot="+value)
		}
	}
	return slot
}

// byFile is the slot that autoboot.txt makes the firmware start, and A where it
// names none: that is the one that a new card has.
func (f Facts) byFile(c *slots.Choice) (slot slots.Slot, source, reason string) {
	file, err := f.File()
	if err != nil {
		c.Warnings = append(c.Warnings, fmt.Sprintf("what the firmware starts is not known, ignoring: autoboot.txt: %v", err))
		return slots.A, "default", "autoboot.txt cannot be read; a new card has slot A"
	}
	partition, ok := file.All()
	section := "[all]"
	if f.Firmware.Tryboot == Set {
		if trial, is := file.Trial(); is {
			partition, ok, section = trial, true, "[tryboot]"
		}
	}
	if slot, is := f.Mapping.Started(partition); ok && is {
		return slot, FileName, fmt.Sprintf("%s of autoboot.txt has partition %d", section, partition)
	}
	return slots.A, "default", "autoboot.txt names no slot's partition; a new card has slot A"
}

// Trial tells whether this boot is a trial, with the reason: a plain restart
// leads back to the slot that is started by default. The flag says so; where it
// has no effect, as on a Zero 2 W, a trial is asked for by the number of the
// partition, and shows as another partition than the default.
func Trial(fw Firmware, file File) (trial bool, reason string) {
	standing, ok := file.All()
	switch {
	case fw.Tryboot == Set:
		return true, "the firmware's flag for a trial was set"
	case fw.Partition == 0:
		return false, "the firmware does not tell what it started"
	case !ok || standing == 0:
		return false, "[all] of autoboot.txt names no partition"
	case fw.Partition != standing:
		return true, fmt.Sprintf("the firmware started partition %d, and [all] of autoboot.txt has %d", fw.Partition, standing)
	}
	return false, fmt.Sprintf("the firmware started partition %d, which [all] of autoboot.txt has", standing)
}
