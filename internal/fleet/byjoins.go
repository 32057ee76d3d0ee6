package fleet

import "time"

// byJoins plans reads by outer joins, and by itself what is too large for one.
type byJoins struct{ alone bool }

func (j *byJoins) Plan(now time.Time, v *View) (Request, bool) {
	if j.alone = !j.alone; j.alone { // one that is lively must not hold up all others
		if r, ok := v.ReadLarge(now); ok {
			return r, ok
		}
	}
	if r, ok := v.Look(now, nil); ok {
		return r, ok
	}
	return v.ReadLarge(now)
}

// lister reads the list of conversations from time to time, and who is in them more
// seldom.
type lister struct {
	every, users time.Duration
	next, whole  time.Time
}

func (l *lister) Index(now time.Time) (Request, time.Time) {
	return Request{Kind: List, Users: !now.Before(l.whole)}, l.next
}

// listEach is how often the list is read where it shows what has changed.
const listEach = 4 * time.Second

// listPart is how many conversations a list may have that is read as often as it should be.
const listPart = 10_000

func (l *lister) Indexed(now time.Time, r Request, a Answer, err error, v *View) {
	if err != nil {
		l.next = now.Add(min(l.every, 2*time.Second))
		return
	}
	v.List(now, a.Listed)
	scale := 1 + float64(max(v.Size()-1, 0)/listPart)
	if l.next = now.Add(times(l.every, scale)); r.Users {
		l.whole = now.Add(times(l.users, scale))
	}
}

func times(d time.Duration, n float64) time.Duration { return time.Duration(float64(d) * n) }
