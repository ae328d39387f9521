//go:build faults

package ubootenv

import "testing"

// The search for losses finds the planted bug: a shadow that is missing or of
// another time is then all that a cut leaves.
func TestPowerCutFindsThePlantedFault(t *testing.T) {
	PlantedFault = "primary-before-shadow"
	defer func() { PlantedFault = "" }()
	found := 0
	for _, s := range cutScenarios {
		if _, err := s.run(t); err != nil {
			t.Logf("%s: %v", s.name, err)
			found++
		}
	}
	if found < 3 {
		t.Errorf("the planted fault shows in %d scenarios", found)
	}
}
