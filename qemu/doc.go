// Package qemu makes disks and boots them in virtual machines, for the demo
// and for the tests. It knows of init only what a stranger can see: an
// initramfs that goes in, a serial console that comes out. It imports nothing
// of this module.
//
// A [Disk] is a recipe of values; [Disk.Write] makes the image. A [Cache] keeps
// what takes long to make (a Debian root filesystem, its kernel, the demo disk)
// in the user's cache directory. A [Machine] describes a virtual machine;
// [Machine.Start] returns a [VM], whose console can be waited on and typed into.
// [ReadStub] takes apart what the stub real init in qemu/stub printed.
//
// Nothing here needs root.
package qemu
