package slots

import "testing"

// What each change of the boot files leaves in the environment; what says
// nothing to anybody stays as it is.
func TestFiles(t *testing.T) {
	try := func(set int) func(State) State { return func(s State) State { return s.TryFiles(set) } }
	commit := func(set int) func(State) State { return func(s State) State { return s.CommitFiles(set) } }
	for _, c := range []struct {
		before string
		change func(State) State
		after  string
	}{
		{"", try(1), "BOOT_FILES_TRY=1"},
		{"BOOT_FILES=2", try(1), "BOOT_FILES=2;BOOT_FILES_TRY=1"},
		{"BOOT_FILES=2;BOOT_FILES_TRY=1", try(0), "BOOT_FILES=2"},
		{"BOOT_FILES=2", commit(1), "BOOT_FILES=1"},
		{"BOOT_FILES=2", commit(0), ""},
		{"BOOT_FILES=1;BOOT_FILES_TRY=2", commit(1), "BOOT_FILES=1;BOOT_FILES_TRY=2"},
		{"BOOT_FILES=1;BOOT_FILES_TRY=2", commit(2), "BOOT_FILES=2"},
		{"BOOT_FILES=01;BOOT_FILES_TRY=3", commit(0), "BOOT_FILES=01;BOOT_FILES_TRY=3"},
		{"BOOT_FILES=x", commit(2), "BOOT_FILES=2"},
		{"BOOT_FILES=1", func(s State) State { return s.MarkGood(A).Attempt(A) }, "BOOT_FILES=1"},
	} {
		vars := env(t, c.before)
		if err := c.change(Read(vars)).Files.write(vars); err != nil {
			t.Fatal(err)
		}
		if got := list(vars); got != c.after {
			t.Errorf("%s becomes %s, want %s", c.before, got, c.after)
		}
	}
	vars := env(t, "BOOT_ORDER=A B;BOOT_A_LEFT=3;BOOT_B_LEFT=3")
	if err := Read(vars).TryFiles(2).Write(vars); err != nil || list(vars) != "BOOT_ORDER=A B;BOOT_A_LEFT=3;BOOT_B_LEFT=3;BOOT_FILES_TRY=2" {
		t.Errorf("%v, %s", err, list(vars))
	}
}

// An update never writes to what is started now, or would be at the next boots.
func TestFilesChoose(t *testing.T) {
	for current := range 3 {
		for running := -1; running < 3; running++ {
			set := Files{Current: current}.Choose(running)
			bothTaken := current > 0 && running > 0 && current != running
			if bothTaken != (set == 0) || set == current && set != 0 || set == running && set != 0 || set > 2 {
				t.Errorf("current %d, running %d: it writes to %d", current, running, set)
			}
		}
	}
}
