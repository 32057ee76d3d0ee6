package hub

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
)

const (
	// contactsEach is how often the contact of a user is looked at.
	contactsEach = 3 * time.Minute
	// contactsAtOnce is how many contacts one request is about.
	contactsAtOnce = 500
	// mostDoubts is how many users make sure after one request. Each does so with requests of
	// its own, and an answer that lacks rows may be wrong.
	mostDoubts = 20
	// doubtsAgain is when the others are looked at again.
	doubtsAgain = 10 * time.Second
)

// lookAtContacts looks whether the contacts of users are still theirs, until ctx ends.
func (h *Hub) lookAtContacts(ctx context.Context) {
	timer := time.NewTimer(contactsEach)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			timer.Reset(h.look(ctx))
		case <-ctx.Done():
			return
		}
	}
}

// look looks at the contacts that were not looked at for the longest time. It returns the wait
// until it is to be called again.
func (h *Hub) look(ctx context.Context) time.Duration {
	desks := h.everyDesk()
	wait := contactsEach / time.Duration(max(1, (len(desks)+contactsAtOnce-1)/contactsAtOnce))
	slices.SortFunc(desks, func(a, b *Desk) int { return cmp.Or(a.looked.Compare(b.looked), cmp.Compare(a.contact, b.contact)) })
	desks = desks[:min(len(desks), contactsAtOnce)]
	if len(desks) == 0 {
		return wait
	}
	ids := make([]int64, len(desks))
	for i, d := range desks {
		ids[i] = d.contact
	}
	slices.Sort(ids)
	found, err := rows.ByID(datasource.InClass(ctx, datasource.ClassIndex), h.cfg.Client, h.cfg.Contacts, slices.Compact(ids))
	if err != nil {
		h.cfg.Log.Warn("looking at the contacts of users failed", "error", err)
		return wait
	}
	now, doubts := time.Now(), 0
	for _, d := range desks {
		if !d.fits(found[d.contact]) {
			if doubts == mostDoubts {
				wait = doubtsAgain
				continue
			}
			doubts++
			d.doubted.Store(true)
			d.to.Poke()
		}
		d.looked = now
	}
	return wait
}

// Doubted reports whether the user's contact seems to be gone, or another's.
func (d *Desk) Doubted() bool { return d.doubted.Load() }

// Trust says that it is not.
func (d *Desk) Trust() { d.doubted.Store(false) }
