package fleet

import "time"

// byJoins plans reads by outer joins, and by itself what is too large for one.
type byJoins struct{}

func (byJoins) Plan(now time.Time, v *View) (Request, bool) {
	if r, ok := v.ReadLarge(now); ok {
		return r, ok
	}
	return v.Look(now, nil)
}

// lister reads the list of conversations from time to time.
type lister struct {
	every time.Duration
	next  time.Time
}

func (l *lister) Index(time.Time) (Request, time.Time) { return Request{Kind: List}, l.next }

func (l *lister) Indexed(now time.Time, _ Request, a Answer, err error, v *View) {
	if l.next = now.Add(l.every); err != nil {
		l.next = now.Add(min(l.every, 2*time.Second))
		return
	}
	v.List(now, a.Listed)
}
