package sys

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The timers of the other threads are late, and those of the caller are not.
func TestRelaxTimers(t *testing.T) {
	runtime.LockOSThread() // and not given back: the thread ends with the test
	slack := func(thread string) string {
		text, err := os.ReadFile("/proc/" + thread + "/timerslack_ns")
		if err != nil {
			return err.Error() // it has ended
		}
		return strings.TrimSpace(string(text))
	}
	own := strconv.Itoa(unix.Gettid())
	before := slack(own)
	Linux{}.RelaxTimers(123 * time.Microsecond)
	threads, err := os.ReadDir("/proc/self/task")
	must(t, err)
	relaxed := 0
	for _, thread := range threads {
		if slack(thread.Name()) == "123000" {
			relaxed++
		}
	}
	if slack(own) != before || relaxed == 0 {
		t.Errorf("of %d threads %d are relaxed, and the caller has %s after %s", len(threads), relaxed, slack(own), before)
	}
}
