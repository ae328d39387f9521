package tryboot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
)

// DeviceTree is the directory in which the firmware's answers are files. Each
// holds a number of four bytes, the highest first (raspberrypi.com,
// computers/configuration, device-trees, "/chosen/bootloader").
const DeviceTree = "/proc/device-tree/chosen/bootloader"

// Firmware is what the firmware of a Raspberry Pi tells of this boot.
type Firmware struct {
	// Partition is the one that it started from, from 1; 0 when it does not
	// tell, as on boards that say 0 (rpi-eeprom issue 575, Zero 2 W).
	Partition int
	Tryboot   Flag
	Doubts    []string // what it tells that cannot be, in words
}

// Flag tells whether the one-shot flag of a trial was set.
type Flag int

// The states of the flag.
const (
	Untold Flag = iota
	Clear
	Set
)

// lastPartition is the highest number that a partition can have: a GPT has 128.
const lastPartition = 128

// ReadFirmware reads the answers with read, which gets the name of a file in
// DeviceTree. A file that is not there is an answer that was not given, as on
// every other board.
func ReadFirmware(read func(name string) ([]byte, error)) Firmware {
	var f Firmware
	if n, ok := f.number(read, "partition"); ok && n <= lastPartition {
		f.Partition = int(n)
	} else if ok {
		f.doubt("partition", fmt.Sprintf("is %d, which is no partition", n))
	}
	switch n, ok := f.number(read, "tryboot"); {
	case !ok:
	case n > 1:
		f.doubt("tryboot", fmt.Sprintf("is %d, and not 0 or 1", n))
	case n == 1:
		f.Tryboot = Set
	default:
		f.Tryboot = Clear
	}
	return f
}

func (f *Firmware) number(read func(string) ([]byte, error), name string) (n uint32, ok bool) {
	data, err := read(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		f.doubt(name, err.Error())
	case len(data) != 4:
		f.doubt(name, fmt.Sprintf("has %d bytes, and a number has 4", len(data)))
	default:
		return binary.BigEndian.Uint32(data), true
	}
	return 0, false
}

func (f *Firmware) doubt(name, what string) {
	f.Doubts = append(f.Doubts, "chosen/bootloader/"+name+" of the device tree "+what)
}
