package main

// smallest looks for a plainer disk that fails as well as the given one, with few
// tries: plain prefixes first, the fewest writes first. What it returns has
// been seen to fail; that nothing smaller does is only likely, since it halves
// the distance each time. all is in the order of images.
func smallest(failing image, all []image, fails func(image) (bool, error)) (image, error) {
	for _, k := range kinds() {
		var smaller []image
		for _, i := range all {
			if c := i.plainest(); c.kind == k && byPlainness(c, failing.plainest()) < 0 && c.writes <= failing.plainest().writes {
				smaller = append(smaller, i)
			}
		}
		found, ok, err := halve(smaller, fails)
		if ok || err != nil {
			return found, err
		}
	}
	return failing, nil
}

// halve finds the first of a list that fails, when all behind it do. When the
// last does not fail, none is looked for.
func halve(list []image, fails func(image) (bool, error)) (found image, ok bool, err error) {
	if len(list) == 0 {
		return found, false, nil
	}
	found = list[len(list)-1]
	if ok, err = fails(found); !ok || err != nil {
		return found, ok, err
	}
	low, high := 0, len(list)-1 // high fails
	for low < high {
		middle := (low + high) / 2
		bad, err := fails(list[middle])
		if err != nil {
			return found, true, err
		}
		if bad {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return list[high], true, nil
}
