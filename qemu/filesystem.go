package qemu

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
)

// Content is what a partition holds.
type Content interface {
	// Make writes the content to a new file, which may be sparse and at most
	// size bytes long.
	Make(file string, size int64) error
}

// Ext4 is an ext4 filesystem as large as its partition.
type Ext4 struct {
	Label string // at most 16 bytes
	UUID  string
	Tree  Tree
	// Options are further arguments of mke2fs, for example "-O", "^metadata_csum".
	Options []string
}

// ext4Script unpacks an archive and makes a filesystem of it. Below fakeroot
// both halves believe that they are root, so that the filesystem gets the
// archive's owners; mke2fs of e2fsprogs 1.47.0 cannot read an archive itself.
// The block size is said because mke2fs takes 1 KiB below 512 MiB.
const ext4Script = `tree=$1; shift
tar --extract --directory="$tree" --preserve-permissions --same-owner
exec mke2fs -q -F -t ext4 -b 4096 -m 0 -d "$tree" "$@"`

// Make implements Content. It needs fakeroot, tar and mke2fs.
func (e Ext4) Make(file string, size int64) error {
	tree, err := os.MkdirTemp("", "minos-tree-")
	if err != nil {
		return fmt.Errorf("cannot make a directory for the tree of %q: %w", e.Label, err)
	}
	defer os.RemoveAll(tree)
	args := []string{"sh", "-euc", ext4Script, "sh", tree, "-L", e.Label}
	if e.UUID != "" {
		args = append(args, "-U", e.UUID, "-E", "hash_seed="+e.UUID)
	}
	args = append(args, e.Options...)
	args = append(args, file, strconv.FormatInt(size/4096, 10))
	cmd, err := command("fakeroot", args...)
	if err != nil {
		return fmt.Errorf("cannot make the ext4 filesystem %q: %w", e.Label, err)
	}
	cmd.Env = append(cmd.Env, "E2FSPROGS_FAKE_TIME="+strconv.Itoa(imageTime))
	archive, stop := e.Tree.stream()
	err = runCommand(cmd, archive)
	if err = errors.Join(stop(), err); err != nil {
		return fmt.Errorf("cannot make the ext4 filesystem %q: %w", e.Label, err)
	}
	return nil
}

// stream is the tree as an archive to read. stop ends the writing half and
// returns its error, unless that is only that nobody read to the end.
func (t Tree) stream() (archive io.Reader, stop func() error) {
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := t.WriteTar(w)
		w.CloseWithError(err)
		done <- err
	}()
	return r, func() error {
		r.Close()
		if err := <-done; !errors.Is(err, io.ErrClosedPipe) {
			return err
		}
		return nil
	}
}

// SquashFS is a root filesystem as an image of its own size.
type SquashFS struct {
	Compressor string // "gzip", "lzo", "lz4", "xz" or "zstd"
	Tree       Tree
}

// Make implements Content. It needs sqfstar, of squashfs-tools.
func (s SquashFS) Make(file string, _ int64) error {
	archive, stop := s.Tree.stream()
	err := run(archive, "sqfstar", "-quiet", "-no-progress", "-comp", s.Compressor, "-mkfs-time", strconv.Itoa(imageTime), file)
	if err = errors.Join(err, stop()); err != nil {
		return fmt.Errorf("cannot make a squashfs (%s): %w", s.Compressor, err)
	}
	return nil
}

// EROFS is a root filesystem as an image of its own size, owned by root.
type EROFS struct {
	Tree    Tree
	Options []string // of mkfs.erofs, for example "-zlz4hc"
}

// Make implements Content. It needs mkfs.erofs, and tar because version 1.5
// reads no archive itself.
func (e EROFS) Make(file string, _ int64) error {
	dir, err := os.MkdirTemp("", "minos-erofs-")
	if err != nil {
		return fmt.Errorf("cannot make a directory for an erofs: %w", err)
	}
	defer os.RemoveAll(dir)
	archive, stop := e.Tree.stream()
	err = run(archive, "tar", "-x", "-C", dir)
	if err = errors.Join(err, stop()); err != nil {
		return fmt.Errorf("cannot unpack the tree of an erofs: %w", err)
	}
	if err := run(nil, "mkfs.erofs", append(append([]string{"--all-root"}, e.Options...), file, dir)...); err != nil {
		return fmt.Errorf("cannot make an erofs: %w", err)
	}
	return nil
}

// FAT is a FAT32 filesystem as large as its partition, which has to be at least
// minFAT bytes: with fewer than 65525 clusters it is no FAT32 to mtools, and not
// to the letter of the format either.
type FAT struct {
	Label string // at most 11 bytes
	ID    uint32 // its serial number
	Files []File // of which only names, directories, Data and From count
}

const minFAT = 33 * mib

// Make implements Content. It needs mkfs.vfat and mtools.
func (f FAT) Make(file string, size int64) error {
	if size < minFAT {
		return fmt.Errorf("cannot make the FAT filesystem %q of %d bytes: a FAT32 has at least %d", f.Label, size, minFAT)
	}
	// Clusters of one sector: of larger ones a small partition has too few.
	err := run(nil, "mkfs.vfat", "-C", "-F", "32", "-s", "1", "-n", f.Label,
		"-i", fmt.Sprintf("%08x", f.ID), file, strconv.FormatInt(size/1024, 10))
	if err != nil {
		return fmt.Errorf("cannot make the FAT filesystem %q: %w", f.Label, err)
	}
	for _, entry := range f.Files {
		if err := entry.copyToFAT(file); err != nil {
			return fmt.Errorf("cannot put %s on the FAT filesystem %q: %w", entry.Name, f.Label, err)
		}
	}
	return nil
}

func (f File) copyToFAT(image string) error {
	target := "::" + path.Join("/", f.Name)
	if f.Mode.IsDir() {
		if run(nil, "mdir", "-b", "-i", image, target) == nil {
			return nil // mmd refuses one that is there
		}
		return run(nil, "mmd", "-i", image, target)
	}
	source := f.From
	if source == "" {
		temp, err := os.CreateTemp("", "minos-fat-")
		if err != nil {
			return err
		}
		defer os.Remove(temp.Name())
		_, err = temp.WriteString(f.Data)
		if err = errors.Join(err, temp.Close()); err != nil {
			return err
		}
		source = temp.Name()
	}
	// -o: over a file that is there already.
	return run(nil, "mcopy", "-o", "-i", image, source, target)
}

// KernelSquashFS is a squashfs as the kernel slots hold it: the file Image and,
// for the initramfs, the kernel's modules in modules.cpio.lz4.
type KernelSquashFS struct {
	Image   string // path of the kernel
	Modules string // path of the archive of its modules; "" for none
}

// Make implements Content. It needs mksquashfs.
func (k KernelSquashFS) Make(file string, _ int64) error {
	dir, err := os.MkdirTemp("", "minos-kernel-")
	if err != nil {
		return fmt.Errorf("cannot make a directory for the kernel: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := copySparse(filepath.Join(dir, "Image"), k.Image); err != nil {
		return fmt.Errorf("cannot copy the kernel: %w", err)
	}
	if k.Modules != "" {
		if err := copySparse(filepath.Join(dir, "modules.cpio.lz4"), k.Modules); err != nil {
			return fmt.Errorf("cannot copy the kernel's modules: %w", err)
		}
	}
	// lz4 is what unpacks fastest, and the kernel still fits its slot.
	err = run(nil, "mksquashfs", dir, file, "-comp", "lz4", "-Xhc", "-all-root", "-noappend", "-no-xattrs",
		"-no-progress", "-quiet", "-mkfs-time", "0", "-all-time", "0")
	if err != nil {
		return fmt.Errorf("cannot make the kernel squashfs: %w", err)
	}
	return nil
}

// Copy is the bytes of a file, a filesystem that was made already.
type Copy struct{ File string }

// Make implements Content.
func (c Copy) Make(file string, _ int64) error {
	if err := copySparse(file, c.File); err != nil {
		return fmt.Errorf("cannot copy %s: %w", c.File, err)
	}
	return nil
}

// Bytes is content as it is: a boot state, garbage.
type Bytes []byte

// Make implements Content.
func (b Bytes) Make(file string, _ int64) error {
	if err := os.WriteFile(file, b, 0o644); err != nil {
		return fmt.Errorf("cannot write the bytes of a partition: %w", err)
	}
	return nil
}
