package firstboot

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// credentialDir is where systemd takes credentials from an initramfs (since
// 254; systemd.system-credentials(7)). It moves them to a place of its own.
const credentialDir = "/run/credentials/@initrd"

// writeCredential leaves a credential for systemd, in memory.
func writeCredential(k sys.Kernel, name string, data []byte) error {
	if err := mount.MkdirAll(k, path.Dir(credentialDir)); err != nil {
		return err
	}
	if err := k.Mkdir(credentialDir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return k.WriteFile(path.Join(credentialDir, name), data, 0o400)
}

// Credentials gives systemd the files of a directory on the boot partition as
// credentials: ssh.authorized_keys.root, passwd.hashed-password.root and the
// like. They stay on the card, and are given in each boot.
type Credentials struct {
	Dir string // that holds them; it may be missing
}

// systemd takes no more than this (CREDENTIAL_SIZE_MAX and
// CREDENTIALS_TOTAL_SIZE_MAX of its creds-util.h), in bytes.
const (
	longestCredential = 1 << 20
	allCredentials    = 1 << 20
)

// checkCredential says why systemd would not take a credential with this name
// and size, when left bytes may still come; "" when it would.
func checkCredential(name string, info sys.FileInfo, left int64) string {
	switch {
	case strings.HasPrefix(name, "."):
		return "its name begins with a dot"
	case len(name) > 255, strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' || r == ':' }):
		return "a name has up to 255 characters of ASCII, and no colon"
	case name == "system.machine_id":
		return "the machine-id comes from /data"
	case !info.Mode.IsRegular():
		return "it is not a file"
	case info.Size > longestCredential:
		return fmt.Sprintf("it has %d bytes, and systemd takes %d", info.Size, longestCredential)
	case info.Size > left:
		return fmt.Sprintf("together they have more than the %d bytes that systemd takes", allCredentials)
	}
	return ""
}

// Apply implements mount.Action. A file that systemd would not take is told of,
// and the others are given.
func (c Credentials) Apply(env mount.Env) error {
	k, left := env.Kernel, int64(allCredentials)
	names, err := k.ReadDir(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		info, err := k.Lstat(path.Join(c.Dir, name))
		if err != nil {
			return err
		}
		if why := checkCredential(name, info, left); why != "" {
			env.Say(fmt.Sprintf("systemd does not get the credential %q of the boot partition, ignoring: %s", name, why))
			continue
		}
		data, err := k.ReadFile(path.Join(c.Dir, name))
		if err != nil {
			return err
		}
		if strings.Contains(string(data), "\r\n") {
			env.Say(fmt.Sprintf("the credential %q of the boot partition has lines that end as those of Windows do, ignoring: that systemd may not understand it", name))
		}
		if err := writeCredential(k, name, data); err != nil {
			return err
		}
		left -= int64(len(data))
	}
	return nil
}

// Undo implements mount.Action.
func (c Credentials) Undo(mount.Env) error { return nil }

func (c Credentials) String() string { return "give systemd the credentials of " + c.Dir }
