package sys

import (
	"os"
	"strings"
	"testing"
)

// What is not there, or cannot be read, is nil.
func TestReadEach(t *testing.T) {
	dir := t.TempDir()
	dirs(t, dir, "a", "b", "c/size", "d")
	long := strings.Repeat("0123456789", 200)
	must(t, os.WriteFile(dir+"/a/size", []byte(long), 0o644))
	must(t, os.WriteFile(dir+"/d/size", nil, 0o644))
	got := Linux{}.ReadEach(dir, []string{"a", "b", "c", "d", "e"}, "size")
	if len(got) != 5 || string(got[0]) != long || got[1] != nil || got[2] != nil || got[3] == nil || len(got[3]) != 0 || got[4] != nil {
		t.Errorf("read %q", got)
	}
	for i, content := range (Linux{}).ReadEach(dir+"/none", []string{"a", "b"}, "size") {
		if content != nil {
			t.Errorf("file %d of a directory that is not there: %q", i, content)
		}
	}
}
