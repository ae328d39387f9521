package firstboot

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/minos-os/minos-init/pkg/sys"
)

// MachineID is the name of a machine, as machine-id(5) has it: 32 lower-case
// hexadecimal digits, not all of them 0. The zero value is none.
type MachineID string

// ParseMachineID reads an id as systemd reads the one of its kernel command
// line: 32 hexadecimal digits, or those of a UUID with its four dashes.
func ParseMachineID(text string) (MachineID, bool) {
	if len(text) == 36 && text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-' {
		text = strings.ReplaceAll(text, "-", "")
	}
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 16 || strings.Trim(text, "0") == "" {
		return "", false
	}
	return MachineID(strings.ToLower(text)), true
}

// newMachineID makes an id of 16 random bytes. Those of systemd are valid as a
// UUID of version 4, and others rely on it (machine-id(5), RFC 9562 5.4).
func newMachineID(random []byte) MachineID {
	random[6] = random[6]&0x0f | 0x40
	random[8] = random[8]&0x3f | 0x80
	return MachineID(hex.EncodeToString(random))
}

// line is the id as its file has it.
func (id MachineID) line() []byte { return []byte(string(id) + "\n") }

// idFile is what a file with an id was found to be.
type idFile struct {
	there bool
	text  string    // its content, when that is short enough for an id
	id    MachineID // none when it holds something else
	mode  fs.FileMode
	dated int64 // when it was changed, in nanoseconds since 1970
}

// readID looks at a file that may hold an id. Links in the path are followed
// as a process with this root would.
func readID(k sys.Kernel, root, name string) (idFile, error) {
	where, info, err := k.ResolveIn(root, name)
	if errors.Is(err, fs.ErrNotExist) {
		return idFile{}, nil
	}
	if err != nil {
		return idFile{}, err
	}
	found := idFile{there: true, mode: info.Mode, dated: info.Modified}
	const longest = 64
	if !info.Mode.IsRegular() || info.Size > longest {
		return found, nil
	}
	text, err := k.ReadFile(path.Join(root, where))
	if err != nil {
		return idFile{}, err
	}
	found.text = string(text)
	if plain := strings.TrimSuffix(found.text, "\n"); len(plain) == 32 { // a file has no dashes
		found.id, _ = ParseMachineID(plain)
	}
	return found, nil
}
