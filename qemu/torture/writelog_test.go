package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// requests is a record that QEMU 7.2 made of a disk of 1 MiB:
//
//	truncate -s 1M z.img; truncate -s 4M z.log
//	qemu-io --image-opts driver=blklogwrites,file.driver=file,file.filename=z.img,log.driver=file,log.filename=z.log,log-sector-size=512,log-super-update-interval=1 \
//	  -c "write -P 7 0 4096" -c "write -z 4096 8192" -c "write -P 9 16384 512" -c "discard 0 4096" -c "write -P 5 8192 1024" -c flush
//	head -c 19000 z.log | gzip -9n > testdata/requests.log.gz
//
// qemu-io flushes after what it does not write with data.
func requests(t testing.TB) []byte {
	t.Helper()
	f, err := os.Open("testdata/requests.log.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	log, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func TestReadLog(t *testing.T) {
	entries, err := readLog(bytes.NewReader(requests(t)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		switch {
		case e.flush:
			got = append(got, "flush")
		case e.discard:
			got = append(got, fmt.Sprintf("discard %d+%d", e.sector, e.sectors))
		default:
			uniform := bytes.Count(e.data, e.data[:1]) == len(e.data) && len(e.data) == int(e.sectors)*sectorSize
			got = append(got, fmt.Sprintf("write %d+%d of %d: %t", e.sector, e.sectors, e.data[0], uniform))
		}
	}
	want := []string{
		"write 0+8 of 7: true", "write 8+16 of 0: true", "flush", "write 32+1 of 9: true", "flush",
		"discard 0+8", "write 16+2 of 5: true", "flush", "flush",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

// A record that is not whole, or no record, is refused.
func TestReadLogRefuses(t *testing.T) {
	whole := requests(t)
	for name, damage := range map[string]func(log []byte) []byte{
		"empty":                func([]byte) []byte { return nil },
		"magic":                func(log []byte) []byte { log[0]++; return log },
		"version":              func(log []byte) []byte { log[8]++; return log },
		"sector size":          func(log []byte) []byte { binary.LittleEndian.PutUint32(log[24:], 4096); return log },
		"cut in data":          func(log []byte) []byte { return log[:3*sectorSize] },
		"cut in the last data": func(log []byte) []byte { log[16] = 1; return log[:3*sectorSize] },
		"cut in head":          func(log []byte) []byte { return log[:sectorSize+8] },
		"missing entry":        func(log []byte) []byte { log[16]++; return log[:18944] },
		"flags":                func(log []byte) []byte { log[sectorSize+16] = 16; return log },
		"length":               func(log []byte) []byte { log[sectorSize+14] = 1; return log },
	} {
		if entries, err := readLog(bytes.NewReader(damage(bytes.Clone(whole)))); err == nil {
			t.Errorf("%s: a record with %d entries was read", name, len(entries))
		}
	}
}

func FuzzReadLog(f *testing.F) {
	f.Add(requests(f))
	f.Fuzz(func(t *testing.T, log []byte) {
		entries, err := readLog(bytes.NewReader(log))
		if err != nil {
			return
		}
		total := sectorSize
		for _, e := range entries {
			total += sectorSize + len(e.data)
		}
		if total > len(log) {
			t.Errorf("%d bytes were read from a record of %d", total, len(log))
		}
	})
}
