package qemu

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// bootJSON is what of boot.json these tests look at, as another program would
// declare it.
type bootJSON struct {
	Schema  int
	Layout  string
	Disk    string
	Modules []string
	Choice  struct {
		What, Value, Source, Reason string
		Rejected                    []struct{ Value, Reason string }
	}
	Base  struct{ Value, Source string }
	Roles []struct {
		Name, Device, FSType, State string
		MountedAt                   string `json:"mounted_at"`
	}
	Overlay struct {
		Lowers, Options         []string
		Upper, Work, Durability string
		Subvolume               uint64
	}
	Warnings        []string
	Degraded        bool
	DegradedReasons []string `json:"degraded_reasons"`
	Timeline        []struct {
		Name  string
		Began int64 `json:"began_us"`
		At    int64 `json:"at_us"`
	}
}

// handedOver fails unless init reached the stub and said so, and returns the
// report that it left.
func (r Result) handedOver(t *testing.T) bootJSON {
	t.Helper()
	if r.Ending != PowerOff || !r.Stub.Complete {
		t.Fatalf("the machine ended with %s, the stub complete: %t; want a power-off of a complete stub", r.Ending, r.Stub.Complete)
	}
	var report bootJSON
	if err := json.Unmarshal([]byte(r.Stub.BootJSON), &report); err != nil {
		t.Fatalf("boot.json: %v in %q", err, r.Stub.BootJSON)
	}
	return report
}

// failed fails unless the boot ended in this step and the machine then reset
// itself. The error has to hold each of the texts.
func (r Result) failed(t *testing.T, step string, texts ...string) {
	t.Helper()
	if r.Ending != Reset || r.Stub.Started {
		t.Errorf("the machine ended with %s, the stub started: %t; want a reset without the stub", r.Ending, r.Stub.Started)
	}
	line := r.Line("minos: FAILED")
	for _, text := range append([]string{"step=" + step + " error=\"cannot "}, texts...) {
		if !strings.Contains(line, text) {
			t.Errorf("the failure is told as %q, which lacks %q", line, text)
		}
	}
	for _, rest := range []string{"minos: what was known: ", "minos: what was seen: ", "minos: what happens next: the machine restarts"} {
		if r.Line(rest) == "" {
			t.Errorf("the failure's last block lacks %q", rest)
		}
	}
}

// did fails unless the stub's verbs had these results, "VERB:ARG RESULT".
func (r Result) did(t *testing.T, want ...string) {
	t.Helper()
	if got := strings.Join(r.Stub.Done, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("the stub did\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// result is that of one of the stub's verbs.
func (r Result) result(t *testing.T, verb string) string {
	t.Helper()
	for _, done := range r.Stub.Done {
		if result, ok := strings.CutPrefix(done, verb+" "); ok {
			return result
		}
	}
	t.Fatalf("the stub did %q, and not %s", r.Stub.Done, verb)
	return ""
}

// mounted fails unless there is such a mount. Of the options only those in want
// have to be there, since kernels add their own.
func (r Result) mounted(t *testing.T, want Mount) {
	t.Helper()
	got, ok := r.Stub.MountAt(want.Target)
	if !ok {
		t.Errorf("nothing is mounted at %s", want.Target)
		return
	}
	if got.FSType != want.FSType || (want.Source != "" && got.Source != want.Source) ||
		!hasOptions(got.Options, want.Options) || !hasOptions(got.Super, want.Super) {
		t.Errorf("%s is %+v, want %+v", want.Target, got, want)
	}
}

func hasOptions(all, wanted string) bool {
	for option := range strings.SplitSeq(wanted, ",") {
		if wanted != "" && !strings.Contains(","+all+",", ","+option+",") {
			return false
		}
	}
	return true
}

// tmpfsMiB is the size of a filesystem in what the stub's statfs says.
func tmpfsMiB(t *testing.T, statfs string) int {
	t.Helper()
	match := regexp.MustCompile(`^magic=0x1021994 ro=false bytes=(\d+)$`).FindStringSubmatch(statfs)
	if match == nil {
		t.Fatalf("%s is no writable tmpfs", statfs)
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		t.Fatal(err)
	}
	return n / mib
}

// at is the kernel's time on the first console line that contains text.
func (r Result) at(t *testing.T, text string) time.Duration {
	t.Helper()
	stamp := regexp.MustCompile(`\[ *(\d+\.\d+)\] .*` + regexp.QuoteMeta(text)).FindStringSubmatch(r.Line(text))
	if stamp == nil {
		t.Fatalf("the console has no line with a time and %q", text)
	}
	seconds, err := strconv.ParseFloat(stamp[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(seconds * float64(time.Second))
}

// lacks fails when a console shows one of the texts.
func lacks(t *testing.T, console string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(console, text) {
			t.Errorf("the console shows %q", text)
		}
	}
}

// shows fails unless a console shows each of the texts.
func shows(t *testing.T, console string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(console, text) {
			t.Errorf("the console lacks %q", text)
		}
	}
}
