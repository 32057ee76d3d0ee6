package fleet

import (
	"cmp"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// Reason says why a conversation is to be read. Lower ones come first.
type Reason uint8

const (
	// Sent: this process has sent a message to it.
	Sent Reason = iota
	// Rest: a read of it was not complete.
	Rest
	// Rung: a bell has named it, which proves nothing.
	Rung
	// Listed: the index shows that it has changed.
	Listed
	// Doubted: a bell has named it whose last ones brought nothing.
	Doubted
	// Again: it was read so soon after a sign that the row may not have been visible.
	Again
	// Swept: nothing was heard of it for long.
	Swept

	reasons = int(Swept) + 1
	clean   = Reason(reasons)
)

// conv is one conversation.
type conv struct {
	id    int64
	users []int32 // who is in it, as numbers of the directory
	track track

	reason   Reason // clean: none
	after    Reason // what came while it was being read
	flying   bool
	since    time.Time // when it became dirty
	again    time.Time // when it is read again although nothing may have happened
	read     time.Time // when the last complete read of it was asked for
	until    feed.Time // up to when it was read for certain, by the server's clock
	whole    feed.Time // the same, by itself and not across
	sure     feed.Time // when a list that says who is in it was asked for last
	asleep   time.Time // until when it is not read, since its reads fail
	fails    uint8
	looks    uint8     // in vain, since a sign was seen
	vain     uint8     // bells in a row that brought nothing
	sign     Reason    // why it was taken last
	most     uint8     // with how many others it is read at most, 0: any number
	extra    int       // rows that are asked for beyond those that are remembered
	told     feed.Time // its latest time of change in the list
	shown    feed.Time // that in the last list
	ahead    bool      // it was in the future then
	checked  feed.Time // the same, when it was last read with deletions
	doubtful bool      // it waits for such a read
	begun    feed.Time // where reads of it have begun
	dug      feed.Key  // up to where deletions were looked for
	listed   int       // the last list that it was in
}

// limit is how many of its newest rows are asked for: those that are known and not
// settled, one that is, and some that may be new.
func (c *conv) limit() int { return min(len(c.track.seen)+2+c.extra, mostRows) }

// Dirty is the set of conversations, with those first that are to be read.
type Dirty struct {
	convs map[int64]*conv
	// queues have conversations in the order in which they became dirty. Those whose reason
	// has changed since are skipped.
	queues [reasons][]*conv
	count  [reasons]int
	ring   []*conv // all, in the order of a hash, so that a sweep meets no pattern
	hand   int     // where the sweep is
	order  bool    // the ring is in order
	// again are those with a time for another look, in order of it: after a sign without a
	// row, and after a row, behind which an earlier one may become visible.
	again [2][]*conv
}

func newDirty() *Dirty { return &Dirty{convs: map[int64]*conv{}} }

// spread is the place of a conversation in the sweep.
func spread(id int64) uint64 {
	h := uint64(id) * 0x9e3779b97f4a7c15 //nolint:gosec // any bits will do
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h ^ h>>32
}

func (d *Dirty) add(id int64) *conv {
	c := &conv{id: id, reason: clean, after: clean, extra: 1}
	d.convs[id] = c
	d.ring, d.order = append(d.ring, c), false
	return c
}

// keep removes all conversations but those that fn wants, and returns the others.
func (d *Dirty) keep(fn func(*conv) bool) (gone []*conv) {
	d.ring = slices.DeleteFunc(d.ring, func(c *conv) bool {
		if fn(c) {
			return false
		}
		gone = append(gone, c)
		return true
	})
	for _, c := range gone {
		d.set(c, clean)
		delete(d.convs, c.id)
	}
	return gone
}

// set changes the reason of a conversation.
func (d *Dirty) set(c *conv, r Reason) {
	if c.reason != clean {
		d.count[c.reason]--
	}
	if c.reason = r; r != clean {
		d.count[r]++
		d.queues[r] = append(d.queues[r], c)
	}
}

// mark makes a conversation dirty, unless it is for a better reason.
func (d *Dirty) mark(c *conv, r Reason, now time.Time) {
	if c.large() {
		r = Rest // it is not read otherwise
	}
	switch {
	case c.flying:
		c.after = min(c.after, r)
	case r < c.reason:
		if c.reason == clean || c.reason >= Again {
			c.since = now
		}
		d.set(c, r)
	}
}

// Waiting is how many conversations are dirty for a reason.
func (d *Dirty) Waiting(r Reason) int { return d.count[r] }

// urgent is how many are dirty for a reason that somebody waits for.
func (d *Dirty) urgent() int { return d.sure() + d.count[Rung] + d.count[Doubted] }

// sure is how many of these are dirty for more than a bell.
func (d *Dirty) sure() int { return d.count[Sent] + d.count[Rest] + d.count[Listed] }

// oldest is the one that has waited longest for a reason.
func (d *Dirty) oldest(r Reason) *conv {
	q := d.queues[r]
	for len(q) > 0 && q[0].reason != r {
		q = q[1:]
	}
	if d.queues[r] = q; len(q) == 0 {
		d.queues[r] = nil
		return nil
	}
	return q[0]
}

// wake makes those dirty whose time for another look has come.
func (d *Dirty) wake(now time.Time) {
	for i := range d.again {
		for len(d.again[i]) > 0 && !now.Before(d.again[i][0].again) {
			c := d.again[i][0]
			d.again[i] = d.again[i][1:]
			c.again = time.Time{}
			d.mark(c, Again, now)
		}
	}
}

// lookAgain notes that a conversation is to be looked at once more.
func (d *Dirty) lookAgain(c *conv, now time.Time, found bool) {
	if !c.again.IsZero() {
		return
	}
	if c.again = now.Add(lookAfter); found {
		c.again = now.Add(settleAfter)
		d.again[1] = append(d.again[1], c)
		return
	}
	d.again[0] = append(d.again[0], c)
}

// take is up to n conversations to read now. fit tells those that can be in this
// request. Every reason that somebody waits for gets a share of the places, and the sweep
// what is left, but an eighth in any case while it is behind.
func (d *Dirty) take(n int, now time.Time, sweep time.Duration, fit func(*conv) bool) []*conv {
	out := make([]*conv, 0, n)
	d.wake(now)
	grab := func(r Reason, most int) {
		out = d.grab(out, r, min(most, n-len(out)), now, fit)
	}
	grab(Sent, n)
	grab(Rest, n)
	left := n - len(out)
	floor := d.overdue(now, 2*sweep, left/8)
	grab(Listed, left/4)
	grab(Rung, n-len(out)-floor-min(d.count[Doubted], left/4))
	grab(Doubted, n-len(out)-floor)
	grab(Rung, n-len(out)-floor)
	grab(Listed, n-len(out)-floor)
	grab(Again, n-len(out)-floor)
	out = d.sweep(out, n, now, sweep, fit)
	grab(Rung, n)
	grab(Doubted, n)
	return out
}

// first is the first conversation that is dirty for a reason and fits.
func (d *Dirty) first(r Reason, now time.Time, fit func(*conv) bool) *conv {
	if d.count[r] == 0 {
		return nil
	}
	if out := d.grab(nil, r, 1, now, fit); len(out) > 0 {
		return out[0]
	}
	return nil
}

// grab takes at most some of those that are dirty for a reason.
func (d *Dirty) grab(out []*conv, r Reason, most int, now time.Time, fit func(*conv) bool) []*conv {
	var skipped []*conv
	for most > 0 {
		c := d.oldest(r)
		if c == nil {
			break
		}
		d.queues[r] = d.queues[r][1:]
		if now.Before(c.asleep) || !fit(c) {
			skipped = append(skipped, c)
			continue
		}
		d.count[r]--
		c.reason = clean
		c.flying, c.after, c.sign = true, clean, r
		out = append(out, c)
		most--
	}
	if len(skipped) > 0 {
		d.queues[r] = append(skipped, d.queues[r]...)
	}
	return out
}

// overdue is how many of the next ones of the sweep, at most n, were not read for a time
// although nobody waits for them.
func (d *Dirty) overdue(now time.Time, age time.Duration, n int) (found int) {
	d.arrange()
	for i := range min(len(d.ring), 8*n) {
		c := d.ring[(d.hand+i)%len(d.ring)]
		if c.reason >= Again && !c.flying && now.Sub(c.read) >= age {
			if found++; found >= n {
				break
			}
		}
	}
	return found
}

// sweep fills places with conversations of which nothing was heard and that were not read
// for half an age. It goes on where it was, and passes only so many that were.
func (d *Dirty) sweep(out []*conv, n int, now time.Time, age time.Duration, fit func(*conv) bool) []*conv {
	d.arrange()
	for range min(len(d.ring), 8*n) {
		if len(out) >= n {
			break
		}
		c := d.ring[d.hand%len(d.ring)]
		d.hand = (d.hand + 1) % len(d.ring)
		if c.flying || c.reason < Again || now.Before(c.asleep) || now.Sub(c.read) < age/2 {
			continue
		}
		if c.large() {
			d.mark(c, Rest, now)
			continue
		}
		if !fit(c) {
			continue
		}
		c.sign = min(c.reason, Swept)
		d.set(c, clean)
		c.flying, c.after, c.since = true, clean, now
		out = append(out, c)
	}
	return out
}

func (d *Dirty) arrange() {
	if !d.order {
		slices.SortFunc(d.ring, func(a, b *conv) int { return cmp.Compare(spread(a.id), spread(b.id)) })
		d.order = true
	}
}

// landed ends the read of a conversation.
func (d *Dirty) landed(c *conv, now time.Time) {
	c.flying = false
	if c.after != clean {
		r := c.after
		c.after = clean
		d.mark(c, r, now)
	}
}
