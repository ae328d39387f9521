package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// options say how a scenario is run.
type options struct {
	state    string             // directory for records, verdicts and failures
	cases    func(scenario) int // at most so many images; 0 for all
	places   places             // for what runs side by side
	stopAt   int                // failures after which no more cases are begun; 0 for never
	shrink   bool               // look for a smaller case than the first failure
	progress io.Writer
}

// places are as many as there may be machines side by side. What runs one holds
// one, or more than one after the other.
type places chan struct{}

func newPlaces(n int) places { return make(chan struct{}, n) }

func (p places) take() { p <- struct{}{} }
func (p places) free() { <-p }

// outcome is a line of the table, and what failed.
type outcome struct {
	scenario   string
	boundaries int
	cuts       int // states that were thought of
	images     int // that are distinct
	tried      int // of those, in this run or an earlier one
	count      map[class]int
	boots      int
	took       time.Duration
	failures   []failure
}

// failure is a case that is not fine.
type failure struct {
	image   image
	verdict verdict
	dir     string // where the disk and the consoles are kept
}

// key tells a scenario on these programs from all others: only what it says
// decides what a case is.
func (l *laboratory) key(s scenario) (string, error) {
	h := sha256.New()
	files := []string{l.kernel, l.initramfs, l.parts.stub, l.parts.minosctl}
	if s.machine != nil {
		files = append(files, l.parts.firmware, l.parts.kernel)
		for _, f := range l.parts.boot {
			fmt.Fprintf(h, "%s %q", f.Name, f.Data)
			if f.From != "" {
				files = append(files, f.From)
			}
		}
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("cannot tell this run from others: %w", err)
		}
		_, err = io.Copy(h, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return "", fmt.Errorf("cannot tell this run from others: %w", err)
		}
	}
	fmt.Fprintf(h, "%d %q %q %q %t %q %q %q %+v %+v %q", judgement, s.name, s.words, s.do, s.fails, strings.Join(s.within, ","), s.afterCut(false), s.afterCut(true),
		s.recipe(parts{stub: "stub"}), s.files, l.extra)
	if s.images != nil {
		fmt.Fprintf(h, "%q", l.parts.known)
	}
	if s.environment != nil {
		fmt.Fprintf(h, "%+v", *s.environment)
	}
	if s.card > 0 {
		fmt.Fprintf(h, "%d", s.card)
	}
	if len(s.makes) > 0 {
		fmt.Fprintf(h, "%q", s.makes)
	}
	if len(s.writing) > 0 {
		fmt.Fprintf(h, "%q %q", s.writing, s.started)
	}
	for _, step := range s.before {
		fmt.Fprintf(h, "%q %q %s", step.words, step.do, step.install)
		if step.from != nil {
			fmt.Fprintf(h, "%+v", step.from(parts{stub: "stub"}))
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:6]), nil
}

// judgement is the number of the rules by which cases are judged and images are
// made: another one makes verdicts of earlier runs void.
const judgement = 5

// open records a scenario, or takes the record of an earlier run.
func (l *laboratory) open(s scenario, o options) (*bench, string, error) {
	key, err := l.key(s)
	if err != nil {
		return nil, "", err
	}
	dir := filepath.Join(o.state, strings.ReplaceAll(s.name, " ", "-")+"-"+key)
	b := &bench{laboratory: l, scenario: s, base: filepath.Join(dir, "disk.img"), settled: map[string]bool{}}
	log, done := filepath.Join(dir, "writes.log"), filepath.Join(dir, "recorded")
	if _, err := os.Stat(done); err == nil {
		b.record, err = s.readRecord(log)
		if err != nil {
			return nil, "", err
		}
	} else {
		// A record without its note was interrupted; what was judged of another
		// record is void.
		if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
			return nil, "", fmt.Errorf("cannot make a place for the scenario: %w", err)
		}
		if err := l.prepare(s, b.base); err != nil {
			return nil, "", err
		}
		if b.record, err = l.record(s, b.base, log); err != nil {
			return nil, "", err
		}
		if err := os.WriteFile(done, nil, 0o644); err != nil {
			return nil, "", fmt.Errorf("cannot note that the scenario is recorded: %w", err)
		}
	}
	f, err := os.Open(b.base)
	if err != nil {
		return nil, "", fmt.Errorf("cannot open the disk before the record: %w", err)
	}
	defer f.Close()
	b.images, err = images(f, b.record.cuts())
	return b, dir, err
}

// runScenarios runs scenarios, two at a time: making the next one's record takes
// one machine, and leaves places to the cases of another. The outcomes are in
// the order of the scenarios; after an error no more are begun.
func (l *laboratory) runScenarios(list []scenario, o options) ([]outcome, error) {
	outcomes, errs := make([]outcome, len(list)), make([]error, len(list))
	var running sync.WaitGroup
	var broken atomic.Bool
	turns := newPlaces(2)
	for n, s := range list {
		turns.take()
		if broken.Load() {
			break
		}
		running.Go(func() {
			defer turns.free()
			if outcomes[n], errs[n] = l.runScenario(s, o); errs[n] != nil {
				broken.Store(true)
			}
		})
	}
	running.Wait()
	return outcomes, errors.Join(errs...)
}

// runScenario tries the cases of a scenario.
func (l *laboratory) runScenario(s scenario, o options) (outcome, error) {
	o.places.take()
	start := time.Now()
	b, dir, err := l.open(s, o)
	o.places.free()
	if err != nil {
		return outcome{}, fmt.Errorf("scenario %s: %w", s.name, err)
	}
	out := outcome{scenario: s.name, boundaries: b.record.boundaries(), images: len(b.images), count: map[class]int{}}
	for _, i := range b.images {
		out.cuts += len(i.cuts)
	}
	m, err := openMemory(filepath.Join(dir, "verdicts"))
	if err != nil {
		return out, err
	}
	failed, err := b.tryAll(sample(b.images, o.cases(s)), o, m, func(v verdict) { out.tried++; out.count[v.Class]++ })
	if err == nil && len(failed) > 0 && o.shrink {
		failed, err = b.shrink(failed, m)
	}
	err = errors.Join(err, m.Close())
	for _, f := range failed {
		f.dir = filepath.Join(dir, "failed", f.image.id)
		out.failures = append(out.failures, f)
	}
	l.mu.Lock()
	out.took, out.boots = time.Since(start), l.boots[s.name]
	l.mu.Unlock()
	return out, err
}

// tryAll tries images side by side, but for those with a verdict.
func (b *bench) tryAll(todo []image, o options, m *memory, count func(verdict)) (failed []failure, err error) {
	var mu sync.Mutex
	var running sync.WaitGroup
	stop := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return err != nil || (o.stopAt > 0 && len(failed) >= o.stopAt)
	}
	judge := func(i image, v verdict) {
		mu.Lock()
		defer mu.Unlock()
		count(v)
		if v.failed() {
			failed = append(failed, failure{image: i, verdict: v})
			fmt.Fprintf(o.progress, "%s: %s: %s: %s\n", b.scenario.name, i.plainest().name, v.Class, v.Why)
		}
	}
	for _, i := range todo {
		if v, ok := m.verdicts[i.memoryKey()]; ok {
			judge(i, v)
			continue
		}
		o.places.take()
		if stop() {
			o.places.free()
			break
		}
		running.Go(func() {
			defer o.places.free()
			v, tryErr := b.tryAndKeep(i, m)
			if tryErr != nil {
				mu.Lock()
				err = errors.Join(err, fmt.Errorf("%s: %w", i.plainest().name, tryErr))
				mu.Unlock()
				return
			}
			judge(i, v)
		})
	}
	running.Wait()
	return failed, err
}

// shrink puts the smallest case that fails in the same way before the others.
func (b *bench) shrink(failed []failure, m *memory) ([]failure, error) {
	slices.SortFunc(failed, func(a, b failure) int { return byPlainness(a.image.plainest(), b.image.plainest()) })
	first := failed[0]
	verdicts := map[string]verdict{}
	found, err := smallest(first.image, b.images, func(i image) (bool, error) {
		v, known := m.verdicts[i.memoryKey()]
		var err error
		if !known {
			v, err = b.tryAndKeep(i, m)
		}
		verdicts[i.id] = v
		return v.Class == first.verdict.Class, err
	})
	if err != nil || found.id == first.image.id {
		return failed, err
	}
	return append([]failure{{image: found, verdict: verdicts[found.id]}}, failed...), nil
}

// memoryKey tells one case from another: a disk, and what has to be on it.
func (i image) memoryKey() string { return fmt.Sprintf("%s-%d", i.id, i.synced) }

// tryAndKeep tries an image, notes the verdict, and keeps a failing disk.
func (b *bench) tryAndKeep(i image, m *memory) (verdict, error) {
	v, consoles, err := b.try(i)
	if err != nil {
		return v, err
	}
	if v.failed() {
		if err := b.keep(i, v, consoles); err != nil {
			return v, err
		}
	}
	return v, m.note(i.memoryKey(), v)
}

// keep leaves a failing disk as the cut left it, what the boots on it showed,
// and what is wrong.
func (b *bench) keep(i image, v verdict, consoles string) error {
	dir := filepath.Join(filepath.Dir(b.base), "failed", i.id)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot keep a failing disk: %w", err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s\n%s\n\nscenario %s, words %q, %d marks set; cuts that leave this disk:\n",
		v.Class, i.plainest().name, v.Why, b.scenario.name, b.scenario.words, i.synced)
	for _, c := range i.cuts {
		fmt.Fprintf(&text, "  %s: %s\n", c.kind, c.name)
	}
	return errors.Join(
		i.build(filepath.Join(dir, "disk.img"), b.base),
		os.WriteFile(filepath.Join(dir, "console.log"), []byte(consoles), 0o644),
		os.WriteFile(filepath.Join(dir, "case.txt"), []byte(text.String()), 0o644),
	)
}

// memory are the verdicts of cases, so that a run can be interrupted.
type memory struct {
	verdicts map[string]verdict // of earlier runs
	mu       sync.Mutex
	file     *os.File
}

type remembered struct {
	Case string
	verdict
}

func openMemory(file string) (*memory, error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot open the verdicts of earlier runs: %w", err)
	}
	m := &memory{verdicts: map[string]verdict{}, file: f}
	in := json.NewDecoder(f)
	for {
		var r remembered
		whole := in.InputOffset()
		if err := in.Decode(&r); err == nil {
			m.verdicts[r.Case] = r.verdict
			continue
		}
		// The end, or a line that was cut short: that case is tried again.
		if err := f.Truncate(whole); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot drop the end of an interrupted run: %w", err), f.Close())
		}
		return m, nil
	}
}

func (m *memory) note(name string, v verdict) error {
	line, err := json.Marshal(remembered{name, v})
	if err != nil {
		return fmt.Errorf("cannot note a verdict: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	// The newline comes first: what stands before may have been cut short.
	if _, err := m.file.Write(append([]byte{'\n'}, line...)); err != nil {
		return fmt.Errorf("cannot note a verdict: %w", err)
	}
	return nil
}

// Close ends the notes.
func (m *memory) Close() error { return m.file.Close() }
