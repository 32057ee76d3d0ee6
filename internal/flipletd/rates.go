package flipletd

import "time"

// Rate is how the requests of one second were answered.
type Rate struct {
	Second  time.Time // of their arrival
	OK      int       // up to 399
	Refused int       // 400 to 499 but 429
	TooMany int       // 429
	Failed  int       // 500 and above, and connections that were dropped
}

// keptSeconds bounds how far back rates go.
const keptSeconds = 300

// rates counts requests per second in a ring: the place of a second is taken by the one
// five minutes later. Guarded by the lock of the log.
type rates [keptSeconds]struct {
	second int64
	counts [4]int
}

func (r *rates) count(arrived time.Time, status int) {
	second := arrived.Unix()
	slot := &r[uint64(second)%keptSeconds] //nolint:gosec // G115: any place will do for a time before 1970
	if slot.second != second {
		slot.second, slot.counts = second, [4]int{}
	}
	slot.counts[class(status)]++
}

func class(status int) int {
	switch {
	case status == 429:
		return 2
	case status == 0 || status >= 500:
		return 3
	case status >= 400:
		return 1
	}
	return 0
}

// last returns n seconds up to now, which is the last of them.
func (r *rates) last(now time.Time, n int) []Rate {
	out := make([]Rate, 0, min(max(n, 0), keptSeconds))
	for i := range cap(out) {
		second := now.Unix() - int64(cap(out)-1-i)
		rate := Rate{Second: time.Unix(second, 0).UTC()}
		if slot := r[uint64(second)%keptSeconds]; slot.second == second { //nolint:gosec // G115: as above
			rate.OK, rate.Refused, rate.TooMany, rate.Failed = slot.counts[0], slot.counts[1], slot.counts[2], slot.counts[3]
		}
		out = append(out, rate)
	}
	return out
}
