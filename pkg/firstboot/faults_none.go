//go:build !faults

package firstboot

// removesEarly is false: only a build for the tests has faults.
func removesEarly() bool { return false }
