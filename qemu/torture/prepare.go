package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/minos-os/minos-init/qemu"
)

// prepare makes the disk of a scenario as the recorded boot finds it.
func (l *laboratory) prepare(s scenario, disk string) error {
	boots := slices.IndexFunc(s.before, func(step step) bool { return step.install != "" })
	if boots < 0 {
		boots = len(s.before)
	}
	file, err := l.booted(s, boots)
	if err != nil {
		return err
	}
	if err := qemu.CopyImage(disk, file); err != nil {
		return err
	}
	for _, step := range s.before[boots:] {
		if step.install != "" {
			err = step.from(l.parts).Install(step.install, disk)
		} else {
			err = l.before(s, step, disk)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// booted is the scenario's disk after the first steps, which are boots.
// Scenarios that begin with the same ones share it.
func (l *laboratory) booted(s scenario, steps int) (string, error) {
	key := fmt.Sprintf("%d %+v", s.card, s.recipe(l.parts))
	for _, step := range s.before[:steps] {
		key += fmt.Sprintf(" %q %q", s.wordsOf(step), step.do)
	}
	return l.once(key, "disk", func(file string) error {
		if steps == 0 {
			err := s.recipe(l.parts).Write(file)
			if err == nil && s.card > 0 {
				err = os.Truncate(file, s.card)
			}
			return err
		}
		earlier, err := l.booted(s, steps-1)
		if err != nil {
			return err
		}
		if err := qemu.CopyImage(file, earlier); err != nil {
			return err
		}
		return l.before(s, s.before[steps-1], file)
	})
}

// before is a boot that comes before the recorded one.
func (l *laboratory) before(s scenario, step step, disk string) error {
	words := s.wordsOf(step)
	s.machine = nil
	if err := l.whole(s, qemu.Drive{File: disk}, words, step.do); err != nil {
		return fmt.Errorf("cannot boot before the record: %w", err)
	}
	return nil
}

func (s scenario) wordsOf(step step) []string {
	if step.words == nil {
		return s.words
	}
	return step.words
}

// once makes a file the first time that it is asked for, and returns its name.
func (l *laboratory) once(key, name string, create func(file string) error) (string, error) {
	l.mu.Lock()
	if l.made == nil {
		l.made = map[string]func() (string, error){}
	}
	made, ok := l.made[key]
	if !ok {
		file := filepath.Join(l.dir, fmt.Sprintf("%s-%d", name, len(l.made)))
		made = sync.OnceValues(func() (string, error) { return file, create(file) })
		l.made[key] = made
	}
	l.mu.Unlock()
	return made()
}
