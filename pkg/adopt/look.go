package adopt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/sys"
)

// look gathers the facts. Where no medium was brought and nothing is left of an
// adoption, it reads the names in one directory and no more; settled tells so.
func (a Adopt) look(k sys.Kernel) (f Facts, settled bool, err error) {
	f.Stranger = a.Stranger
	names, err := k.ReadDir(a.Dir)
	if err != nil {
		return f, false, err
	}
	current := first(a.Names.Current, names)
	source := ""
	if a.Medium.Target != "" {
		brought, err := k.ReadDir(a.Medium.Target)
		if err != nil {
			return f, false, err
		}
		source = first(a.Names.Current, brought)
	}
	partials := a.partials(current, source, names)
	if source == "" && (current != "" || len(partials) == 0) {
		return f, true, nil
	}
	f.Home = home(a.Names, current, source, names)
	f.Aside, f.Temp = a.Names.marked(f.Home, old), a.Names.marked(f.Home, partial)
	if f.Current, err = image(k, a.Dir, current); err != nil {
		return f, false, err
	}
	for _, name := range []string{f.Aside, a.Names.markedElse(f.Home, old)} {
		if i, err := image(k, a.Dir, first([]string{name}, names)); err == nil && i.there() {
			f.Old = append(f.Old, i)
		}
	}
	if f.Partial, err = image(k, a.Dir, first(partials, names)); err != nil {
		return f, false, err
	}
	space, err := k.Statfs(a.Dir)
	if f.Free = space.Free; err != nil || source == "" {
		return f, false, err
	}
	if err := a.lookAtSource(k, source, &f); err != nil {
		// It is not taken; what a cut has left is finished all the same.
		f.Source = Image{Name: source, Bad: err}
	}
	return f, false, nil
}

// lookAtSource takes in what is on the medium.
func (a Adopt) lookAtSource(k sys.Kernel, source string, f *Facts) (err error) {
	if f.Source, err = image(k, a.Medium.Target, source); err != nil || f.Source.Bad != nil {
		return err
	}
	text, err := k.ReadFile(path.Join(a.Medium.Target, source+sumEnding))
	if err == nil {
		f.Sum, f.SumErr = parseSum(text, source)
	} else if !errors.Is(err, fs.ErrNotExist) {
		f.SumErr = err
	}
	for _, i := range []Image{f.Current, f.Partial} {
		if i.whole() && i.Size == f.Source.Size {
			same, err := sameBytes(k, path.Join(a.Dir, i.Name), path.Join(a.Medium.Target, source))
			if err != nil {
				return err
			}
			if same {
				f.Same = i.Name
				break
			}
		}
	}
	return nil
}

// first is the first of the names wanted that is there, "" when none is.
func first(wanted, there []string) string {
	for _, name := range wanted {
		if slices.Contains(there, name) {
			return name
		}
	}
	return ""
}

// partials are the names that what is left of an adoption can have.
func (a Adopt) partials(current, source string, names []string) (found []string) {
	for _, name := range append([]string{current, source}, a.Names.Current...) {
		for _, p := range []string{a.Names.marked(name, partial), a.Names.markedElse(name, partial)} {
			if name != "" && (current == "" || name == current) && slices.Contains(names, p) && !slices.Contains(found, p) {
				found = append(found, p)
			}
		}
	}
	return found
}

// home is the name that the current image has or, where there is none, gets:
// that of a copy which is nearly it, or its name on the medium.
func home(n Names, current, source string, names []string) string {
	if current != "" {
		return current
	}
	for _, name := range n.Current {
		if slices.Contains(names, n.marked(name, partial)) || slices.Contains(names, n.markedElse(name, partial)) {
			return name
		}
	}
	return source
}

// headSize is what tells a squashfs, in bytes.
const headSize = 4096

// image looks at a file; without a name there is none.
func image(k sys.Kernel, dir, name string) (i Image, err error) {
	if name == "" {
		return i, nil
	}
	file := path.Join(dir, name)
	info, err := k.Lstat(file)
	if err != nil {
		return i, err
	}
	i = Image{Name: name, Size: info.Size}
	if !info.Mode.IsRegular() {
		i.Bad = errors.New("it is no regular file")
		return i, nil
	}
	r, err := k.OpenReader(file)
	if err != nil {
		return i, err
	}
	defer r.Close()
	head := make([]byte, headSize)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return i, err
	}
	super, err := block.Probe(bytes.NewReader(head[:n]), int64(n))
	switch {
	case err != nil:
		return i, err
	case super.Type != "squashfs":
		i.Bad = errors.New("it is no squashfs")
	case super.Size > info.Size:
		i.Bad = fmt.Errorf("it has %d bytes, and its superblock says %d", info.Size, super.Size)
	}
	return i, nil
}

// sameBytes compares two files to their ends, or to where they differ.
func sameBytes(k sys.Kernel, one, other string) (bool, error) {
	a, err := k.OpenReader(one)
	if err != nil {
		return false, err
	}
	defer a.Close()
	b, err := k.OpenReader(other)
	if err != nil {
		return false, err
	}
	defer b.Close()
	pieces := [2][]byte{make([]byte, pieceSize), make([]byte, pieceSize)}
	for {
		n, errA := io.ReadFull(a, pieces[0])
		m, errB := io.ReadFull(b, pieces[1])
		for _, err := range []error{errA, errB} {
			if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				return false, err
			}
		}
		if !bytes.Equal(pieces[0][:n], pieces[1][:m]) {
			return false, nil
		}
		if errA != nil {
			return true, nil
		}
	}
}
