//go:build faults

package ubootenv

// PlantedFault is the name of the bug that a build for the tests is to have:
// "primary-before-shadow", or none. A test that cuts the power has to find it.
var PlantedFault string

// shadowFirst is the order of the writes, or the wrong one.
func shadowFirst(place Place) []int64 {
	if PlantedFault == "primary-before-shadow" {
		return []int64{place.Offset, place.Shadow}
	}
	return []int64{place.Shadow, place.Offset}
}
