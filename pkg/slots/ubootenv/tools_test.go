package ubootenv

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The tools of U-Boot and of libubootenv judge our bytes, and we read theirs:
// what a tool wrote is encoded again to the same bytes, and what we wrote every
// tool reads to the same map. On thousands of generated environments.

const (
	manySingle = 1000
	manyPairs  = 500
	few        = 25 // with -short
)

func TestToolsAgreeOnASingleCopy(t *testing.T) { agree(t, manySingle, judgeSingle) }
func TestToolsAgreeOnAPair(t *testing.T)       { agree(t, manyPairs, judgePair) }

// agree judges n generated environments. The seed is fixed: a failure comes
// again.
func agree(t *testing.T, n int, judge func(*bench, int)) {
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin")
	for _, name := range []string{"mkenvimage", "fw_printenv", "fw_setenv"} {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed, and with CI=true this test must run: install it", name)
		}
		t.Skipf("SKIPPED: %s is not installed, so nothing but ourselves judges the environment", name)
	}
	if testing.Short() {
		n = few
	}
	b := &bench{t: t, dir: memoryDir(t), random: rand.New(rand.NewPCG(4, uint64(n)))}
	for i := 0; i < n && !t.Failed(); i++ {
		judge(b, i)
	}
	if b.whole == 0 && !t.Failed() {
		t.Error("none of what fw_setenv wrote was compared as a whole; this test looks at nothing")
	}
	t.Logf("%d environments made and %d written by fw_setenv, %d of those compared with their padding", n, b.setenvs, b.whole)
}

// bench is where the tools work.
type bench struct {
	t       *testing.T
	dir     string
	random  *rand.Rand
	setenvs int // environments that fw_setenv wrote
	whole   int // those that were compared to their last byte
}

// memoryDir is a directory in memory where there is such a place: fw_setenv
// syncs, and a disk would take most of the time.
func memoryDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "ubootenv")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func judgeSingle(b *bench, i int) {
	place := Place{Size: b.size(), Second: -1, Shadow: -1, Torn: -1}
	e, pad := b.env(int(place.Size)/2), []byte{0x00, 0xff}[i%2]
	made := b.mkenvimage(e, place.Size, pad)
	b.sameBytes("mkenvimage", made, e, Plain, 0, pad)
	b.write("disk", made)
	b.config(place)
	b.changeBoth(i, place, e)
}

func judgePair(b *bench, i int) {
	size := b.size()
	place := Place{Size: size, Second: size, Shadow: -1, Torn: -1}
	e, other := b.env(int(size)/2), b.env(int(size)/2)
	made := b.mkenvimage(e, size, 0xff, "-r")
	b.sameBytes("mkenvimage -r", made, e, WithFlags, 1, 0xff)
	// The flags are not under the checksum.
	flags := []byte{0, 1, 126, 127, 128, 129, 254, 255, byte(b.random.Uint32())}
	made[Plain] = flags[b.random.IntN(len(flags))]
	second := encoded(b.t, other, int(size), WithFlags, made[Plain]-1, 0)
	switch i % 4 {
	case 0:
		second = make([]byte, size) // blank
	case 1:
		second[size/2] ^= 1 // damaged
	case 2:
		made, second = second, made
	}
	b.write("disk", slices.Concat(made, second))
	b.config(place)
	b.changeBoth(i, place, b.printed(i))
}

// changeBoth lets us change the environment and fw_printenv read it, and then
// fw_setenv change it and us read it.
func (b *bench) changeBoth(i int, place Place, e Env) {
	b.t.Helper()
	b.wantPrinted(i, "as it was made", e)
	for range 2 {
		e = b.change(e)
		want := e
		changed, err := Update(b.disk(), place, func(env *Env, found Copy) error {
			for _, name := range env.Names() {
				if _, keep := want.Get(name); !keep {
					env.Unset(name)
				}
			}
			for _, name := range want.Names() {
				value, _ := want.Get(name)
				if err := env.Set(name, value); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || !changed {
			b.t.Fatalf("environment %d: Update: %v, %v", i, changed, err)
		}
		b.wantPrinted(i, "after Update", e)

		before := e
		e = b.change(e)
		b.setenv(before, e)
		got, err := Read(b.disk(), place)
		if err != nil || !sameVariables(got.Env, e) {
			b.t.Fatalf("environment %d: Read after fw_setenv: %v, %s", i, err, difference(got.Env, e))
		}
		b.sameBytesAsSetenv(i, place, got)
		e = got.Env
	}
}

// sameBytes wants a block to be what we make of its variables.
func (b *bench) sameBytes(tool string, block []byte, want Env, header Header, flags, pad byte) {
	b.t.Helper()
	e, got, err := Decode(block)
	if err != nil || got != header || !e.Equal(want) {
		b.t.Fatalf("%s: %v, header %d, %s", tool, err, got, difference(e, want))
	}
	if again, err := e.Encode(len(block), header, flags, pad); err != nil || !bytes.Equal(again, block) {
		b.t.Fatalf("%s: encoded again to other bytes, %v", tool, err)
	}
}

// sameBytesAsSetenv compares what fw_setenv wrote with what we make of it. It
// does not initialize its padding (libuboot_env_store of 0.3.2), which as a
// rule has parts of the older list in it. So the list is always compared, and
// the rest where the padding is of one kind.
func (b *bench) sameBytesAsSetenv(i int, place Place, got Copy) {
	b.t.Helper()
	b.setenvs++
	offset := int64(0)
	if got.From == Second {
		offset = place.Second
	}
	block := b.read("disk")[offset : offset+place.Size]
	again := encoded(b.t, got.Env, len(block), got.Header, got.Flags, got.Padding)
	list := bytes.TrimRight(again[got.Header:], string([]byte{got.Padding}))
	if !bytes.HasPrefix(block[got.Header:], list) {
		b.t.Fatalf("environment %d: fw_setenv wrote another list", i)
	}
	if rest := block[int(got.Header)+len(list):]; len(bytes.Trim(rest, string([]byte{got.Padding}))) > 0 {
		return
	}
	if b.whole++; !bytes.Equal(again, block) {
		b.t.Fatalf("environment %d: fw_setenv's environment is encoded again to other bytes", i)
	}
}

func (b *bench) mkenvimage(e Env, size int64, pad byte, args ...string) []byte {
	b.t.Helper()
	b.write("text", []byte(strings.Join(lines(e), "\n")+"\n"))
	b.run("mkenvimage", append(args, "-s", fmt.Sprint(size), "-p", fmt.Sprint(pad), "-o", b.path("made"), b.path("text"))...)
	return b.read("made")
}

func (b *bench) config(place Place) {
	text := fmt.Sprintf("%s %#x %#x\n", b.path("disk"), place.Offset, place.Size)
	if place.isPair() {
		text += fmt.Sprintf("%s %#x %#x\n", b.path("disk"), place.Second, place.Size)
	}
	b.write("config", []byte(text))
}

// printed is what fw_printenv says.
func (b *bench) printed(i int) Env {
	b.t.Helper()
	var e Env
	for line := range bytes.Lines(b.run("fw_printenv", "-c", b.path("config"))) {
		name, value, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), "=")
		if err := e.Set(name, value); err != nil {
			b.t.Fatalf("environment %d: fw_printenv: %v", i, err)
		}
	}
	return e
}

func (b *bench) wantPrinted(i int, when string, want Env) {
	b.t.Helper()
	if got := b.printed(i); !sameVariables(got, want) {
		b.t.Fatalf("environment %d, %s: fw_printenv: %s", i, when, difference(got, want))
	}
}

// setenv lets fw_setenv make one environment of another.
func (b *bench) setenv(from, to Env) {
	b.t.Helper()
	var script []string
	for _, name := range from.Names() {
		if _, keep := to.Get(name); !keep {
			script = append(script, name+"=\n")
		}
	}
	for _, line := range lines(to) {
		script = append(script, line+"\n")
	}
	b.write("script", []byte(strings.Join(script, "")))
	b.run("fw_setenv", "-c", b.path("config"), "-s", b.path("script"))
}

func (b *bench) run(name string, args ...string) []byte {
	b.t.Helper()
	var complaint bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", name, err, &complaint)
	}
	return out
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) write(name string, content []byte) {
	b.t.Helper()
	if err := os.WriteFile(b.path(name), content, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) read(name string) []byte {
	b.t.Helper()
	content, err := os.ReadFile(b.path(name))
	if err != nil {
		b.t.Fatal(err)
	}
	return content
}

// disk is the file with the environment, as a Device.
func (b *bench) disk() Device { return imageFile{b} }

type imageFile struct{ b *bench }

func (f imageFile) ReadAt(into []byte, offset int64) (int, error) {
	return bytes.NewReader(f.b.read("disk")).ReadAt(into, offset)
}

func (f imageFile) WriteAt(from []byte, offset int64) (int, error) {
	content := f.b.read("disk")
	n := copy(content[offset:], from)
	f.b.write("disk", content)
	return n, nil
}

func (f imageFile) Sync() error { return nil }

func (f imageFile) Size() (int64, error) { return int64(len(f.b.read("disk"))), nil }

// sameVariables compares as maps: fw_setenv sorts.
func sameVariables(a, b Env) bool {
	x, y := lines(a), lines(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// difference names the variables that only one of two environments has.
func difference(got, want Env) string {
	only := func(a, b Env) []string {
		have := lines(b)
		return slices.DeleteFunc(lines(a), func(line string) bool { return slices.Contains(have, line) })
	}
	return fmt.Sprintf("there are %q and should be %q", only(got, want), only(want, got))
}

func lines(e Env) (lines []string) {
	for _, name := range e.Names() {
		value, _ := e.Get(name)
		lines = append(lines, name+"="+value)
	}
	return lines
}

func (b *bench) size() int64 {
	sizes := []int64{0x200, 0x1000, 0x2000, 0x3000, 0x4000, 0x4000, 0x4000, 0x20000}
	return sizes[b.random.IntN(len(sizes))]
}

// env is an environment of at most so many bytes. Not in it is what a tool has
// its own syntax for: line ends, a backslash at the end of a line (mkenvimage),
// .flags and a line of more than 2 KiB (libubootenv).
func (b *bench) env(most int) Env {
	var e Env
	for _, line := range []string{"BOOT_ORDER=A B", "BOOT_A_LEFT=3", "BOOT_B_LEFT=a"} {
		name, value, _ := strings.Cut(line, "=")
		b.set(&e, name, value)
	}
	for n, used := b.random.IntN(40), 64; n > 0; n-- {
		name, value := b.name(), b.value(false)
		if used += len(name) + len(value) + 2; used > most {
			break
		}
		b.set(&e, name, value)
	}
	return e
}

// change is the environment with some variables changed, gone and new.
func (b *bench) change(e Env) Env {
	b.set(&e, "BOOT_A_LEFT", fmt.Sprintf("%x", b.random.IntN(100)+100))
	for _, name := range e.Names() {
		old, _ := e.Get(name)
		switch b.random.IntN(6) {
		case 0:
			e.Unset(name)
		case 1:
			if value := b.value(true); len(value) <= len(old) {
				b.set(&e, name, value)
			}
		}
		if old == "" { // fw_setenv cannot set what is empty
			e.Unset(name)
		}
	}
	b.set(&e, b.name(), "new")
	b.set(&e, "step", fmt.Sprint(b.random.Uint32()))
	return e
}

func (b *bench) set(e *Env, name, value string) {
	b.t.Helper()
	if err := e.Set(name, value); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) name() string {
	const first = "ABCZaz_019-/\\\"'$\x80\xff."
	name := string(first[b.random.IntN(len(first)-1)])
	for range b.random.IntN(12) {
		name += string([]byte{(first + " \t#")[b.random.IntN(len(first)+3)]})
	}
	return name
}

func (b *bench) value(some bool) string {
	length := b.random.IntN(20)
	if b.random.IntN(8) == 0 {
		length = b.random.IntN(900)
	}
	var value []byte
	for range length {
		value = append(value, byte(1+b.random.IntN(255)))
	}
	value = bytes.ReplaceAll(bytes.ReplaceAll(value, []byte{'\n'}, []byte{'='}), []byte{'\r'}, []byte{' '})
	if some {
		value = append(value, 'x')
	}
	return strings.TrimRight(string(value), "\\")
}
