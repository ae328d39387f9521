package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"

	"github.com/minos-os/minos-init/pkg/firstboot"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// keyStore is where the host keys of both slots are, on the data partition.
const keyStore = "config/ssh"

// sshServer is a program that serves SSH, and how it keeps its host keys. Their
// types come in the order in which they are made.
type sshServer struct {
	name      string
	program   string
	generator string // the program that makes a key
	dir       string // where the server looks for its keys
	file      string // of a key, with the type for %s
	types     []string
	public    bool // there is a file with the public half beside each key
}

func sshServers() []sshServer {
	return []sshServer{
		{"OpenSSH", "sshd", "ssh-keygen", "/etc/ssh", "ssh_host_%s_key", []string{"ed25519", "ecdsa", "rsa"}, true},
		{"Dropbear", "dropbear", "dropbearkey", "/etc/dropbear", "dropbear_%s_host_key", []string{"ed25519", "ecdsa", "rsa"}, false},
	}
}

// keygen makes a host key in a file that is not there yet, and where the
// program does so its public half in the same with .pub.
type keygen func(generator, keyType, file string) error

func runKeygen(generator, keyType, file string) error {
	args := []string{"-q", "-t", keyType, "-N", "", "-f", file}
	if generator == "dropbearkey" {
		args = []string{"-t", keyType, "-f", file}
	}
	out, err := exec.Command(generator, args...).CombinedOutput()
	if err != nil && len(out) > 0 {
		return fmt.Errorf("%s -t %s: %w: %s", generator, keyType, err, bytes.TrimSpace(out))
	}
	return err
}

// sshKeys makes the host keys of the running slot those of the data partition.
// They are copied, and the server's configuration stays as it is: a server whose
// keys were on /data alone would not start in a boot without it, which is when
// somebody has to log in.
func (c *call) sshKeys() error {
	const what = "cannot keep the SSH host keys on %s: %w"
	running, err := c.host.running()
	if err != nil {
		return fmt.Errorf(what, dataDir, err)
	}
	keys := hostKeys{kernel: c.host.kernel, keygen: c.host.keygen, data: c.host.path(dataDir), warn: c.warn}
	if running.Boot != nil && running.Boot.Overlay.Upper != "" {
		keys.upper = c.host.path(running.Boot.Overlay.Upper)
	}
	served := false
	for _, server := range sshServers() {
		if !c.host.has(server.program) {
			continue
		}
		served = true
		if err := keys.keep(server, c.host.path(server.dir)); err != nil {
			return fmt.Errorf(what, dataDir, err)
		}
	}
	if !served {
		c.say("There is no SSH server here.")
	}
	return nil
}

// has tells whether a program of the system is installed.
func (h host) has(program string) bool {
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if _, err := os.Stat(h.path(path.Join(dir, program))); err == nil {
			return true
		}
	}
	return false
}

// hostKeys are the host keys of a device.
type hostKeys struct {
	kernel sys.Kernel
	keygen keygen
	data   string // where the data partition is mounted
	upper  string // of the running slot's overlay, "" when it is not known
	warn   func(format string, args ...any)
}

// keep makes the keys that a server finds in dir those of the data partition.
func (h hostKeys) keep(s sshServer, dir string) error {
	if err := firstboot.MakeDirs(h.kernel, h.data, path.Dir(keyStore)); err != nil {
		return err
	}
	if err := mount.MkdirAll(h.kernel, dir); err != nil {
		return err
	}
	store := path.Join(h.data, keyStore)
	if _, err := h.kernel.Lstat(store); errors.Is(err, fs.ErrNotExist) {
		if err := h.kernel.Mkdir(store, 0o700); err != nil {
			return err
		}
		if err := h.kernel.Fsync(path.Dir(store)); err != nil {
			return err
		}
	}
	have := 0
	for _, keyType := range s.types {
		name := fmt.Sprintf(s.file, keyType)
		if !h.whole(store, name, s.public) {
			if err := h.obtain(s, keyType, store, name); err != nil {
				// A server may be built without a type.
				h.warn("there is no %s key for %s, ignoring: %v", keyType, s.name, err)
				continue
			}
		}
		if err := h.copyKey(store, dir, name, s.public); err != nil {
			return err
		}
		have++
	}
	if have == 0 {
		return fmt.Errorf("%s gets no key at all", s.name)
	}
	return nil
}

// whole tells whether a directory has a key that was not cut short. The private
// half is written last.
func (h hostKeys) whole(dir, name string, public bool) bool {
	key, err := h.kernel.ReadFile(path.Join(dir, name))
	if err != nil || len(key) < 32 { // the smallest, Dropbear's ed25519, has 83 bytes
		return false
	}
	if !public {
		return true
	}
	pub, err := h.kernel.ReadFile(path.Join(dir, name+".pub"))
	return err == nil && bytes.HasSuffix(pub, []byte("\n")) && bytes.HasPrefix(key, []byte("-----BEGIN ")) &&
		bytes.HasSuffix(bytes.TrimRight(key, "\n"), []byte("-----"))
}

// obtain puts a key into the store: one that an earlier boot has made in this
// slot, else a new one. Keys of the image itself are not taken, since each
// device that was written from it would have the same.
func (h hostKeys) obtain(s sshServer, keyType, store, name string) error {
	if made := path.Join(h.upper, s.dir); h.upper != "" && h.whole(made, name, s.public) {
		return h.copyKey(made, store, name, s.public)
	}
	const fresh = "new-"
	for _, half := range halves(fresh+name, s.public) {
		if err := h.kernel.Remove(path.Join(store, half)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := h.keygen(s.generator, keyType, path.Join(store, fresh+name)); err != nil {
		return err
	}
	for _, half := range halves(name, s.public) {
		if err := h.kernel.Fsync(path.Join(store, fresh+half)); err != nil {
			return err
		}
		if err := h.kernel.Rename(path.Join(store, fresh+half), path.Join(store, half)); err != nil {
			return err
		}
		// Each for itself: the halves of two keys are not to meet after a cut.
		if err := h.kernel.Fsync(store); err != nil {
			return err
		}
	}
	return nil
}

// copyKey makes a key in one directory that of another.
func (h hostKeys) copyKey(from, to, name string, public bool) error {
	for _, half := range halves(name, public) {
		want, err := h.kernel.ReadFile(path.Join(from, half))
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o600)
		if strings.HasSuffix(half, ".pub") {
			mode = 0o644
		}
		file := path.Join(to, half)
		got, err := h.kernel.ReadFile(file)
		if info, statErr := h.kernel.Lstat(file); err == nil && statErr == nil && info.Mode == mode && bytes.Equal(got, want) {
			continue
		}
		if err := mount.ReplaceFile(h.kernel, file, want, mode); err != nil {
			return err
		}
	}
	return nil
}

// halves are the files of a key, the private one last.
func halves(name string, public bool) []string {
	if public {
		return []string{name + ".pub", name}
	}
	return []string{name}
}
