package fleet

import (
	"math"
	"time"
)

// Failure says why a request has no answer.
type Failure struct {
	// Wait is the wait that the server asked for, or 0.
	Wait time.Duration
	// Refused: the server refuses this very request for good.
	Refused bool
	// User: what it refuses is the user of a query across, and not the query.
	User bool
}

const (
	// acrossAgain is when queries across are tried again that were refused, and those of a user
	// who was.
	acrossAgain = time.Hour
	barredAgain = 10 * time.Minute
	// acrossFails is how many of them in a row fail until they are taken to be refused, while others
	// are answered.
	acrossFails = 5
)

// Fail says that a request has failed. What it was for stays dirty.
func (f *Fleet) Fail(now time.Time, r Request, why Failure, err error) {
	f.stats.Failed++
	f.ended(r)
	// Other requests were answered meanwhile, so it is not the server that is down.
	alone := why.Refused || f.succeeded.After(r.asked)
	// Or the list was, since looks began to fail: then it may be one conversation that spoils them.
	spoilt := r.Kind == Look && len(r.convs) > 1 && !f.unread.IsZero() && f.succeeded.After(f.unread)
	f.failure = why
	if r.Kind.reads() && !(r.Kind == Across && why.Refused) { // which are read in another way
		if f.unreadErr = err; f.unread.IsZero() {
			f.unread = now
		}
	}
	if r.Kind == List || r.Kind == Audit {
		f.strategy.Indexed(now, r, Answer{}, err, &f.view)
	}
	if r.Kind == Audit {
		return // the log has a limit and troubles of its own
	}
	if !alone && !now.Before(f.until) {
		f.fails = min(f.fails+1, 6)
		f.until = now.Add(min(250*time.Millisecond<<f.fails, 10*time.Second))
	}
	if why.Wait > 0 && why.Wait < time.Hour {
		f.until = now.Add(why.Wait)
	}
	switch {
	case !why.Refused:
	case r.Kind == Look:
		f.refused(now, len(r.convs))
	case r.Kind == Across && why.User:
		f.people[r.User].barred = now.Add(barredAgain)
	case r.Kind == Across:
		f.noAcross = now.Add(acrossAgain)
	}
	if r.Kind == Across && !why.Refused && f.succeeded.After(f.acrossAt) {
		if f.acrossAt = now; f.acrossFails+1 < acrossFails {
			f.acrossFails++
		} else {
			f.noAcross, f.acrossFails = now.Add(acrossAgain), 0
		}
	}
	for _, c := range r.convs {
		own := why.Wait == 0 && len(r.convs) == 1 && r.Kind != Across && f.ails(now, c, err)
		if (alone || spoilt || own) && why.Wait == 0 && r.Kind != Across {
			f.suspect(now, c, len(r.convs))
		}
		if r.Kind == Read && !r.dig {
			c.track.drop()
		}
		c.flying = false
		f.dirty.mark(c, min(c.after, c.sign), now)
		c.after = clean
	}
}

// Awake says that the server has answered somebody else, so that nothing waits because it was
// down.
func (f *Fleet) Awake() {
	if f.fails > 0 {
		f.fails, f.until = 0, time.Time{}
	}
}

// refused notes that the server refuses a Look. If it does again and again, the number of
// joins may be why, and in the end that there are any.
func (f *Fleet) refused(now time.Time, size int) {
	if size < 2 || f.batch < 2 {
		return
	}
	if f.refusals++; f.refusals == 1 {
		f.refused1 = now
	}
	switch {
	case f.trial:
		f.NoJoins(now)
	case f.refusals < 3:
	case size > fewJoins:
		f.batch, f.batchEnd, f.refusals = min(f.batch, max(fewJoins, size/2)), now.Add(batchAgain), 0
	case !f.plain.Before(f.refused1): // else it may be all reads that are refused
		f.NoJoins(now)
	}
}

// NoJoins says that the server refuses queries with joins. They are tried again after an hour.
func (f *Fleet) NoJoins(now time.Time) {
	f.batch, f.batchEnd, f.refusals, f.trial = 1, now.Add(batchAgain), 0, false
}

// joined notes that the server has answered a look at some conversations.
func (f *Fleet) joined(now time.Time, size int) {
	if size < 2 {
		f.plain = now
		return
	}
	if f.refusals = 0; f.trial {
		f.trial, f.batch = false, f.cfg.Batch
	}
}

// joins reports whether queries with joins are made, and when that is looked at anew.
func (f *Fleet) joins(now time.Time) (take bool, again time.Time) {
	if f.batch < f.cfg.Batch && !now.Before(f.batchEnd) && !f.trial {
		if f.trial = f.batch == 1; f.trial {
			f.batch = min(fewJoins, f.cfg.Batch)
		} else {
			f.batch = f.cfg.Batch
		}
	}
	return f.batch > 1, f.batchEnd
}

// suspect lets a conversation that may have spoilt a request be read with fewer others, and
// one that fails by itself wait.
func (f *Fleet) suspect(now time.Time, c *conv, size int) {
	if size > 1 {
		c.most = uint8(max(1, math.Round(math.Sqrt(float64(size)))))
		return
	}
	c.fails = min(c.fails+1, 8)
	c.asleep = now.Add(min(time.Second<<c.fails, 5*time.Minute))
}
