#!/bin/sh
# The same boot in the way of a hand-written initramfs: a shell script, one
# program for each thing it does. It finds the slot on the command line and the
# disk by a wait for its partition, and stops at the first thing that fails.
set -e
trap 'echo "BENCH failed script"; reboot -f' EXIT
export PATH=/bin

mkdir -p /proc /sys /dev /run /sysroot
mount -t proc -o nosuid,noexec,nodev proc /proc
mount -t sysfs -o nosuid,noexec,nodev sysfs /sys
mount -t devtmpfs -o nosuid,mode=0755 devtmpfs /dev
mount -t tmpfs -o nosuid,nodev,mode=0755,size=20%,nr_inodes=800k tmpfs /run

slot=A
for word in $(cat /proc/cmdline); do
	case $word in
	rauc.slot=*) slot=${word#rauc.slot=} ;;
	esac
done
case $slot in
A) dir=a rootfs=/dev/vda6 ;;
B) dir=b rootfs=/dev/vda8 ;;
*) echo "unknown slot $slot"; exit 1 ;;
esac

tries=0
while [ ! -b "$rootfs" ]; do
	tries=$((tries + 1))
	[ $tries -lt 100 ]
	sleep 0.1
done

rofs=/run/initramfs/rootfs rwfs=/run/initramfs/overlay
mkdir -p $rofs $rwfs
mount -t ext4 -o ro,noatime "$rootfs" $rofs
mount -t ext4 -o noatime /dev/vda3 $rwfs
mkdir -p $rwfs/$dir/upper $rwfs/$dir/work
mount -t overlay -o "lowerdir=$rofs,upperdir=$rwfs/$dir/upper,workdir=$rwfs/$dir/work,index=off,metacopy=off,redirect_dir=off,xino=off" overlay /sysroot
mkdir -p /sysroot/data /sysroot/boot/firmware
mount -t ext4 -o noatime /dev/vda4 /sysroot/data
mount -t vfat -o ro,noatime /dev/vda1 /sysroot/boot/firmware

for d in proc sys dev run; do
	mkdir -p /sysroot/$d
	mount -o move /$d /sysroot/$d
done
exec switch_root /sysroot /sbin/init
