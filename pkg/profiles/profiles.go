// Package profiles is what init and minosctl have to agree on about the layout
// profiles: the names on its btrfs, which names are valid, and which profile
// starts over which base, with the reason in words. It is pure.
//
//	@base/1.0                        a base: a root filesystem, a read-only subvolume
//	@base/current                    a link to the base of profiles without a pin
//	@profiles/desk/upper             what a profile has written: one subvolume with both
//	@profiles/desk/upper/root        the upper of the overlay
//	@profiles/desk/upper/work        its work directory
//	@profiles/desk/base              the pin: the version of its base, on one line
//	@profiles/desk/profile.json      what people want to know of it
//	@profiles/desk/snapshots/TAG     the upper as it was, a read-only subvolume
//	@profiles/next                   the profile of the next boot alone, on one line
//	@pristine/desk                   the upper as it was shipped, a read-only subvolume
//	@data                            what all profiles share
//
// All paths are relative to the top level of the filesystem, the subvolume 5. A
// name that begins with TempPrefix is half-made, or thrown away: no boot looks at
// it, and the next verb of minosctl removes it.
package profiles

import "path"

// Directories and files of the top level.
const (
	BaseDir     = "@base"
	ProfilesDir = "@profiles"
	PristineDir = "@pristine"
	DataDir     = "@data"
	CurrentLink = BaseDir + "/current"
	NextFile    = ProfilesDir + "/next"
	// TempPrefix begins the names of what is not whole.
	TempPrefix = ".tmp-"
)

// Names in the directory of a profile, and in its upper.
const (
	UpperName     = "upper"
	RootName      = "root"
	WorkName      = "work"
	PinName       = "base"
	MetadataName  = "profile.json"
	SnapshotsName = "snapshots"
)

// Where init mounts the top level of the device's own filesystem and of the
// card's. By which labels it knows them says config.DefaultProfiles.
const (
	TopLevel     = "/run/initramfs/profiles"
	CardTopLevel = "/run/initramfs/profiles-sd"
)

// Dir is where the base is.
func (v Version) Dir() string { return path.Join(BaseDir, string(v)) }

// Dir is where all of the profile is.
func (id ID) Dir() string { return path.Join(ProfilesDir, string(id)) }

// Upper is the subvolume with what the profile has written.
func (id ID) Upper() string { return path.Join(id.Dir(), UpperName) }

// Root is the upper of the overlay.
func (id ID) Root() string { return path.Join(id.Upper(), RootName) }

// Work is the work directory of the overlay.
func (id ID) Work() string { return path.Join(id.Upper(), WorkName) }

// Pin is the file with the version of the profile's base. Without it the profile
// goes along with what is current.
func (id ID) Pin() string { return path.Join(id.Dir(), PinName) }

// Metadata is the file that Metadata describes.
func (id ID) Metadata() string { return path.Join(id.Dir(), MetadataName) }

// Snapshots is the directory of the profile's snapshots.
func (id ID) Snapshots() string { return path.Join(id.Dir(), SnapshotsName) }

// Snapshot is the upper as it was.
func (id ID) Snapshot(tag Tag) string { return path.Join(id.Snapshots(), string(tag)) }

// Pristine is the upper as it was shipped.
func (id ID) Pristine() string { return path.Join(PristineDir, string(id)) }
