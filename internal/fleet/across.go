package fleet

import (
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// A query across is about the conversations that a user is in at that moment. So what it lacks
// is told apart from what did not happen: a conversation is settled by it only up to the last
// list that had the user in it, and only while it shows what the list does.

// acrossOld is how long nobody has asked across for a user until that begins anew, where everything
// was read otherwise.
const acrossOld = 2 * time.Minute

// across is the request for the changes of the conversations of a user.
func (f *Fleet) across(now time.Time, user int32) (Request, bool) {
	p := f.people[user]
	if p == nil || p.flying || len(p.convs) == 0 || now.Before(p.barred) || now.Before(f.noAcross) {
		return Request{}, false
	}
	if p.cursor.at == (feed.Key{}) && now.Sub(p.asked) > acrossOld {
		p.anew()
	}
	if f.wrong(now) && p.steps != f.odd.n && p.cursor.at == (feed.Key{}) { // it goes back to before it has begun
		p.steps, p.begun = f.odd.n, nil
	}
	p.flying, p.asked = true, now
	r := Request{Kind: Across, User: user, After: p.cursor.start(f.reach(now, &p.cursor)), Limit: f.cfg.Page, cursor: &p.cursor}
	if p.begun == nil {
		p.begun = make(map[*conv]feed.Time, len(p.convs))
	}
	for _, c := range p.convs {
		r.convs = append(r.convs, c)
		if _, ok := p.begun[c]; !ok {
			p.begun[c] = r.After.Time
		}
		if !c.flying {
			c.sign = min(c.reason, Swept)
			f.dirty.set(c, clean)
			c.flying, c.after = true, clean
		}
	}
	return r, true
}

// anew lets the cursor go on where each conversation was read by itself.
func (p *person) anew() {
	upto := max(p.convs[0].track.settled, p.convs[0].whole)
	for _, c := range p.convs {
		upto = min(upto, max(c.track.settled, c.whole))
	}
	if upto > p.cursor.settled {
		p.cursor, p.begun = track{}, nil
		p.cursor.begin(upto)
	}
}

func (f *Fleet) takeAcross(now time.Time, r Request, a Answer) {
	rows := group(a.Rows)
	for _, c := range r.convs {
		c.track.hold(rows[c.id], a.Clock, f.late(now, c))
	}
	for i := range a.Rows {
		r.cursor.pos = max(r.cursor.pos, feed.Clamp(a.Rows[i].Updated, a.Clock))
		r.cursor.shown = max(r.cursor.shown, a.Rows[i].Updated)
	}
	if a.Full && a.Last.Compare(r.After) > 0 {
		r.cursor.page(&r, a.Last)
		for _, c := range r.convs {
			if len(c.track.held) > f.cfg.Collect {
				f.append(c, c.track.flush())
			}
			c.flying = false
			f.dirty.mark(c, Rest, now)
			f.landed(now, c, 1)
		}
		return
	}
	p := f.people[r.User]
	f.acrossFails = 0
	r.cursor.whole(&r)
	r.cursor.complete(&r, now, f.cfg.Overlap)
	f.firmed(r, now, r.cursor, a.Clock)
	for _, c := range r.convs {
		begun, in := p.begun[c]
		if !in || f.known(now, &c.track, max(c.track.settled, c.whole)) < begun || c.told > c.track.pos+bump && c.told > c.checked && c.told <= r.clock {
			// It was not in the reads before, or is not in them any more, or they lack what the
			// list shows.
			c.flying = false
			f.dirty.mark(c, Rest, now)
			c.extra = mostRows
			f.landed(now, c, 1)
			continue
		}
		c.track.settle(min(r.cursor.settled, c.sure))
		c.checked = max(c.checked, c.told)
		f.finish(now, r, c)
	}
}
