package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestTrybootStatus(t *testing.T) {
	d := newPi(t, "B", 3, 1)
	status, said := d.do("tryboot", "status")
	want := "Running       slot B, partition 3\n" +
		"  on trial    the firmware's flag for a trial was set\n" +
		"Default       slot A, partition 2\n" +
		"Trial of      slot B, partition 3, asked for by the flag\n" +
		"Starts next   slot A, partition 2\n"
	if said != want || status != statusOK {
		t.Errorf("status %d:\n%s\nwant\n%s", status, said, want)
	}
	d = newPi(t, "A", 2, 0)
	d.file("run/systemd/reboot-param", "0 tryboot\n")
	d.file("proc/device-tree/chosen/bootloader/tryboot", "x")
	_, said = d.do("tryboot", "status", "--json")
	var st trybootState
	if err := json.Unmarshal([]byte(said), &st); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if st.Running != (trybootPlace{"A", 2}) || st.Next != (trybootPlace{"B", 3}) || st.OnTrial || st.Pending != "0 tryboot" || len(st.Warnings) != 1 {
		t.Errorf("%+v", st)
	}
	if _, said = d.do("tryboot", "status"); !strings.Contains(said, "Starts next   slot B, partition 3, on trial: reboot \"0 tryboot\"\n") {
		t.Errorf("%s", said)
	}
}

// RAUC's words: an update is tried and not started for good, and the slot that a
// restart returns to is never given up.
func TestTrybootRAUC(t *testing.T) {
	d := newPi(t, "A", 2, 0)
	d.system("vda3", "vda5")
	ask := func(status int, says string, args ...string) {
		t.Helper()
		if got, said := d.do(append([]string{"rauc-backend"}, args...)...); got != status || !strings.Contains(said, says) || says == "" && said != "" {
			t.Errorf("%q: status %d, %q; want %d, %q", args, got, said, status, says)
		}
	}
	ask(0, "A\n", "get-current")
	ask(0, "A\n", "get-primary")
	ask(0, "good\n", "get-state", "A")
	ask(0, "bad\n", "get-state", "B")
	ask(0, "", "set-state", "B", "bad") // before it is written to
	ask(statusRefused, "it is not marked bad", "set-state", "A", "bad")
	ask(0, "", "set-primary", "B")
	if got := d.pendingFile(); got != "0 tryboot\n" {
		t.Errorf("the restart has the argument %q", got)
	}
	ask(0, "B\n", "get-primary")
	ask(0, "good\n", "get-state", "B")
	ask(0, "", "set-primary", "A")
	ask(0, "A\n", "get-primary")
	ask(0, "Slot A is the default already", "set-state", "A", "good")
	ask(0, "", "set-state", "B", "good") // nothing that the firmware keeps
	if d.autoboot() != autobootA {
		t.Fatal("autoboot.txt has changed without a trial")
	}

	d.started("B", 3, 1)
	ask(0, "B\n", "get-current")
	ask(0, "A\n", "get-primary")
	ask(0, "good\n", "get-state", "B")
	ask(statusRefused, "it is not marked bad", "set-state", "A", "bad") // no update over the way back
	ask(0, "Slot B is the default from now on", "set-state", "B", "good")
	ask(0, "B\n", "get-primary")
	ask(0, "", "set-state", "A", "bad") // now an update may be written there
	if d.autoboot() != autobootB {
		t.Error("the slot that was marked good in its trial is not committed")
	}
}
