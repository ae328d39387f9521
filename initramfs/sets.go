package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// sets are the named sets of kernel modules: the filesystems of a layout, and
// the buses that its disk may be on. A kernel has a part of each set as
// modules, a part built in and a part not at all. What a member depends on
// comes by itself.
func sets() map[string][]string {
	return map[string][]string{
		"slots":   {"ext4", "overlay", "squashfs", "erofs", "vfat"},
		"image":   {"ext4", "overlay", "squashfs", "vfat", "loop"},
		"tryboot": {"ext4", "overlay", "squashfs", "erofs", "vfat"},
		// A medium may also be a btrfs, which is large: EXTRA= has it.
		"modules": {"ext4", "overlay", "squashfs", "vfat", "isofs", "loop"},

		// Of encrypted sessions. XTS is what LUKS2 takes, and dm-crypt asks for it by
		// name (companions).
		"crypt": {"dm_crypt"},

		// btrfs is as large as all others together, so it comes only when asked for.
		"profiles": {"btrfs", "overlay"},

		"virtio": {"virtio_pci", "virtio_mmio", "virtio_blk"},
		"scsi":   {"virtio_scsi", "sd_mod"},
		"nvme":   {"nvme"},
		"usb": {
			"xhci_pci", "xhci_plat_hcd", "ehci_pci", "ehci_platform", "ohci_pci", "ohci_platform", "uhci_hcd",
			"dwc2", "dwc3", // the boards' own controllers
			"usb_storage", "uas", "sd_mod",
		},
		"mmc": {
			"mmc_block", "sdhci", "cqhci", "sdhci_pci", "sdhci_acpi",
			"sdhci_iproc", "sdhci_brcmstb", "bcm2835", "bcm2835_mmc", "bcm2835_sdhost", // Raspberry Pi; the last two in its maker's kernel
			"sdhci_of_dwcmshc", "dw_mmc_rockchip", // Rockchip
			"sdhci_of_arasan", "sunxi_mmc", "meson_gx_mmc", "mmci",
		},
	}
}

// companions are modules that another asks for by name while it mounts, so that
// nothing in its file says so. They get the alias that its filesystem has.
func companions() map[string]companion {
	return map[string]companion{
		// vfat's default code page and character set. Without them a mount
		// fails with EINVAL.
		"vfat": {alias: "fs-vfat", modules: []string{"nls_cp437", "nls_ascii"}},
		// The mode of LUKS2 volumes. Nobody answers the kernel's call for a module
		// before there is a root filesystem.
		"dm_crypt": {alias: "fs-dm_crypt", modules: []string{"xts"}},
	}
}

type companion struct {
	alias   string
	modules []string
}

func setNames() []string { return sortedKeys(sets()) }

// defaultSets are those that an image gets for which nobody has named any.
func defaultSets() []string {
	return slices.DeleteFunc(setNames(), func(name string) bool { return name == "profiles" || name == "crypt" })
}

func checkSets(names []string) error {
	for _, name := range names {
		if _, known := sets()[name]; !known {
			return fmt.Errorf("unknown set of modules %q: there are %s", name, strings.Join(setNames(), ", "))
		}
	}
	return nil
}

// sortedKeys are the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
