package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
)

// The picture, in pixels.
const (
	svgLeft   = 24
	svgWidth  = 760 // of the time axis
	svgLabels = 240 // right of it, for the names of the last bars
	svgTop    = 84
	svgRow    = 24
)

// svg draws the timeline of a boot as a waterfall: a bar for each part, its
// name behind it, time to the right.
func svg(b boot) []byte {
	marks := byStart(b.Timeline)
	first, last := span(marks)
	scale := float64(svgWidth) / float64(max(last-first, 1))
	x := func(at int64) float64 { return svgLeft + float64(at-first)*scale }
	bottom := svgTop + svgRow*len(marks)

	var out bytes.Buffer
	width, height := svgLeft+svgWidth+svgLabels, bottom+32
	fmt.Fprintf(&out, `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">
<rect width="100%%" height="100%%" fill="#ffffff"/>
`, width, height, width, height)
	title := fmt.Sprintf("%s %s, init %s", b.Choice.What, b.Choice.Value, b.Version)
	svgText(&out, svgLeft, 28, `font-size="18" fill="#1c2733"`, title)
	state := "whole"
	if b.Degraded {
		state = "degraded"
	}
	svgText(&out, svgLeft, 48, `fill="#5b6875"`, fmt.Sprintf("%s on %s, %s; %.1f ms from the start of init; seconds since the kernel's start",
		b.Layout, b.Disk, state, b.took().Seconds()*1e3))
	for at := firstTick(first, last); at <= last; at += tick(first, last) {
		fmt.Fprintf(&out, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#e3e8ed"/>`+"\n", x(at), svgTop-8, x(at), bottom)
		svgText(&out, x(at), svgTop-12, `fill="#8894a0" font-size="11" text-anchor="middle"`, fmt.Sprintf("%.3f", float64(at)/1e6))
	}
	for i, m := range marks {
		y := svgTop + i*svgRow
		length := max(x(m.Ended)-x(m.Began), 2)
		fmt.Fprintf(&out, `<rect x="%.1f" y="%d" width="%.1f" height="%d" rx="2" fill="%s"/>`+"\n", x(m.Began), y+3, length, svgRow-8, colourOf(m))
		svgText(&out, x(m.Began)+length+6, y+15, `fill="#1c2733"`, fmt.Sprintf("%s (%.1f ms)", short(m.Name, 26), float64(m.Ended-m.Began)/1e3))
	}
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// colourOf tells parts of the story from the steps of the mounts in it.
func colourOf(m mark) string {
	if len(m.Name) > 5 && m.Name[:5] == "step " {
		return "#3f9b6c"
	}
	return "#3d7ebf"
}

func svgText[N int | float64](out *bytes.Buffer, x N, y int, style, text string) {
	fmt.Fprintf(out, `<text x="%.1f" y="%d" %s>`, float64(x), y, style)
	// A buffer takes everything; what XML cannot hold becomes U+FFFD.
	_ = xml.EscapeText(out, []byte(printable(text)))
	out.WriteString("</text>\n")
}

// tick is the time between two lines of the axis: 1, 2 or 5 times a power of
// ten, so that there are about eight.
func tick(first, last int64) int64 {
	span := float64(max(last-first, 8))
	unit := math.Pow(10, math.Floor(math.Log10(span/8)))
	for _, times := range []float64{1, 2, 5} {
		if span/(unit*times) <= 8 {
			return max(int64(unit*times), 1)
		}
	}
	return int64(unit * 10)
}

func firstTick(first, last int64) int64 {
	step := tick(first, last)
	return (first + step - 1) / step * step
}
