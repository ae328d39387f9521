package firstboot

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// Inbox takes files over from the card to the data partition. What cannot be
// taken over is told, stays on the card, and never stops a boot. A power cut
// leaves each target as it was or whole, and no file is removed from the card
// before it is durable on the data partition and was read back from there.
type Inbox struct {
	Card  Card
	Data  string // where the data partition is mounted
	Rules []Rule
}

// credentials is a directory of the card that is somebody else's to take over.
const credentials = "config/credentials"

// Bounds, for a FAT whose damage makes a circle of its directories.
const (
	maxDepth   = 16
	maxEntries = 100_000
)

// maxTime is how long a boot takes files over. A FAT finds a name by reading
// those before it, so a directory of many thousands is slow beyond measure.
const maxTime = 5 * time.Minute

// Apply implements mount.Action.
func (i Inbox) Apply(env mount.Env) error {
	run := &intake{Inbox: i, env: env, k: env.Kernel, deadline: env.Kernel.Now() + maxTime}
	for _, rule := range i.Rules {
		source, err := i.Card.find(env.Kernel, rule.Source)
		if err != nil {
			return errors.Join(err, run.end())
		}
		if source != "" {
			run.follow(rule, source)
		}
	}
	return run.end()
}

// Undo implements mount.Action. What was taken over stays.
func (Inbox) Undo(mount.Env) error { return nil }

func (i Inbox) String() string { return "take over files from " + i.Card.At + " to " + i.Data }

// intake is one run of an Inbox.
type intake struct {
	Inbox
	env mount.Env
	k   sys.Kernel

	deadline time.Duration
	entries  int   // that were looked at
	waiting  []job // to be stored together
	bytes    int64 // of them
	buffer   []byte
	stored   int
	removed  int
	failed   int

	staging bool     // the directory for what waits is there
	open    bool     // the card is writable
	openErr error    // it cannot be made so
	emptied []string // directories of the card from which all is taken, those above first
	halted  error    // nothing more can be stored
}

// job is a file that is to be stored.
type job struct {
	from    string // on the card, from its root
	to      string // on the data partition, from its root
	content []byte // instead of what is at from; nil: that
	rule    Rule
	staged  string // where it waits until it is durable
	// The target keeps its mode and its owner when it is there already.
	mode     fs.FileMode
	uid, gid uint32
}

// follow does what a rule says.
func (t *intake) follow(rule Rule, source string) {
	t.halted = nil // another rule may do better
	info, err := t.k.Lstat(path.Join(t.Card.At, source))
	if err != nil {
		t.problem(source, err)
		return
	}
	if !info.Mode.IsDir() {
		t.file(rule, source, rule.Target)
	} else if t.tree(rule, source, rule.Target, 0) {
		t.emptied = append(t.emptied, source)
	}
	t.flush()
	t.removeEmptied()
}

// tree takes over a directory. It says whether nothing of it is to stay on the
// card.
func (t *intake) tree(rule Rule, from, to string, depth int) (all bool) {
	if depth == maxDepth {
		t.problem(from, fmt.Errorf("directories lie in each other more than %d deep", maxDepth))
		return false
	}
	names, err := t.k.ReadDir(path.Join(t.Card.At, from))
	if err != nil {
		t.problem(from, err)
		return false
	}
	targets, err := t.targetsIn(to)
	if err != nil {
		t.problem(from, err)
		return false
	}
	all = rule.Policy == Consume
	for _, name := range names {
		if t.halted != nil {
			return false
		}
		source := path.Join(from, name)
		if isLitter(name) || t.isOthers(rule, source) {
			all = false
			continue
		}
		if err := t.count(name); err != nil {
			t.problem(source, err)
			all = false
			continue
		}
		if !t.entry(rule, source, path.Join(to, name), targets, depth) {
			all = false
		}
	}
	return all
}

// entry takes over one name of a directory. It says whether that is to leave
// the card.
func (t *intake) entry(rule Rule, from, to string, targets dirOnData, depth int) bool {
	exists, target, err := targets.look(t.k, path.Base(to))
	if err == nil && exists && !target.Mode.IsDir() && rule.Policy == IfAbsent {
		// Without a look at the card: in a large directory of a FAT, to find each
		// name is to read all those before it.
		return false
	}
	var info sys.FileInfo
	if err == nil {
		info, err = t.k.Lstat(path.Join(t.Card.At, from))
	}
	switch {
	case err != nil:
		t.problem(from, err)
		return false
	case !info.Mode.IsDir():
		return t.file(rule, from, to)
	case !t.tree(rule, from, to, depth+1):
		return false
	}
	t.emptied = append(t.emptied, from)
	return true
}

// count refuses what has no sound name, and what comes after far too much.
func (t *intake) count(name string) error {
	if t.entries++; t.entries > maxEntries {
		t.halted = fmt.Errorf("there are more than %d files", maxEntries)
		return t.halted
	}
	if t.k.Now() > t.deadline {
		t.halted = fmt.Errorf("it has taken %v so far; the next boot goes on", maxTime)
		return t.halted
	}
	return checkName(name)
}

// isOthers tells whether something in a tree is for another rule, or for
// somebody else.
func (t *intake) isOthers(rule Rule, source string) bool {
	if strings.EqualFold(source, credentials) {
		return true
	}
	return slices.ContainsFunc(t.Rules, func(r Rule) bool {
		same := strings.EqualFold(source, r.Source) || strings.EqualFold(source, r.Source+textSuffix)
		return same && !strings.EqualFold(r.Source, rule.Source)
	})
}

// file takes over a file, or notes that it is to be. It says whether it is to
// leave the card.
func (t *intake) file(rule Rule, from, to string) bool {
	j := job{from: from, to: to, rule: rule, mode: rule.Mode}
	size, err := t.plan(&j)
	if err != nil {
		t.problem(from, err)
		return false
	}
	if size < 0 {
		return false // there is nothing to do
	}
	const most, mostBytes = 256, 32 << 20
	t.waiting, t.bytes = append(t.waiting, j), t.bytes+size
	if len(t.waiting) >= most || t.bytes >= mostBytes {
		t.flush()
	}
	return rule.Policy == Consume
}

// plan decides what becomes of a file, and returns how many bytes it takes; -1
// when nothing is to be done.
func (t *intake) plan(j *job) (size int64, err error) {
	source := path.Join(t.Card.At, j.from)
	info, err := t.k.Lstat(source)
	if err != nil {
		return -1, err
	}
	if !info.Mode.IsRegular() {
		return -1, fmt.Errorf("it is no file (%s)", info.Mode)
	}
	targets, err := t.targetsIn(path.Dir(j.to))
	if err != nil {
		return -1, err
	}
	exists, target, err := targets.look(t.k, path.Base(j.to))
	if err != nil {
		return -1, err
	}
	fate, err := j.rule.Policy.decide(exists, target.Mode)
	if err != nil || fate == skip {
		return -1, err
	}
	if exists && target.Mode.IsRegular() {
		j.mode, j.uid, j.gid = target.Mode.Perm(), target.UID, target.GID
	}
	if fate == merge {
		had := ""
		if exists {
			had = path.Join(targets.at, path.Base(j.to))
		}
		return t.planMerge(j, max(info.Size, target.Size), had)
	}
	return info.Size, t.fits(info.Size)
}

// planMerge prepares the text that a target is to become. size is that of the
// larger of the two files in bytes, and target the path of one that is there.
func (t *intake) planMerge(j *job, size int64, target string) (int64, error) {
	if size > maxMerged {
		return -1, fmt.Errorf("append-unique is for texts of at most %d bytes, and one of the two has %d", maxMerged, size)
	}
	more, err := t.k.ReadFile(path.Join(t.Card.At, j.from))
	if err != nil {
		return -1, err
	}
	var had []byte
	if target != "" {
		if had, err = t.k.ReadFile(target); err != nil {
			return -1, err
		}
	}
	if j.content = mergeLines(had, more); len(j.content) == len(had) {
		return -1, nil
	}
	size = int64(len(j.content))
	return size, t.fits(size)
}

// fits refuses a file for which there is no space, before a part of it is
// written: a card that stays in its slot would be worn at each boot.
func (t *intake) fits(size int64) error {
	stat, err := t.k.Statfs(t.Data)
	if err == nil && stat.Free < t.bytes+size {
		err = fmt.Errorf("it takes %d bytes, and the data partition has %d left", size, max(stat.Free-t.bytes, 0))
	}
	return err
}

// dirOnData is a directory of the data partition. Links in its path lead where
// they do for a process whose root is the data partition, and never out of it.
type dirOnData struct{ at string } // "" when it is not there

func (t *intake) targetsIn(dir string) (dirOnData, error) {
	where, info, err := t.k.ResolveIn(t.Data, path.Join("/", dir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return dirOnData{}, nil
	case err != nil:
		return dirOnData{}, err
	case !info.Mode.IsDir():
		return dirOnData{}, fmt.Errorf("%s on the data partition is no directory", dir)
	}
	return dirOnData{path.Join(t.Data, where)}, nil
}

// look tells whether there is something of this name, and what.
func (d dirOnData) look(k sys.Kernel, name string) (exists bool, info sys.FileInfo, err error) {
	if d.at == "" {
		return false, info, nil
	}
	info, err = k.Lstat(path.Join(d.at, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, info, nil
	}
	return err == nil, info, err
}
