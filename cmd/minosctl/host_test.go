package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minos-os/minos-init/pkg/slots"
	"github.com/minos-os/minos-init/pkg/slots/ubootenv"
)

// testDevice is a device in a directory: what minosctl looks at below /.
type testDevice struct {
	testing.TB
	root string
}

const stateSize = 8 << 20

// newDevice has a blank boot state, found by init in /dev/vda9, and slot A
// running.
func newDevice(t testing.TB) testDevice {
	d := testDevice{t, t.TempDir()}
	for _, dir := range []string{"dev", "run/minos", "etc", "proc", "var/lock"} {
		if err := os.MkdirAll(filepath.Join(d.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	d.file("dev/vda9", "")
	if err := os.Truncate(d.path("dev/vda9"), stateSize); err != nil {
		t.Fatal(err)
	}
	d.file("run/minos/boot.json", bootJSON("A", ""))
	return d
}

// bootJSON is what init would leave; degraded is why, "" for a whole system.
func bootJSON(slot, degraded string) string {
	reasons, is := "[]", "false"
	if degraded != "" {
		reasons, is = `["`+degraded+`"]`, "true"
	}
	return `{"schema": 1, "version": "1.2-g0123456", "layout": "slots",
"choice": {"what": "slot", "value": "` + slot + `", "source": "rauc.slot=", "reason": "the bootloader named it",
 "rejected": [{"value": "root=/dev/vda3", "reason": "the slot decides"}]},
"disk": "/dev/vda", "boot_state": {"device": "/dev/vda9", "offset": 0, "size": 16384, "second": -1},
"warnings": ["a root= that is stale, ignoring: root="], "degraded": ` + is + `, "degraded_reasons": ` + reasons + `,
"timeline": [{"name": "init", "began_us": 1882382, "at_us": 1882382}, {"name": "config", "began_us": 1882382, "at_us": 1890000},
 {"name": "disk", "began_us": 1890000, "at_us": 2252793}, {"name": "root", "began_us": 2252793, "at_us": 2640000},
 {"name": "handover", "began_us": 2640000, "at_us": 2682693}, {"name": "step rootfs-a", "began_us": 2260000, "at_us": 2386039},
 {"name": "step overlay", "began_us": 2260100, "at_us": 2539841}, {"name": "step data <&>", "began_us": 2260200, "at_us": 2538953}],
"failure": null}`
}

func (d testDevice) path(name string) string { return filepath.Join(d.root, name) }

func (d testDevice) file(name, content string) {
	d.Helper()
	if err := os.WriteFile(d.path(name), []byte(content), 0o644); err != nil {
		d.Fatal(err)
	}
}

func (d testDevice) remove(name string) {
	d.Helper()
	if err := os.Remove(d.path(name)); err != nil {
		d.Fatal(err)
	}
}

func (d testDevice) bytes(name string) []byte {
	d.Helper()
	data, err := os.ReadFile(d.path(name))
	if err != nil {
		d.Fatal(err)
	}
	return data
}

// run is minosctl on the device.
func (d testDevice) run(args ...string) (status int, stdout, stderr string) {
	var out, err bytes.Buffer
	h := host{root: d.root, lockWait: time.Second}
	status = run(h, append([]string{callName}, args...), &out, &err)
	return status, out.String(), err.String()
}

// ok is run that has to go well, without a word of warning.
func (d testDevice) ok(args ...string) (stdout string) {
	d.Helper()
	status, stdout, stderr := d.run(args...)
	if status != statusOK || stderr != "" {
		d.Fatalf("minosctl %q: status %d, %s", args, status, stderr)
	}
	return stdout
}

// put lays variables, one NAME=VALUE each, at an offset of the boot state.
func (d testDevice) put(offset int64, variables ...string) {
	d.Helper()
	d.write(offset, environment(d, variables...))
}

func environment(t testing.TB, variables ...string) []byte {
	t.Helper()
	var env ubootenv.Env
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		if err := env.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	bytes, err := env.Encode(0x4000, ubootenv.Plain, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

func (d testDevice) write(offset int64, bytes []byte) {
	d.Helper()
	f, err := os.OpenFile(d.path("dev/vda9"), os.O_WRONLY, 0)
	if err != nil {
		d.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(bytes, offset); err != nil {
		d.Fatal(err)
	}
}

// at are the variables at an offset of the boot state, one after the other;
// "none" when there is no valid environment.
func (d testDevice) at(offset int) string {
	d.Helper()
	env, _, err := ubootenv.Decode(d.bytes("dev/vda9")[offset:][:0x4000])
	if err != nil {
		return "none"
	}
	return list(env)
}

func list(env ubootenv.Env) string {
	var variables []string
	for _, name := range env.Names() {
		value, _ := env.Get(name)
		variables = append(variables, name+"="+value)
	}
	return strings.Join(variables, " ")
}

// leave writes evidence of a failed boot.
func (d testDevice) leave(e slots.Evidence) {
	d.Helper()
	f, err := os.OpenFile(d.path("dev/vda9"), os.O_WRONLY, 0)
	if err != nil {
		d.Fatal(err)
	}
	defer f.Close()
	if err := e.Write(f); err != nil {
		d.Fatal(err)
	}
}
