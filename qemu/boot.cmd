# boot.scr: U-Boot picks the slot, counts the attempt, and loads it.
#
# One source for QEMU's virt machine and for the Raspberry Pi; what differs
# there is in docs/raspberry-pi.md. U-Boot's bootflow scan (distro boot in older
# ones) finds boot.scr on the boot partition and sets devtype, devnum and
# distro_bootpart.
#
#   mkimage -A arm64 -T script -C none -d boot.cmd boot.scr
#
# What it reads and writes is a partition of 8 MiB, the boot state:
#   +0         the environment, 0x4000 bytes, as fw_printenv and RAUC read it
#   +0x400000  its shadow, in another erase block of the card, written first:
#              a power cut in either write leaves one of them whole; last, where
#              it is the only one that is
#   +0x700000  the last environment that was found torn
# Counters are hexadecimal, as RAUC's are: "a" is ten. BOOT_A_FROM and BOOT_A_NOW
# are how many attempts a run of them began with and what the last one left: so
# init knows the last of several from an only one.
#
# Boot files are this script, initramfs.cpio.lz4, and devicetree.dtb where the
# firmware's is not to be taken. Set 0 is at the top of the boot partition; boot-1
# and boot-2 may each hold another whole set. BOOT_FILES says which of these is
# current, BOOT_FILES_TRY which is to be tried once. U-Boot starts the script at
# the top, which starts that of the set, with the set's number in m_files.
#
# Two kinds of variables. name=value is one of the shell and stays; what setenv,
# setexpr, part, load and import set is in the environment and comes first where
# names are equal. So no name here is both. All of the shell's begin with m_.

m_if=${devtype}
m_dev=${devnum}
m_boot=${distro_bootpart}
if test -z "${m_boot}"; then m_boot=1; fi
m_dir=
if test "${m_files}" = 1 -o "${m_files}" = 2; then m_dir=boot-${m_files}/; fi
m_fdt=${fdt_addr}
if test -z "${m_fdt}"; then m_fdt=${fdtcontroladdr}; fi

# Where the boot state is worked on: 1 MiB that nothing is loaded into. An export
# writes as much as this U-Boot's whole environment, 0x40000 bytes in QEMU.
m_primary=${pxefile_addr_r}
setexpr result ${pxefile_addr_r} + 0x20000
m_shadow=${result}
setexpr result ${pxefile_addr_r} + 0x40000
m_new=${result}
setexpr result ${pxefile_addr_r} + 0x80000
m_own=${result}

# The words of the kernel command line: those of the firmware (config.txt and
# cmdline.txt of a Raspberry Pi), the console where there are none, and those of
# the line extraargs= in uEnv.txt on the boot partition.
fdt addr ${m_fdt}
setenv firmwareargs
fdt get value firmwareargs /chosen bootargs
if test -z "${firmwareargs}"; then setenv firmwareargs "console=ttyAMA0"; fi
setenv extraargs
if test -e ${m_if} ${m_dev}:${m_boot} uEnv.txt; then
	load ${m_if} ${m_dev}:${m_boot} ${m_primary} uEnv.txt 0x1000
	env import -t -r ${m_primary} ${filesize} extraargs
fi

# Find the boot state: by its GPT name, else partition 9, as the MBR has it.
# Whatever is larger than 16 MiB under that number is somebody's data, and in
# less than 8 MiB the shadow would lie in the next partition.
m_start=
m_size=0
if part start ${m_if} ${m_dev} bootstate result; then
	m_start=0x${result}
	part size ${m_if} ${m_dev} bootstate result
	m_size=0x${result}
elif part start ${m_if} ${m_dev} 9 result; then
	m_start=0x${result}
	part size ${m_if} ${m_dev} 9 result
	m_size=0x${result}
	if test ${m_size} -gt 0x8000; then m_size=0; fi
fi
if test ${m_size} -lt 0x4000; then m_start=; fi

# Read it. An import of a name that is not there imports nothing, and tells
# whether the checksum fits.
m_state=
m_torn=
if test -n "${m_start}"; then
	setexpr result ${m_start} + 0x2000
	m_shadowstart=0x${result}
	setexpr result ${m_start} + 0x3800
	m_tornstart=0x${result}
	m_write1=${m_shadowstart}
	m_write2=${m_start}
	${m_if} dev ${m_dev}
	${m_if} read ${m_primary} ${m_start} 0x100
	${m_if} read ${m_shadow} ${m_shadowstart} 0x20
	if env import -c ${m_primary} 0x4000 m_none; then
		m_state=${m_primary}
	else
		m_torn=yes
		if env import -c ${m_shadow} 0x4000 m_none; then
			echo "boot.scr: the environment is torn; its shadow is used"
			m_state=${m_shadow}
			m_write1=${m_start}
			m_write2=${m_shadowstart}
		else
			for m_try in 0x1000 0x2000 0x8000 0x10000 0x20000; do
				if env import -c ${m_primary} ${m_try} m_none; then
					echo "boot.scr: the environment has ${m_try} bytes and not 0x4000: it is left alone, no attempt is counted"
					m_start=
				fi
			done
			if test -n "${m_start}"; then echo "boot.scr: there is no valid environment; a new one is made"; fi
		fi
	fi
else
	echo "boot.scr: there is no boot state (GPT name bootstate, else partition 9, of 8 MiB); no attempt is counted"
fi

# Look into it. What is in the boot state takes the place of U-Boot's own
# environment for that time, with nothing left of it: so nothing of the one gets
# into the other, and every variable of others is kept when it is written back.
m_order=
m_aleft=
m_bleft=
m_afrom=
m_anow=
m_bfrom=
m_bnow=
m_good=
m_exhausted=
m_current=
m_trial=
if test -n "${m_state}"; then
	env export -b ${m_own}
	m_ownsize=${filesize}
	env import -d -c ${m_state} 0x4000
	m_order="${BOOT_ORDER}"
	m_aleft="${BOOT_A_LEFT}"
	m_bleft="${BOOT_B_LEFT}"
	m_afrom="${BOOT_A_FROM}"
	m_anow="${BOOT_A_NOW}"
	m_bfrom="${BOOT_B_FROM}"
	m_bnow="${BOOT_B_NOW}"
	m_good="${BOOT_GOOD}"
	m_exhausted="${BOOT_EXHAUSTED}"
	m_current="${BOOT_FILES}"
	m_trial="${BOOT_FILES_TRY}"
	env import -d -b ${m_own} ${m_ownsize}
fi
m_first=
for m_try in ${m_order}; do
	if test "${m_try}" = A -o "${m_try}" = B; then
		if test -z "${m_first}"; then m_first=${m_try}; fi
	else
		echo "boot.scr: BOOT_ORDER names the unknown slot ${m_try}, ignoring: that name"
	fi
done
if test -z "${m_first}"; then
	m_order="A B"
	m_first=A
fi
if test -z "${m_aleft}"; then m_aleft=3; fi
if test -z "${m_bleft}"; then m_bleft=3; fi
if test "${m_good}" != A -a "${m_good}" != B; then m_good=${m_first}; fi

# Which sets of boot files, before that at the top. Where no slot has an attempt
# left, the second start in a row is made with those at the top: the current ones
# may be what fails.
m_left=
for m_try in ${m_order}; do
	if test "${m_try}" = A -a 0x${m_aleft} -gt 0; then m_left=yes; fi
	if test "${m_try}" = B -a 0x${m_bleft} -gt 0; then m_left=yes; fi
done
if test -n "${m_current}" -a "${m_current}" != 0 -a "${m_current}" != 1 -a "${m_current}" != 2; then
	echo "boot.scr: BOOT_FILES=${m_current} names no set, 1 or 2, ignoring: it"
	m_current=
fi
# A trial that fails restarts, whatever the user wants done at a failure.
m_trialargs=
if test -n "${m_dir}" -a "${m_files}" != "${m_current}"; then m_trialargs="panic=3 minos.onfail=reboot "; fi
if test -z "${m_left}" -a "${m_exhausted}" = 1; then m_current=; fi
if test "${m_current}" = 0; then m_current=; fi

# Take turns. First the boot files; then each slot of the order that has attempts left, once. Where none
# has, the slot that was marked good last is started without counting, then the
# other: a device that nobody can reach must keep trying, but not fast.
m_counted=
m_ano=
m_bno=
for m_turn in files ${m_order} good other; do
	m_slot=
	m_store=
	m_pause=0
	if test "${m_turn}" = files; then
		if test -n "${m_trial}" -a -z "${m_files}"; then m_store=yes; fi
	elif test "${m_turn}" = A -a 0x${m_aleft} -gt 0 -a -z "${m_ano}"; then
		if test -z "${m_afrom}" -o "${m_anow}" != "${m_aleft}"; then m_afrom=${m_aleft}; fi
		setexpr result 0x${m_aleft} - 1
		m_aleft=${result}
		m_anow=${result}
		m_ano=yes
		m_slot=A
		m_counted=yes
		m_exhausted=
		m_store=yes
		echo "boot.scr: slot A, 0x${m_aleft} attempts left after this one"
	elif test "${m_turn}" = B -a 0x${m_bleft} -gt 0 -a -z "${m_bno}"; then
		if test -z "${m_bfrom}" -o "${m_bnow}" != "${m_bleft}"; then m_bfrom=${m_bleft}; fi
		setexpr result 0x${m_bleft} - 1
		m_bleft=${result}
		m_bnow=${result}
		m_bno=yes
		m_slot=B
		m_counted=yes
		m_exhausted=
		m_store=yes
		echo "boot.scr: slot B, 0x${m_bleft} attempts left after this one"
	elif test "${m_turn}" = good -a -z "${m_counted}"; then
		m_slot=${m_good}
		m_store=yes
		if test -z "${m_exhausted}" -o "${m_exhausted}" = 0; then
			m_exhausted=1
		elif test "${m_exhausted}" = 1; then
			m_exhausted=2
			m_pause=10
		elif test "${m_exhausted}" = 2; then
			m_exhausted=3
			m_pause=60
		else
			m_store=
			m_pause=300
		fi
		echo "boot.scr: both slots have used up their attempts; slot ${m_slot} once more in ${m_pause} s"
	elif test "${m_turn}" = other -a -z "${m_counted}"; then
		m_slot=A
		if test "${m_good}" = A; then m_slot=B; fi
		echo "boot.scr: slot ${m_slot} instead"
	fi

	# Store, before anything is loaded that can fail.
	m_stored=
	if test -n "${m_store}" -a -n "${m_start}"; then
		env export -b ${m_own}
		m_ownsize=${filesize}
		m_whole=
		if test -n "${m_state}"; then
			if env import -d -c ${m_state} 0x4000; then m_whole=yes; fi
		else
			mw.b ${m_new} 0 2
			if env import -d -b ${m_new} 2; then m_whole=yes; fi
		fi
		setenv BOOT_ORDER "${m_order}"
		setenv BOOT_A_LEFT ${m_aleft}
		setenv BOOT_B_LEFT ${m_bleft}
		setenv BOOT_A_FROM ${m_afrom}
		setenv BOOT_A_NOW ${m_anow}
		setenv BOOT_B_FROM ${m_bfrom}
		setenv BOOT_B_NOW ${m_bnow}
		setenv BOOT_EXHAUSTED ${m_exhausted}
		setenv BOOT_FILES_TRY
		# The first export is for the length, which the second does not look at.
		# It sets filesize, which is not to be stored.
		m_theirs="${filesize}"
		if test -n "${m_whole}"; then
			m_whole=
			if env export -t -s 0x3ffc ${m_new}; then
				setenv filesize ${m_theirs}
				if env export -c -s 0x4000 ${m_new}; then m_whole=yes; fi
			fi
		fi
		env import -d -b ${m_own} ${m_ownsize}
		if test -z "${m_whole}"; then
			echo "boot.scr: the environment is full; this attempt is not counted"
		else
			m_state=${m_new}
			if test -n "${m_torn}"; then
				if ${m_if} write ${m_primary} ${m_tornstart} 0x20; then m_torn=; fi
			fi
			if ${m_if} write ${m_new} ${m_write1} 0x20 && ${m_if} write ${m_new} ${m_write2} 0x20; then
				echo "boot.scr: stored"
				m_stored=yes
			else
				echo "boot.scr: the boot state cannot be written; this attempt may not be counted"
			fi
		fi
	fi
	if test ${m_pause} -gt 0; then sleep ${m_pause}; fi

	# Start the script of a set: of the one to be tried, when it is stored that it
	# was; then of the current one. Each comes back when it can start nothing, and
	# has used the names of this script by then: so the one at the top is started
	# anew.
	if test "${m_turn}" = files -a -z "${m_files}"; then
		m_sets=
		if test "${m_trial}" = 1 -o "${m_trial}" = 2; then
			if test -n "${m_stored}"; then
				m_sets=${m_trial}
				echo "boot.scr: the boot files of boot-${m_trial} are tried, once"
			else
				echo "boot.scr: the boot state cannot be written; the boot files of boot-${m_trial} are not tried"
			fi
		elif test -n "${m_trial}"; then
			echo "boot.scr: BOOT_FILES_TRY=${m_trial} names no set, 1 or 2, ignoring: it"
		fi
		if test "${m_current}" != "${m_sets}"; then m_sets="${m_sets} ${m_current}"; fi
		if test -n "${m_sets}"; then
			for m_files in ${m_sets} 0; do
				m_dir=
				if test ${m_files} -ne 0; then m_dir=boot-${m_files}/; fi
				echo "boot.scr: the boot files in /${m_dir}"
				if size ${m_if} ${m_dev}:${m_boot} ${m_dir}initramfs.cpio.lz4 && test 0x${filesize} -gt 0 && load ${m_if} ${m_dev}:${m_boot} ${m_primary} ${m_dir}boot.scr; then
					source ${m_primary}
				fi
				if test ${m_files} -ne 0; then echo "boot.scr: the boot files of boot-${m_files} cannot be started; others are"; fi
			done
		fi
		m_files=0
		m_dir=
	fi

	# Load and start it. Whatever fails, the next turn comes.
	if test -n "${m_slot}"; then
		if test "${m_slot}" = A; then
			m_part=5
			if part number ${m_if} ${m_dev} kernel-a result; then m_part=${result}; fi
		else
			m_part=7
			if part number ${m_if} ${m_dev} kernel-b result; then m_part=${result}; fi
		fi
		m_ready=
		if load ${m_if} ${m_dev}:${m_part} ${kernel_addr_r} Image; then
			if load ${m_if} ${m_dev}:${m_boot} ${ramdisk_addr_r} ${m_dir}initramfs.cpio.lz4; then
				m_ready=yes
				setexpr result ${ramdisk_addr_r} + ${filesize}
				m_end=${result}
			else
				echo "boot.scr: ${m_dir}initramfs.cpio.lz4 cannot be loaded from the boot partition"
			fi
		else
			echo "boot.scr: the kernel of slot ${m_slot} cannot be loaded from partition ${m_part}"
		fi
		# The kernel modules of this slot's kernel, where it has any, go behind
		# the initramfs: the kernel unpacks one over the other. A second archive
		# begins at a multiple of 4. Zeros before it are skipped, but fewer than
		# four of them would be taken for a block of lz4.
		if test -n "${m_ready}" && test -e ${m_if} ${m_dev}:${m_part} modules.cpio.lz4; then
			setexpr result 0x${m_end} \& 3
			if test 0x${result} -ne 0; then
				mw.b ${m_end} 0 8
				setexpr result 0x${m_end} + 7
				setexpr result 0x${result} \& 0xfffffffffffffffc
				m_end=${result}
			fi
			if load ${m_if} ${m_dev}:${m_part} ${m_end} modules.cpio.lz4; then
				setexpr result 0x${m_end} + ${filesize}
				m_end=${result}
			else
				echo "boot.scr: the kernel modules of slot ${m_slot} cannot be loaded"
				m_ready=
			fi
		fi
		# A device tree of ours comes behind all that, at a multiple of 8.
		if test -n "${m_ready}"; then
			setexpr result 0x${m_end} - ${ramdisk_addr_r}
			m_length=${result}
			m_tree=${m_fdt}
		fi
		if test -n "${m_ready}" && test -e ${m_if} ${m_dev}:${m_boot} ${m_dir}devicetree.dtb; then
			setexpr result 0x${m_end} + 7
			setexpr result 0x${result} \& 0xfffffffffffffff8
			m_tree=${result}
			if load ${m_if} ${m_dev}:${m_boot} ${m_tree} ${m_dir}devicetree.dtb; then
				echo "boot.scr: the device tree is ${m_dir}devicetree.dtb"
			else
				echo "boot.scr: ${m_dir}devicetree.dtb cannot be loaded from the boot partition"
				m_ready=
			fi
		fi
		if test -n "${m_ready}"; then
			# The bus tells this disk from a clone of it on another bus, whose
			# identities are the same; extraargs comes later and so has the last
			# word. Slot and boot files are behind it: who picks is who counts.
			setenv bootargs "${firmwareargs} minos.disk=${m_if} ${extraargs} ${m_trialargs}minos.files=${m_files} rauc.slot=${m_slot}"
			booti ${kernel_addr_r} ${ramdisk_addr_r}:${m_length} ${m_tree}
			echo "boot.scr: slot ${m_slot} cannot be started"
		fi
	fi
done

# The script of a set comes back: others may do.
if test -z "${m_dir}"; then
	echo "boot.scr: nothing could be started; the machine restarts in 10 s"
	sleep 10
	reset
fi
