package report

import (
	"strconv"
	"strings"
	"time"
)

// OKLine is the last line of a boot that went well: "OK", then what was chosen
// as key=value. A value that is empty, or holds anything but plain letters, is
// quoted as Go quotes it. The time that init took is from the first mark of the
// timeline to the last one.
func (r Report) OKLine() string {
	line := "OK layout=" + lineValue(r.Layout)
	if r.Choice.What != "" {
		line += " " + r.Choice.What + "=" + lineValue(r.Choice.Value)
	}
	root := r.Source
	if root == "" {
		root = r.rootDevice()
	}
	line += " root=" + lineValue(root)
	if r.Overlay.Durability != "" {
		line += " upper=" + lineValue(r.Overlay.Durability)
	}
	if len(r.Degraded) > 0 {
		line += " degraded=" + strconv.Itoa(len(r.Degraded))
	}
	return line + " took=" + strconv.FormatFloat(r.took().Seconds(), 'f', 3, 64) + "s"
}

// FailedLine is the last line of a boot that failed at a step, which is one
// word.
func FailedLine(step string, err error) string {
	return "FAILED step=" + lineValue(step) + " error=" + strconv.Quote(err.Error())
}

// rootDevice is what the lowest layer comes from: the role that is mounted
// where that layer begins, or the layer itself.
func (r Report) rootDevice() string {
	if len(r.Overlay.Lowers) == 0 {
		return ""
	}
	lowest := r.Overlay.Lowers[len(r.Overlay.Lowers)-1]
	device, longest := lowest, 0
	for _, role := range r.Roles {
		at := strings.TrimSuffix(role.MountedAt, "/")
		inside := lowest == at || strings.HasPrefix(lowest, at+"/")
		if role.Device != "" && inside && len(at) > longest {
			device, longest = role.Device, len(at)
		}
	}
	return device
}

func (r Report) took() time.Duration {
	if len(r.Timeline) == 0 {
		return 0
	}
	first, last := r.Timeline[0].Began, r.Timeline[0].At
	for _, m := range r.Timeline {
		first, last = min(first, m.Began), max(last, m.At)
	}
	return last - first
}

// lineValue keeps a line one line, and its values apart.
func lineValue(value string) string {
	quoted := strconv.Quote(value)
	if value == "" || strings.ContainsAny(value, " =") || quoted != `"`+value+`"` {
		return quoted
	}
	return value
}
