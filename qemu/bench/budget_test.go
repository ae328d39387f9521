package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const someTables = `3 rounds, one processor

                                    floor       init     script   empty Go  init/floor  target
own CPU, median                   9.00 ms   18.00 ms   51.00 ms    5.00 ms        2.00  <= 2.0     PASS
sectors written                        40         40         80                     +0  <= +0      PASS
memory, most                      2.5 MiB   22.5 MiB   13.0 MiB    1.2 MiB              <= 12 MiB  OVER

layout image                        floor       init  init/floor  target
own CPU, median                  10.00 ms   25.00 ms        2.50  <= 2.0     OVER
own CPU, minimum                 10.00 ms   25.00 ms        2.50
                                cp, fsync       init     init/cp  target
CPU for 300 MiB, minimum           1.85 s     2.15 s        1.16  <= 1.1     OVER
`

func TestBudget(t *testing.T) {
	for text, want := range map[string][]string{
		"slots: own CPU, median = 2.00\nimage: own CPU, median = 2.28\n": nil,
		"# more than a tenth\nimage: own CPU, minimum = 2.27":            {"image: own CPU, minimum is 2.50, and was 2.27: more than a tenth worse"},
		"image: CPU for 300 MiB, minimum = 0.70":                         {"image: CPU for 300 MiB, minimum is 1.16, and was 0.70: more than a tenth worse"},
		"slots: memory, most = 1.00":                                     {"budget.txt has slots: memory, most, which is no row of that table"},
		"tryboot: own CPU, median = 0.01":                                nil, // not in this run
	} {
		budget, err := parseBudget(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, overBudget(someTables, budget)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	for _, text := range []string{"slots own CPU = 2", "slots: own CPU", "slots: own CPU = fast"} {
		if got, err := parseBudget(text); err == nil {
			t.Errorf("%q is taken: %+v", text, got)
		}
	}
	if budget, err := parseBudget(budgetText); err != nil || len(budget) == 0 {
		t.Errorf("budget.txt: %v, %d entries", err, len(budget))
	}
}
