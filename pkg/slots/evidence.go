package slots

import (
	"io"
	"strings"

	"github.com/minos-os/minos-init/pkg/slots/ubootenv"
)

// Evidence is what a failed boot of a slot leaves behind for whoever comes
// next. It is kept beside the environment, in its format, so that fw_printenv
// reads it too.
type Evidence struct {
	Slot  Slot
	Step  string // of init, in which the boot failed
	Error string
	Boot  string // the kernel's id of that boot, /proc/sys/kernel/random/boot_id
}

// Where evidence lies on the partition of the boot state, in bytes: one block
// for each slot, in an erase block of their own.
const (
	evidenceOffset = 0x500000
	evidenceSize   = 0x1000
)

func (s Slot) evidenceOffset() int64 {
	if s == B {
		return evidenceOffset + evidenceSize
	}
	return evidenceOffset
}

// Write replaces the evidence of the slot. It does not sync.
func (e Evidence) Write(to io.WriterAt) error {
	const most = evidenceSize / 2
	text := strings.ToValidUTF8(strings.ReplaceAll(e.Error, "\x00", ""), "")
	var env ubootenv.Env
	for _, v := range []struct{ name, value string }{
		{"SLOT", string(e.Slot)}, {"STEP", e.Step}, {"ERROR", text[:min(len(text), most)]}, {"BOOT_ID", e.Boot},
	} {
		if err := env.Set(v.name, v.value); err != nil {
			return err
		}
	}
	block, err := env.Encode(evidenceSize, ubootenv.Plain, 0, 0)
	if err != nil {
		return err
	}
	_, err = to.WriteAt(block, e.Slot.evidenceOffset())
	return err
}

// ReadEvidence returns what the last failed boot of a slot left; ok is false
// when there is nothing, or nothing whole.
func ReadEvidence(from io.ReaderAt, slot Slot) (e Evidence, ok bool) {
	block := make([]byte, evidenceSize)
	if n, err := from.ReadAt(block, slot.evidenceOffset()); n < len(block) && err != nil {
		return Evidence{}, false
	}
	env, _, err := ubootenv.Decode(block)
	if err != nil {
		return Evidence{}, false
	}
	get := func(name string) string { v, _ := env.Get(name); return v }
	return Evidence{Slot: slot, Step: get("STEP"), Error: get("ERROR"), Boot: get("BOOT_ID")}, true
}
