package main

import (
	"os"
	"strings"
	"testing"
)

// resetDevice is a device with something on its two partitions.
func resetDevice(t *testing.T, overlayState string) testDevice {
	d := newDevice(t)
	for _, dir := range []string{"data/config/system", "data/config/wifi", "data/apps", "run/initramfs/overlay/a"} {
		if err := os.MkdirAll(d.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	d.file("data/config/system/first-boot-complete", "id\n")
	roles := `"roles": [{"name": "overlay", "mounted_at": "/run/initramfs/overlay", "state": "` + overlayState + `"},
{"name": "data", "mounted_at": "/data", "state": "ok"}], "degraded":`
	d.file("run/minos/boot.json", strings.Replace(bootJSON("A", ""), `"degraded":`, roles, 1))
	return d
}

// requests are the partitions on which init will find one.
func requests(d testDevice) (found string) {
	for _, dir := range []string{"data", "run/initramfs/overlay"} {
		if _, err := os.Stat(d.path(dir + "/.minos-reset")); err == nil {
			found += dir + " "
		}
	}
	return found
}

func TestFactoryReset(t *testing.T) {
	const plan = "On the overlay partition goes: a.\nOn the data partition goes: apps, config/wifi,\nconfig/system/first-boot-complete.\nOn the data partition stays: config/system, config/ssh.\n"
	for _, c := range []struct {
		args   []string
		status int
		stdout string
		stderr string
		asked  string
	}{
		{[]string{"--dry-run"}, statusOK, plan, "", ""},
		{nil, statusUsage, plan, "minosctl: cannot reset: what is thrown away does not come back; give --yes for it to happen at the next boot\n", ""},
		{[]string{"--yes", "--dry-run"}, statusUsage, "", "minosctl: cannot reset: --yes and --dry-run contradict each other; give one\n", ""},
		{[]string{"--yes"}, statusOK, plan + "It is asked for, and happens at the next boot.\n", "", "data run/initramfs/overlay "},
	} {
		d := resetDevice(t, "ok")
		status, stdout, stderr := d.run(append([]string{"factory-reset"}, c.args...)...)
		if status != c.status || stdout != c.stdout || stderr != c.stderr || requests(d) != c.asked {
			t.Errorf("%q: status %d, requests %q\n%s%s\nwant %d, %q\n%s%s", c.args, status, requests(d), stdout, stderr, c.status, c.asked, c.stdout, c.stderr)
		}
		if _, err := os.Stat(d.path("data/apps")); err != nil {
			t.Errorf("%q: the running system lost something: %v", c.args, err)
		}
	}
}

// Half of a factory reset is none.
func TestFactoryResetOfWhatIsNotThere(t *testing.T) {
	d := resetDevice(t, "not used")
	if status, _, stderr := d.run("factory-reset", "--yes"); status != statusFailed || requests(d) != "" ||
		stderr != "minosctl: cannot reset the overlay partition: it is not mounted in this boot; minosctl report says why\n" {
		t.Errorf("status %d, requests %q: %s", status, requests(d), stderr)
	}
	d = resetDevice(t, "ok")
	if err := os.Remove(d.path("run/minos/boot.json")); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := d.run("factory-reset", "--yes"); status != statusFailed || !strings.Contains(stderr, "there is no /run/minos/boot.json") {
		t.Errorf("status %d: %s", status, stderr)
	}
	// The second request cannot be left: the first is taken back.
	d = resetDevice(t, "ok")
	if err := os.Mkdir(d.path("data/.minos-reset"), 0o755); err != nil {
		t.Fatal(err)
	}
	status, _, stderr := d.run("factory-reset", "--yes")
	if status != statusFailed || !strings.Contains(stderr, "cannot reset the data partition: open ") || strings.Contains(requests(d), "overlay") {
		t.Errorf("status %d, requests %q: %s", status, requests(d), stderr)
	}
}
