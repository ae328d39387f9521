package modset

import (
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// lock is what is between the file of an encrypted session and its filesystem: a
// LUKS2 volume, that the set's own cryptsetup makes and opens.
type lock struct {
	image OpenImage
	key   []byte // once it is known
	made  bool   // the volume is there
}

const (
	// dmCrypt is the kernel's module of encrypted volumes. The image names it as
	// it names those of filesystems.
	dmCrypt = "dm_crypt"
	// mapping is the name of the open volume.
	mapping = "minos-session"
	// keyTries is how often somebody may type a passphrase, and keyTime how long
	// that may take: nobody at the console costs a boot one of them.
	keyTries = 3
	keyTime  = time.Minute
	// cryptTime is how long cryptsetup may take. A slow machine works for seconds on
	// a key, so that nobody can try many.
	cryptTime = 3 * time.Minute
	// wrongKey is cryptsetup's exit status when the key does not fit
	// (cryptsetup(8)).
	wrongKey = 2
)

// errLocked is why an encrypted session is not used: nothing that is not encrypted
// takes its place.
var errLocked = errors.New("the session stays locked")

// choose finds out the key of a new session: it is in a file, or typed twice.
func (l *lock) choose(env mount.Env) error {
	if l.image.Mode != Luks || l.readKey(env) {
		return nil
	}
	for range keyTries {
		first, err := l.ask(env, fmt.Sprintf("A passphrase for the new session %s: ", l.image.Number))
		if err != nil {
			return err
		}
		again, err := l.ask(env, "The same once more: ")
		if err != nil {
			return err
		}
		if string(first) == string(again) && len(first) > 0 {
			l.key = first
			return nil
		}
	}
	return fmt.Errorf("%w: there is no passphrase, or another one the second time", errLocked)
}

// readKey reads the key where it is kept. Without that somebody can type it.
func (l *lock) readKey(env mount.Env) bool {
	if l.image.Key == nil {
		return false
	}
	key, err := l.image.Key()
	if err != nil {
		env.Say(fmt.Sprintf("somebody has to type the passphrase of session %s, ignoring: %v", l.image.Number, err))
		return false
	}
	l.key = key
	return true
}

// ask has somebody type a passphrase, which does not show.
func (l *lock) ask(env mount.Env, text string) ([]byte, error) {
	answer, err := env.Kernel.Ask(sys.Question{Text: "\n" + text, Hidden: true, Limit: keyTime})
	if errors.Is(err, sys.ErrTimeout) {
		err = fmt.Errorf("nobody has typed a passphrase within %v", keyTime)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLocked, err)
	}
	return []byte(answer), nil
}

// opened opens the volume on a device for as long as use needs it, or what use has
// mounted. It makes the volume first where there is none.
func (l *lock) opened(env mount.Env, device string, use func(device string) error) error {
	if err := env.Modules.Filesystem(dmCrypt); err != nil {
		return err
	}
	if l.image.Create && !l.made {
		if err := l.run(env, "luksFormat", "--type", "luks2", "--batch-mode", device); err != nil {
			return err
		}
		l.made = true
	}
	if err := l.unlock(env, device); err != nil {
		return err
	}
	err := use("/dev/mapper/" + mapping)
	// Deferred: it goes with its last user, so that the way out needs no
	// cryptsetup.
	if closeErr := l.run(env, "close", "--deferred", mapping); closeErr != nil {
		env.Say(fmt.Sprintf("the volume of session %s stays open, ignoring: %v", l.image.Number, closeErr))
	}
	return err
}

// unlock opens the volume with the key that is known, or that somebody types.
func (l *lock) unlock(env mount.Env, device string) error {
	known := l.key != nil || l.readKey(env)
	for try := 1; ; try++ {
		if !known {
			key, err := l.ask(env, fmt.Sprintf("The passphrase of session %s, %d of %d: ", l.image.Number, try, keyTries))
			if err != nil {
				return err
			}
			l.key = key
		}
		err := error(&keyError{errors.New("the passphrase is empty")})
		if len(l.key) > 0 {
			err = l.run(env, "open", "--type", "luks2", device, mapping)
		}
		if err == nil {
			return nil
		}
		l.key = nil
		if wrong := (*keyError)(nil); !errors.As(err, &wrong) || try == keyTries {
			return fmt.Errorf("%w: %w", errLocked, err)
		}
		if known {
			env.Say(fmt.Sprintf("the key of session %s in its file does not fit, ignoring: %v", l.image.Number, err))
			known, try = false, 0
		}
	}
}

// keyError says that a key does not fit.
type keyError struct{ error }

// run runs cryptsetup. The key is in memory, where nobody but the tool sees it.
func (l *lock) run(env mount.Env, arguments ...string) error {
	k := env.Kernel
	room, err := l.image.Tools.Enter(env, toolsAt, "16m", "cryptsetup")
	if err != nil {
		return err
	}
	defer room.Leave(env)
	room.Environ = []string{"DM_DISABLE_UDEV=1"} // there is no udev that would make the nodes
	if arguments[0] != "close" {
		if err := k.WriteFile(path.Join(room.Tmp, "key"), l.key, 0o600); err != nil {
			return err
		}
		arguments = append(arguments, "--key-file", room.Seen("key"))
	}
	exit, err := room.Run(env, cryptTime, arguments...)
	if err != nil {
		return err
	}
	err = failure("cryptsetup "+arguments[0], exit, 0)
	if exit.Status == wrongKey {
		err = &keyError{err}
	}
	return err
}
