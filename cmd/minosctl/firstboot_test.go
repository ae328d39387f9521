package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/sys"
)

const (
	anID      = "6f1d2c3b4a59486796a5b4c3d2e1f001\n"
	anotherID = "aaaaaaaaaaaa4aaa8aaaaaaaaaaaaaaa\n"
	doneFile  = "data/config/system/first-boot-complete"
)

// identified is a device that runs under one id and has another on /data; ""
// for none.
func identified(t *testing.T, running, stored string) testDevice {
	d := newDevice(t)
	if err := os.MkdirAll(d.path("data/config/system"), 0o755); err != nil {
		t.Fatal(err)
	}
	d.file("etc/machine-id", running)
	if stored != "" {
		d.file("data/config/system/machine-id", stored)
	}
	return d
}

// firstBootComplete is the verb with the real effects.
func (d testDevice) firstBootComplete() (status int, stderr string) {
	var out, errs bytes.Buffer
	status = run(host{root: d.root, kernel: sys.Linux{}}, []string{"minosctl", "first-boot-complete"}, &out, &errs)
	return status, errs.String()
}

// The mark is for the id that init gives the machine, and nothing is marked
// where there is none.
func TestFirstBootComplete(t *testing.T) {
	for _, c := range []struct {
		name, running, stored, cmdline string
		want                           string // content of the mark, "" for none
		says                           string
	}{
		{name: "as it should be", running: anID, stored: anID, cmdline: "systemd.machine_id= quiet", want: anID},
		{name: "the command line has another", running: anotherID, stored: anID, cmdline: "systemd.machine_id=" + strings.TrimSpace(anotherID), want: anotherID},
		{name: "an old systemd", running: anotherID, stored: anID, want: anID, says: "this system runs under another machine-id than /data has, ignoring: that one"},
		{name: "no /data", running: anID, says: "cannot note that the first boot is complete: open "},
		{name: "nonsense on /data", running: anID, stored: "?\n", says: "holds no machine-id, 32 hexadecimal digits"},
		{name: "nothing runs", running: "uninitialized\n", stored: anID, says: "/etc/machine-id holds no machine-id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := identified(t, c.running, c.stored)
			d.file("proc/cmdline", c.cmdline)
			status, stderr := d.firstBootComplete()
			got, _ := os.ReadFile(d.path(doneFile))
			if string(got) != c.want || (status == statusOK) != (c.want != "") || !strings.Contains(stderr, c.says) || (c.says == "") != (stderr == "") {
				t.Errorf("status %d, the mark is %q, want %q; %s", status, got, c.want, stderr)
			}
		})
	}
}
