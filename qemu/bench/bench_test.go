package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	ms := func(cpu, wall float64, written int64) figures {
		return figures{cpu: time.Duration(cpu * 1e6), wall: time.Duration(wall * 1e6), written: written, requests: written / 8, memory: int64(cpu) * 256}
	}
	runs := [][]figures{
		floorVariant:  {ms(8, 30, 40), ms(9, 20, 40), ms(10, 40, 48)},
		initVariant:   {ms(18, 30, 40), ms(17, 31, 48), ms(90, 32, 48)},
		scriptVariant: {ms(50, 100, 80), ms(51, 101, 80), ms(52, 99, 80)},
		emptyVariant:  {ms(5, 9, 0), ms(5, 9, 0), ms(5, 9, 0)},
	}
	images := builtImages{modulesFrom: "6.12.1", sizes: map[string]int64{
		releasePlain: maxReleaseSize, debugPlain: maxDebugSize + 1<<18, releaseModules: 1 << 21,
	}}
	var out strings.Builder
	if err := printTable(&out, track{append: []string{"quiet"}}, runs, images); err != nil {
		t.Fatal(err)
	}
	want := strings.TrimPrefix(`
3 rounds, one processor, 2 ns an instruction, Linux 6.12.1, words added: "quiet"

                                    floor       init     script   empty Go  init/floor  target
own CPU, median                   9.00 ms   18.00 ms   51.00 ms    5.00 ms        2.00  <= 2.0     PASS
own CPU, minimum                  8.00 ms   17.00 ms   50.00 ms    5.00 ms        2.12
own wall, median                 30.00 ms   31.00 ms  100.00 ms    9.00 ms        1.03
own wall, minimum                20.00 ms   30.00 ms   99.00 ms    9.00 ms        1.50  <= 1.5     PASS
sectors written                        40         40         80                     +0  <= +0      PASS
in how many writes                      5          5         10                     +0
memory, most                      2.5 MiB   22.5 MiB   13.0 MiB    1.2 MiB              <= 12 MiB  OVER
release image, no modules                   1.50 MiB                                    <= 1.5 MiB PASS
debug image, no modules                     3.25 MiB                                    <= 3.0 MiB OVER
release image, demo's modules               2.00 MiB
`, "\n")
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

// A console as a boot leaves it, less what is not looked at.
const console = `[    0.9] Run /start as init process
BENCH cpu_ns=8123456 wall_ns=24000001 memory_kib=1234 start_cpu_ns=650000000
STUB pid 1
STUB mount 20 1 0:20 / / rw,relatime - overlay overlay rw
STUB mount 21 20 0:5 / /dev rw,nosuid - devtmpfs devtmpfs rw
STUB mount 22 20 0:21 / /proc rw,nosuid - proc proc rw
STUB mount 23 20 0:22 / /sys rw,nosuid - sysfs sysfs rw
STUB mount 24 20 0:23 / /run rw,nosuid - tmpfs tmpfs rw
STUB mount 25 24 254:6 / /run/initramfs/rootfs ro,noatime - ext4 /dev/vda6 ro
STUB mount 26 24 254:3 / /run/initramfs/overlay rw,noatime - ext4 /dev/vda3 rw
STUB mount 27 20 254:4 / /data rw,noatime - ext4 /dev/vda4 rw
STUB mount 28 20 254:1 / /boot/firmware ro,noatime - vfat /dev/vda1 ro
STUB do sync: ok
STUB do read:/sys/block/vda/stat "     139        0    11778        2       13        2      176       10        0       12\n"
STUB end
`

func TestFigures(t *testing.T) {
	job := variant{name: "floor", mounts: true}
	got, err := readFigures(console, job, slotsMounts())
	want := figures{cpu: 8123456, wall: 24000001, written: 176, requests: 13, memory: 1234}
	if err != nil || got != want {
		t.Errorf("figures %+v, %v; want %+v", got, err, want)
	}
	for name, change := range map[string][2]string{
		"finishing line":             {"BENCH cpu_ns=", "nothing "},
		"something else":             {"wall_ns=24000001", "wall"},
		"its end":                    {"STUB end", "STUB"},
		"cannot read the statistics": {`139        0    11778        2       13`, `139`},
		"on /boot/firmware":          {"/boot/firmware ro", "/boot/firmware rw"},
		"on /data":                   {"- ext4 /dev/vda4", "- tmpfs /dev/vda4"},
		"on /run/initramfs/rootfs":   {"/run/initramfs/rootfs", "/elsewhere"},
	} {
		broken := strings.Replace(console, change[0], change[1], 1)
		if broken == console {
			t.Fatalf("%q is not on the console", change[0])
		}
		if _, err := readFigures(broken, job, slotsMounts()); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %q: error %v, want one about %q", change[0], err, name)
		}
	}
}

func TestRoundsWanted(t *testing.T) {
	for text, want := range map[string]int{"": 7, "1": 1, "0": 0, "many": 0} {
		if got, err := roundsWanted(text); got != want || (err != nil) != (want == 0) {
			t.Errorf("roundsWanted(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
}

// A layout that there is not would measure nothing, and pass.
func TestUnknownLayout(t *testing.T) {
	if err := (bencher{}).layouts("slotz"); err == nil || !strings.Contains(err.Error(), "BENCH_LAYOUT=slotz is no layout") {
		t.Errorf("got %v", err)
	}
}
