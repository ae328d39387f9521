package firstboot

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/sys"
)

// fill puts a filesystem that was made in a sparse file on a claimed partition
// of size bytes. It returns how many bytes that took. After a cut anywhere in it
// the claim is still there; after it the filesystem is whole.
func fill(dev sys.WritableDevice, made sys.SparseFile, size int64) (written int64, err error) {
	for _, p := range Places(size) {
		n, err := wipe(dev, p)
		if written += n; err != nil {
			return written, err
		}
	}
	n, err := copyData(dev, made)
	if written += n; err != nil {
		return written, err
	}
	if err := dev.Sync(); err != nil {
		return written, err
	}
	first := make([]byte, block.ClaimSize)
	if _, err := made.ReadAt(first, 0); err != nil {
		return written, err
	}
	if _, err := dev.WriteAt(first, 0); err != nil {
		return written, err
	}
	return written + block.ClaimSize, dev.Sync()
}

// chunk is how much is read and written at once, in bytes.
const chunk = 256 << 10

// chunks calls do with each chunk of a range, but for the claim's sector.
func chunks(start, end int64, do func(at int64, length int) error) error {
	for at := max(start, block.ClaimSize); at < end; {
		length := min(end-at, chunk-at%chunk)
		if err := do(at, int(length)); err != nil {
			return err
		}
		at += length
	}
	return nil
}

// wipe makes a place hold zeros where it does not: what another filesystem left
// there, or the space that the partition has gained, must not be taken for one
// beside the new.
func wipe(dev sys.WritableDevice, p Range) (written int64, err error) {
	buffer, zeros := make([]byte, chunk), make([]byte, chunk)
	err = chunks(p.Offset, p.Offset+p.Length, func(at int64, length int) error {
		if n, err := dev.ReadAt(buffer[:length], at); n < length {
			return err
		}
		if bytes.Equal(buffer[:length], zeros[:length]) {
			return nil
		}
		n, err := dev.WriteAt(zeros[:length], at)
		written += int64(n)
		return err
	})
	return written, err
}

// mostOfMetadata bounds what is copied. A filesystem that cannot tell holes from
// data would let the whole size of the partition be written.
const mostOfMetadata = 64 * mib

// copyData copies what was written of the file.
func copyData(dev sys.WritableDevice, made sys.SparseFile) (written int64, err error) {
	buffer := make([]byte, chunk)
	for from := int64(0); ; {
		start, end, err := made.NextData(from)
		if errors.Is(err, io.EOF) {
			return written, nil
		}
		if err != nil {
			return written, err
		}
		if written+end-start > mostOfMetadata {
			return written, fmt.Errorf("there is no hole in the file behind offset %d", start)
		}
		err = chunks(start, end, func(at int64, length int) error {
			if n, err := made.ReadAt(buffer[:length], at); n < length {
				return err
			}
			n, err := dev.WriteAt(buffer[:length], at)
			written += int64(n)
			return err
		})
		if err != nil {
			return written, err
		}
		from = end
	}
}
