//go:build !faults

package ubootenv

// shadowFirst is the order of the writes while the primary copy is good: it is
// overwritten when the shadow is whole.
func shadowFirst(place Place) []int64 { return []int64{place.Shadow, place.Offset} }
