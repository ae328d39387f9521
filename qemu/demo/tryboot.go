package main

import (
	"fmt"
	"os"

	"github.com/minos-os/minos-init/qemu"
)

// tryboot is two systems on a card for a Raspberry Pi. QEMU has no firmware of
// one: what that would do is done before QEMU starts, from what is on the card.
func tryboot() layout {
	return layout{
		name:      "tryboot",
		initramfs: "initramfs.cpio.lz4",
		settings:  []string{"REBOOT"},
		machine:   trybootMachine,
	}
}

func trybootMachine(s show) (qemu.Machine, notes, error) {
	debian, err := s.cache.Debian()
	if err != nil {
		return qemu.Machine{}, notes{}, err
	}
	pristine, err := s.cache.DemoTryboot()
	if err != nil {
		return qemu.Machine{}, notes{}, err
	}
	recipe := qemu.DemoTryboot(debian, s.initramfs, s.words...)
	card, _, err := s.disk(pristine, func(file string) error {
		if err := qemu.CopyImage(file, pristine); err != nil {
			return err
		}
		return minosctl().InstallTryboot(recipe, file)
	})
	if err == nil {
		err = qemu.RenewTryboot(recipe, card)
	}
	if err != nil {
		return qemu.Machine{}, notes{}, err
	}
	argument := os.Getenv("REBOOT")
	start, err := qemu.PiFirmware{Card: recipe, Image: card, Dir: s.dir}.Start(argument)
	if err != nil {
		return qemu.Machine{}, notes{}, err
	}
	why := "by default"
	if argument != "" {
		why = fmt.Sprintf("after reboot %q", argument)
	}
	return start.Machine, notes{booting: fmt.Sprintf("partition %d of %s, %s", start.Partition, card, why), hints: []string{
		"which version    cat /etc/minos-version",
		"what is what     minosctl tryboot status",
		"try slot B       minosctl tryboot try --reboot; QEMU ends there, then",
		`                 REBOOT="0 tryboot" make run LAYOUT=tryboot`,
	}}, nil
}
