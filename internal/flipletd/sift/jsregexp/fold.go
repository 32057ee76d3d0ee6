package jsregexp

import "unicode"

// canonical returns how characters are compared without regard to case, or nil
// when case counts. With the u flag that is Unicode's simple folding; without,
// the upper case of the single code unit.
func (fl flags) canonical() func(rune) rune {
	switch {
	case !fl.ignoreCase:
		return nil
	case fl.unicode:
		return simpleFold
	}
	return upperUnit
}

// simpleFold picks one of the characters that fold together.
func simpleFold(r rune) rune {
	if r < 128 && r != 'k' && r != 'K' && r != 's' && r != 'S' {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	least := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		least = min(least, other)
	}
	if 'A' <= least && least <= 'Z' {
		least += 'a' - 'A'
	}
	return least
}

// upperUnit is toUpperCase where that is a single unit, except that nothing
// outside ASCII becomes ASCII.
func upperUnit(r rune) rune {
	if r < 128 {
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}
	if uppersToSeveral(r) {
		return r
	}
	if up := unicode.ToUpper(r); up >= 128 {
		return up
	}
	return r
}

// uppersToSeveral reports the characters whose full upper case is more than
// one character although they have a simple one too: Greek letters with an
// iota below.
func uppersToSeveral(r rune) bool {
	switch {
	case 0x1F80 <= r && r <= 0x1FAF, r == 0xDF:
		return true
	}
	switch r {
	case 0x1FB3, 0x1FBC, 0x1FC3, 0x1FCC, 0x1FF3, 0x1FFC:
		return true
	}
	return false
}
