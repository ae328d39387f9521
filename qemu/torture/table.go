package main

import (
	"fmt"
	"io"
	"time"
)

// printTable prints a line for each scenario. A run of a part of the cases says
// so in each of its lines.
func printTable(w io.Writer, all []outcome) {
	fmt.Fprintf(w, "%-20s %10s %6s %7s %12s %6s %9s %9s %9s %6s %8s\n",
		"scenario", "boundaries", "cuts", "disks", "tried", "lost", "dead ends", "degraded", "repaired", "boots", "time")
	for _, o := range all {
		tried := "all"
		if o.tried < o.images {
			tried = fmt.Sprintf("%d of %d", o.tried, o.images)
		}
		fmt.Fprintf(w, "%-20s %10d %6d %7d %12s %6d %9d %9d %9d %6d %8s\n", o.scenario, o.boundaries, o.cuts, o.images, tried,
			o.count[lost], o.count[deadEnd], o.count[degraded], o.count[repaired], o.boots, o.took.Round(time.Second))
	}
}
