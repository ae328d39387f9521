package main

import (
	_ "embed"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// budgetText is what the ratios may be: the last that were accepted. Whoever makes
// init slower on purpose changes it in the same commit, and says why.
//
//go:embed budget.txt
var budgetText string

// allowance is how much of a budget chance may add. Runs of the same image differ
// by that much on a busy workstation, in their medians of CPU; times on the wall
// differ by more and have no budget.
const allowance = 1.1

// entry is one budget: the ratio of a row in a table.
type entry struct {
	table, row string
	ratio      float64
}

// parseBudget reads lines of TABLE: ROW = RATIO. What begins with # is a comment.
func parseBudget(text string) (budget []entry, err error) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		table, rest, ok := strings.Cut(line, ": ")
		row, value, ok2 := strings.Cut(rest, " = ")
		ratio, err := strconv.ParseFloat(value, 64)
		if !ok || !ok2 || err != nil {
			return nil, fmt.Errorf("cannot read the line %q of budget.txt: write TABLE: ROW = RATIO", line)
		}
		budget = append(budget, entry{table, row, ratio})
	}
	return budget, nil
}

// ratioOf finds the ratio at the end of a table's row, before its target.
var ratioOf = regexp.MustCompile(` (\d+\.\d\d)(?:  <=.*)?$`)

// overBudget says which rows of the printed tables are worse than their budget
// allows. A table that was not measured is not judged; a row that is not in its
// table is a mistake in the budget. The table of the layout slots is the first,
// and has no name of its own.
func overBudget(tables string, budget []entry) (worse []string) {
	table, found := "slots", map[string]map[string]float64{}
	for line := range strings.Lines(tables) {
		line = strings.TrimRight(line, "\n")
		if name, ok := strings.CutPrefix(line, "layout "); ok {
			table, _, _ = strings.Cut(name, " ")
		}
		if strings.HasPrefix(line, "first boot,") {
			table = "cards"
		}
		if found[table] == nil {
			found[table] = map[string]float64{}
		}
		if m := ratioOf.FindStringSubmatch(line); m != nil && len(line) > 30 {
			found[table][strings.TrimSpace(line[:30])], _ = strconv.ParseFloat(m[1], 64) // it is digits
		}
	}
	for _, e := range budget {
		rows := found[e.table]
		got, there := rows[e.row]
		switch {
		case len(rows) == 0: // not measured in this run
		case !there:
			worse = append(worse, fmt.Sprintf("budget.txt has %s: %s, which is no row of that table", e.table, e.row))
		case got > e.ratio*allowance:
			worse = append(worse, fmt.Sprintf("%s: %s is %.2f, and was %.2f: more than a tenth worse", e.table, e.row, got, e.ratio))
		}
	}
	return worse
}
