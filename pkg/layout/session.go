package layout

import (
	"fmt"

	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/modset"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/report"
)

// SessionNote is where the way out finds which session it closes. It is in the
// directory that becomes its root.
const SessionNote = backing + "/session"

// lostSession is what a boot lacks without the session that was asked for.
const lostSession = "what is written is lost at power-off"

// addSession adds the steps that lay what can be written over the modules: the
// session, or memory. A session counts as one only when the system was seen to
// write to it; then the store is told. size is that of an upper in memory.
func (r *Root) addSession(store sessionStore, choice modset.Choice, wish modset.Wish, now modset.Release, lowers []string, size string) {
	upper := mount.Upper{Dir: changesAt, Names: [2]string{modset.UpperName, modset.WorkName}}
	r.StandIn = mount.Overlay{Target: newRoot, Lowers: lowers, Upper: upper, Distrust: true}
	inMemory := []mount.Action{mount.Tmpfs(changesAt, size), upper, r.StandIn}

	root := mount.Step{Name: "root", Title: "lay the writable layer over the modules", After: names(r.Steps)}
	r.Overlay, r.Upper, root.Do = r.StandIn, string(config.Volatile), inMemory
	if choice.Number == "" && !choice.Degraded {
		r.Steps = append(r.Steps, root)
		return
	}
	session := mount.Step{Name: "session", Title: "open a session", After: []string{mediumRole}, Tolerated: true, Loss: lostSession}
	root.Needs, root.Tolerated, root.Else, root.Loss = []string{session.Name}, true, inMemory, lostSession
	if choice.Number == "" {
		session.Do = []mount.Action{mount.Absent{Err: fmt.Errorf("%s", choice.Reason)}}
		r.Steps = append(r.Steps, session, root)
		return
	}
	r.Upper = string(config.Keep)
	if choice.Mode != modset.Native {
		session.After = root.After // its tools are in the modules
	}
	session.Do = store.opened(choice, wish, lowers)
	none := sessionReport(modset.Choice{Reason: "session " + choice.Number + " cannot be used", Rejected: choice.Rejected}, true)
	r.Choices[session.Name], r.Choices[root.Name] = none, none
	root.Do = []mount.Action{r.Overlay}
	r.Steps = append(r.Steps, session, root, mount.Step{
		Name: "session-record", Title: "record session " + choice.Number, Needs: []string{session.Name, root.Name},
		Do:        []mount.Action{store.record(choice, now)},
		Tolerated: true, Loss: "the next boot does not know of this session",
	})
}

// sessionReport is the choice for boot.json and the console.
func sessionReport(c modset.Choice, asked bool) report.Choice {
	r := report.Choice{What: "session", Value: c.Number, Source: "default", Reason: c.Reason}
	if asked {
		r.Source = "perch"
	}
	if c.Number == "" {
		r.Value = "none"
	}
	for _, rejected := range c.Rejected {
		r.Rejected = append(r.Rejected, report.Rejected{Value: rejected.Number, Reason: rejected.Reason})
	}
	return r
}
