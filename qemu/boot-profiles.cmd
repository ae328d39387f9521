# boot.scr of the layout profiles: U-Boot starts the kernel on the boot partition
# and tells init which profile was chosen.
#
#   mkimage -A arm64 -T script -C none -d boot-profiles.cmd boot.scr
#
# Boot files are this script, Image, initramfs.cpio.lz4, and devicetree.dtb where
# the firmware's is not to be taken. U-Boot's bootflow scan (distro boot in older
# ones) sets devtype, devnum and distro_bootpart.
#
# Two variables of the environment choose, both may be missing:
#   flipper_profile  the profile, "desk" or "sd:desk"; init picks one without it
#   flipper_base     the version of the base, before the profile's own
# They are those of U-Boot's own saved environment. The file uboot.env on the boot
# partition comes before it: 0x4000 bytes with a checksum, as fw_setenv writes
# them, for a board whose U-Boot saves nothing. A torn one is not looked at.
#
# name=value is a variable of the shell, and what setenv, load and import set is
# one of the environment, which comes first where names are equal. So no name here
# is both. All of the shell's begin with m_.

m_if=${devtype}
m_dev=${devnum}
m_boot=${distro_bootpart}
if test -z "${m_boot}"; then m_boot=1; fi
m_fdt=${fdt_addr}
if test -z "${m_fdt}"; then m_fdt=${fdtcontroladdr}; fi

if test -e ${m_if} ${m_dev}:${m_boot} uboot.env; then
	if load ${m_if} ${m_dev}:${m_boot} ${pxefile_addr_r} uboot.env 0x4000; then
		if env import -c ${pxefile_addr_r} 0x4000 flipper_profile flipper_base; then
			echo "boot.scr: uboot.env is read"
		else
			echo "boot.scr: uboot.env is damaged, ignoring: it"
		fi
	fi
fi

# ---- The place for a board -------------------------------------------------
# A board that lets somebody choose before Linux starts, such as a microcontroller
# with buttons, overrides flipper_profile here. One that has the line
# "flipper_profile=desk" in 32 bytes of its register 0x10, at address 0x42 of the
# I2C bus 1, ends in a zero byte, and may be away, is asked by
#
#   mw.b ${pxefile_addr_r} 0 0x21
#   if i2c dev 1 && i2c read 0x42 0x10 0x20 ${pxefile_addr_r}; then
#       env import -t ${pxefile_addr_r} 0x20 flipper_profile
#   fi
# -----------------------------------------------------------------------------

# The words of the kernel command line: those of the firmware, the console where
# there are none, and those of the line extraargs= in uEnv.txt.
fdt addr ${m_fdt}
setenv firmwareargs
fdt get value firmwareargs /chosen bootargs
if test -z "${firmwareargs}"; then setenv firmwareargs "console=ttyAMA0"; fi
setenv extraargs
if test -e ${m_if} ${m_dev}:${m_boot} uEnv.txt; then
	load ${m_if} ${m_dev}:${m_boot} ${pxefile_addr_r} uEnv.txt 0x1000
	env import -t -r ${pxefile_addr_r} ${filesize} extraargs
fi
setenv bootargs "${firmwareargs} minos.layout=profiles ${extraargs}"
if test -n "${flipper_profile}"; then setenv bootargs "${bootargs} flipper.profile=${flipper_profile}"; fi
if test -n "${flipper_base}"; then setenv bootargs "${bootargs} flipper.base=${flipper_base}"; fi
echo "boot.scr: profile ${flipper_profile}, base ${flipper_base}"

if load ${m_if} ${m_dev}:${m_boot} ${kernel_addr_r} Image; then
	if test -e ${m_if} ${m_dev}:${m_boot} devicetree.dtb; then
		if load ${m_if} ${m_dev}:${m_boot} ${fdt_addr_r} devicetree.dtb; then m_fdt=${fdt_addr_r}; fi
	fi
	# The initramfs last: its size is in filesize.
	if load ${m_if} ${m_dev}:${m_boot} ${ramdisk_addr_r} initramfs.cpio.lz4; then
		booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${m_fdt}
	fi
fi
echo "boot.scr: nothing could be started; the machine restarts in 10 s"
sleep 10
reset
