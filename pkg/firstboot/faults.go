//go:build faults

package firstboot

// RemovedBeforeStored is the mistake of an inbox that takes files off the card
// before they are durable where they belong, for PlantedFault.
const RemovedBeforeStored = "removed-before-stored"

// PlantedFault is the mistake to make, "" for none. The builder of images never
// sets the build tag that this is behind: it is for the tests that have to
// find such mistakes.
var PlantedFault string

// removesEarly tells whether the inbox makes it.
func removesEarly() bool { return PlantedFault == RemovedBeforeStored }
