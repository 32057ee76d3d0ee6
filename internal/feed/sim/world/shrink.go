package world

import "slices"

// Shrink drops the steps of a failing story that its violation does not need.
func (r *Runner) Shrink(s *Story) *Violation {
	worst := r.Play(s)
	if worst == nil {
		return nil
	}
	steps := slices.Clone(s.Steps)
	try := func(candidate []Step) bool {
		s.Steps = candidate
		if v := r.Play(s); v != nil && v.Rule == worst.Rule {
			worst, steps = v, candidate
			return true
		}
		return false
	}
	for again := true; again; {
		again = false
		for size := max(1, len(steps)/2); size > 0; size /= 2 {
			for at := 0; at+size <= len(steps); {
				if try(slices.Delete(slices.Clone(steps), at, at+size)) {
					again = true
				} else {
					at++
				}
			}
		}
		for i := range steps {
			for _, smaller := range simpler(steps[i]) {
				candidate := slices.Clone(steps)
				candidate[i] = smaller
				if try(candidate) {
					again = true
					break
				}
			}
		}
	}
	s.Steps = steps
	return worst
}

// simpler returns a step with less in it.
func simpler(x Step) (out []Step) {
	y := x
	switch x.Op {
	case Send, Import, Edit, Drain:
		if x.B > 1 {
			y.B--
			out = append(out, y)
			y = x
		}
	case Poke, Wait, Run:
		if x.A > 1 {
			y.A--
			out = append(out, y)
			y = x
		}
	}
	if x.D > 0 && x.Op != Pass {
		y.D = 0
		out = append(out, y)
	}
	return out
}
