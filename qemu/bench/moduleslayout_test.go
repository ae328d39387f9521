package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBeside(t *testing.T) {
	text := `{"timeline": [
		{"name": "kernel", "at_us": 900},
		{"name": "step module-b.sb", "began_us": 1000, "at_us": 2000},
		{"name": "step session", "began_us": 1000, "at_us": 2500},
		{"name": "step module-a.sb", "began_us": 1500, "at_us": 3000},
		{"name": "step module-c.sb", "began_us": 2000, "at_us": 4000}]}`
	b, err := readBeside(text)
	if want := (beside{took: 3 * time.Millisecond, sum: 4500 * time.Microsecond, most: 2}); err != nil || b != want {
		t.Errorf("readBeside = %+v, %v; want %+v", b, err, want)
	}
	for _, text := range []string{"", "{}", `{"timeline": [{"name": "step session", "began_us": 1, "at_us": 2}]}`} {
		if _, err := readBeside(text); err == nil {
			t.Errorf("%q is taken for a report with modules", text)
		}
	}
}

func TestModulesTable(t *testing.T) {
	set := func(modules int, floor, ours float64) setRuns {
		run := func(ms float64) []figures { return []figures{{cpu: time.Duration(ms * 1e6)}} }
		return setRuns{modules, [][]figures{run(floor), run(ours)}}
	}
	var out strings.Builder
	err := printModules(&out, []setRuns{set(5, 10, 20), set(50, 55, 65), set(150, 155, 265)},
		beside{took: 200 * time.Millisecond, sum: 600 * time.Millisecond, most: 4})
	if err != nil {
		t.Fatal(err)
	}
	want := `
layout modules                      floor       init  init/floor  target
5 modules, own CPU, median       10.00 ms   20.00 ms        2.00
50 modules, own CPU, median      55.00 ms   65.00 ms        1.18
150 modules, own CPU, median    155.00 ms  265.00 ms        1.71
one module more, CPU              1000 us    1690 us        1.69  <= 1.5     OVER
of many beside one of few            1.00       2.00              <= 1.25    OVER
150 modules on two processors: 200.0 ms from the first to the last, 600.0 ms added up, up to 4 at a time
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}
