package firstboot

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/minos-os/minos-init/pkg/mount"
)

// matchWish tells whether a file of the card's root is that wish, and what its
// name says behind a "=": WISH, WISH=TEXT, and both as a text of Windows.
func matchWish(wish, file string) (said string, ok bool) {
	if cut := len(file) - len(textSuffix); cut > 0 && strings.EqualFold(file[cut:], textSuffix) {
		file = file[:cut]
	}
	name, said, _ := strings.Cut(file, "=")
	return strings.TrimSpace(said), strings.EqualFold(name, wish)
}

// judgeWish says why a wish that destroys data is not obeyed; nil when it names
// the image that runs here. said is the label that it gives.
func judgeWish(said, label string) error {
	switch {
	case label == "":
		return errors.New("this image has no label, which minos.build= would give it")
	case said == "":
		return fmt.Errorf("it has to say which image it is for, in its text or behind a = in its name: %s", label)
	case said != label:
		return fmt.Errorf("it is for the image %q, and this is %s", said, label)
	}
	return nil
}

// wishes are the files of the card that ask for the reset and may be obeyed.
func (r Reset) wishes(env mount.Env) (files []string) {
	names, err := r.Card.Names()
	if err != nil {
		return nil // the card has no say then
	}
	for _, name := range names {
		said, ok := matchWish(r.Wish, name)
		if !ok {
			continue
		}
		if err := r.obeys(env, name, said); err != nil {
			env.Say(fmt.Sprintf("%s on the boot partition is not obeyed, ignoring: %v", name, err))
			continue
		}
		files = append(files, name)
	}
	return files
}

// obeys looks into a wish.
func (r Reset) obeys(env mount.Env, name, said string) error {
	file := path.Join(r.Card.At, name)
	info, err := env.Kernel.Lstat(file)
	if err != nil {
		return err
	}
	if !info.Mode.IsRegular() {
		return fmt.Errorf("it is no file (%s)", info.Mode)
	}
	if !r.Guarded {
		return nil
	}
	const longest = 1024
	if said == "" && info.Size <= longest {
		text, err := env.Kernel.ReadFile(file)
		if err != nil {
			return err
		}
		said = strings.TrimSpace(strings.TrimPrefix(string(text), "\uFEFF"))
	}
	return judgeWish(said, r.Label)
}

// claim turns wishes into a request on the partition that they are about, and
// removes them from the card. After it the reset is done once, whatever happens:
// a wish that stayed on the card would reset at each boot.
func (r Reset) claim(env mount.Env, files []string) error {
	k := env.Kernel
	if err := r.Card.open(env); err != nil {
		return err
	}
	err := r.request(env)
	for _, name := range files {
		if err == nil {
			err = k.Remove(path.Join(r.Card.At, name))
		}
	}
	return errors.Join(err, r.Card.close(env))
}

// retract takes the request back. Best effort: were it to stay, a later boot
// would do what was asked for.
func (r Reset) retract(env mount.Env) {
	_ = env.Kernel.Remove(path.Join(r.At, RequestName))
	_ = env.Kernel.Fsync(r.At)
}

// request leaves the durable request.
func (r Reset) request(env mount.Env) error {
	file := path.Join(r.At, RequestName)
	if err := env.Kernel.WriteFile(file, nil, 0o600); err != nil {
		return err
	}
	return errors.Join(env.Kernel.Fsync(file), env.Kernel.Fsync(r.At))
}
