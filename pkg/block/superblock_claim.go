package block

import "hash/crc32"

// ClaimType is the Type of a partition that init has proved to be nobody's and
// is about to make a filesystem on.
const ClaimType = "minos-claim"

// ClaimSize is the length of a claim in bytes, at the start of the partition:
// one sector, which is on the medium whole or not at all. ext4 leaves the first
// 1024 bytes to others.
const ClaimSize = 512

const (
	claimMagic   = "MINOSfmt"
	claimVersion = 1
	claimStale   = 0x1 // a flag
	claimSum     = ClaimSize - 4
)

// Claim is what is written to a partition before anything else of a new
// filesystem, and cleared when that is whole: the one thing that tells a
// filesystem whose making was cut short from somebody's damaged one.
type Claim struct {
	// Start is where the partition begins on its disk, in bytes. A claim that was
	// copied to another place is none.
	Start int64
	// Stale says that the partition held the header of a filesystem that did not
	// fit into it, and that somebody asked for it to be replaced.
	Stale bool
	// Replaces is the UUID of that filesystem, when it was an ext4; "" for none.
	Replaces string
}

// Encode returns the sector.
func (c Claim) Encode() []byte {
	b := make([]byte, ClaimSize)
	copy(b, claimMagic)
	le.PutUint32(b[8:], claimVersion)
	if c.Stale {
		le.PutUint32(b[12:], claimStale)
	}
	le.PutUint64(b[16:], uint64(c.Start))
	copy(b[24:60], c.Replaces)
	le.PutUint32(b[claimSum:], crc32.Checksum(b[:claimSum], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// ParseClaim reads the first sector of a partition. It is false for anything
// that is not a whole claim of this version.
func ParseClaim(b []byte) (Claim, bool) {
	if len(b) < ClaimSize || string(b[:8]) != claimMagic || le.Uint32(b[8:]) != claimVersion ||
		le.Uint32(b[claimSum:]) != crc32.Checksum(b[:claimSum], crc32.MakeTable(crc32.Castagnoli)) {
		return Claim{}, false
	}
	return Claim{
		Start:    int64(le.Uint64(b[16:])),
		Stale:    le.Uint32(b[12:])&claimStale != 0,
		Replaces: labelText(b[24:60]),
	}, true
}

func parseClaim(head []byte) (Superblock, bool) {
	_, ok := ParseClaim(head)
	return Superblock{Type: ClaimType}, ok
}
