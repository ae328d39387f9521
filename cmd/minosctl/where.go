package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/slots"
	"github.com/minos-os/minos-init/pkg/slots/ubootenv"
)

// where is what the flags say of the place of the boot state.
type where struct{ device, image, env string }

// site is a place that the boot state is said to be at.
type site struct {
	file  string
	place ubootenv.Place
	whole bool // the file is a whole disk, with a partition table
	// named tells that the user gave the file, and so that it may be an image
	// which nobody else knows of.
	named bool
	// strange tells that the file may be more than a boot state's partition:
	// besides the environment only what is known to be ours is touched.
	strange bool
}

// stateNumber is the partition of the boot state on a table without names.
const stateNumber = 9

// site finds the place: what the user says, what init has found, what
// libubootenv is configured for.
func (c *call) site(run running) (site, error) {
	place := ubootenv.DefaultPlace()
	if c.where.env != "" {
		conf := config.Parse([]byte("minos.bootstate="+c.where.env+"\n"), nil)
		if len(conf.Warnings) > 0 {
			return site{}, usage("cannot find the boot state: --env %s: expected an offset and a size in bytes, and the offset of the second copy when there is one, for example 0x0,0x4000", c.where.env)
		}
		place.Offset, place.Size, place.Second = conf.BootState.Offset, conf.BootState.Size, conf.BootState.Second
	}
	switch {
	case c.where.device != "" && c.where.image != "":
		return site{}, usage("cannot find the boot state: --device and --image name two places; give one")
	case c.where.image != "":
		return site{file: c.where.image, place: place, whole: true, named: true}, nil
	case c.where.device != "":
		return site{file: c.where.device, place: place, named: true}, nil
	case c.where.env != "":
		return site{}, usage("cannot find the boot state: --env says where in a partition; give --device or --image too")
	}
	if run.Boot != nil && run.Boot.BootState.Device != "" {
		b := run.Boot.BootState
		place.Offset, place.Size, place.Second = b.Offset, b.Size, b.Second
		return site{file: c.host.path(b.Device), place: place}, nil
	}
	if run.trybootLayout() {
		return site{}, problem{statusNoState, errors.New("cannot find the boot state: this device has none, its firmware chooses the slot; see minosctl tryboot status")}
	}
	s, err := c.host.fwEnv()
	if errors.Is(err, fs.ErrNotExist) {
		init := "there is no " + bootFile
		if run.Boot != nil {
			init = bootFile + " names no boot state"
		}
		return site{}, problem{statusNoState, fmt.Errorf("cannot find the boot state: %s, and there is no %s; give --device FILE, or --image FILE of a whole disk", init, fwEnvFile)}
	}
	return s, err
}

// fwEnv reads the configuration of libubootenv's and U-Boot's tools: a line
// for each copy, with a device, an offset and a size.
func (h host) fwEnv() (site, error) {
	data, err := os.ReadFile(h.path(fwEnvFile))
	if err != nil {
		return site{}, err
	}
	bad := func(line int, why string) error {
		return fmt.Errorf("cannot find the boot state: %s, line %d: %s", fwEnvFile, line, why)
	}
	s := site{place: ubootenv.DefaultPlace(), strange: true}
	copies, line := 0, 0
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		line++
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) < 3 {
			return site{}, bad(line, "expected a device, an offset and a size, for example /dev/mmcblk0p9 0x0 0x4000")
		}
		offset, err1 := strconv.ParseInt(fields[1], 0, 64)
		size, err2 := strconv.ParseInt(fields[2], 0, 64)
		if err1 != nil || err2 != nil {
			return site{}, bad(line, "the offset or the size is no number")
		}
		if offset < 0 {
			return site{}, bad(line, "an offset from the end is not supported; give it from the start")
		}
		file := h.path(fields[0])
		switch copies++; {
		case copies == 1:
			s.file, s.place.Offset, s.place.Size = file, offset, size
		case copies > 2:
			return site{}, bad(line, "there are more than two copies")
		case file != s.file || size != s.place.Size:
			return site{}, bad(line, "the second copy is on another device or has another size, which is not supported")
		default:
			s.place.Second = offset
		}
	}
	if copies == 0 {
		return site{}, problem{statusNoState, fmt.Errorf("cannot find the boot state: %s names no device", fwEnvFile)}
	}
	return s, nil
}

// open opens the place, for writing or only for reading.
func (s site) open(write bool) (*device, error) {
	dev, err := openDevice(s.file, write)
	if err != nil {
		missing := errors.Is(err, fs.ErrNotExist)
		err = fmt.Errorf("cannot open the boot state: %w", err)
		switch {
		case errors.Is(err, fs.ErrPermission):
			return nil, fmt.Errorf("%w; run minosctl as root", err)
		case missing:
			return nil, problem{statusNoState, err}
		}
		return nil, err
	}
	if s.whole {
		err = dev.enter(s.file)
	}
	if err != nil {
		dev.Close()
		return nil, err
	}
	return dev, nil
}

// enter narrows a whole disk to the partition of the boot state.
func (d *device) enter(name string) error {
	table, err := block.ReadTable(d, d.size)
	if err != nil {
		return fmt.Errorf("cannot find the boot state in %s: %w; for a partition alone give --device", name, err)
	}
	e, ok := table.Find("bootstate", stateNumber)
	if !ok {
		return problem{statusNoState, fmt.Errorf("cannot find the boot state in %s: no partition is called bootstate, and none of an MBR has the number %d; there are %d", name, stateNumber, len(table.Entries))}
	}
	if e.Start+e.Size > d.size {
		return fmt.Errorf("cannot use the boot state in %s: partition %d ends at %d, and the image at %d; it was cut short", name, e.Number, e.Start+e.Size, d.size)
	}
	d.start, d.size = e.Start, e.Size
	return nil
}

// placeIn is the place with what is known of the device: on one that may hold
// other things too, a shadow copy is written only where one of ours is.
func (s site) placeIn(dev ubootenv.Reader) ubootenv.Place {
	place := s.place
	if !s.strange {
		return place
	}
	shadow := ubootenv.Place{Offset: place.Shadow, Size: place.Size, Second: -1, Shadow: -1, Torn: -1}
	found, err := ubootenv.Read(dev, shadow)
	if err != nil || !slots.IsState(&found.Env) {
		place.Shadow, place.Torn = -1, -1
	}
	return place
}

// notOurs says what is there instead of an environment, so that nothing of it
// is overwritten; nil when there is nothing that is known.
func notOurs(dev *device) error {
	super, err := block.Probe(dev, dev.size)
	if err != nil {
		return err
	}
	if super.Type != "" {
		return fmt.Errorf("it holds %s; it has to hold a U-Boot environment, or nothing", super.Type)
	}
	if table, err := block.ReadTable(dev, dev.size); err == nil || !errors.Is(err, block.ErrNoTable) {
		return fmt.Errorf("it is a whole disk with a partition table (%s); give --image instead of --device", orDamaged(table.Scheme))
	}
	return nil
}

func orDamaged(scheme string) string {
	if scheme == "" {
		return "damaged"
	}
	return scheme
}
