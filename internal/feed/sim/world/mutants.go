package world

import "github.com/fliplet/fliplet-chat-go/internal/feed"

// Kill plays stories against a defect until one notices it, from a seed on, and
// returns that seed. The violation is nil if none of so many does.
func (r *Runner) Kill(m feed.Mutant, first, seeds uint64) (uint64, *Violation) {
	was := r.Mutant
	defer func() { r.Mutant = was }()
	r.Mutant = m
	var s Story
	for seed := first; seed < first+seeds; seed++ {
		Tell(&s, seed)
		if v := r.Play(&s); v != nil {
			return seed, v
		}
	}
	return 0, nil
}
