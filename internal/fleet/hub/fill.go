package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// lacks is what a listener waits for whose rows the log has the keys of, but not the content.
type lacks struct {
	// found is what the server gave for a page that is not whole yet, so that one conversation
	// that fails does not cost the content of the others again.
	found map[int64]datasource.Entry
	vain  map[int64]int // how often a row was asked for in vain
}

// errLacks: the server does not show rows that it has shown before. A machine that is behind
// may, for a while.
var errLacks = errors.New("the server does not show rows that it has shown before")

// mostVain is how often a row is asked for in vain while others are answered. Then it is told as
// one that cannot be read. The engine waits up to 10 s between two times.
const mostVain = 12

// fill reads the content that the log has forgotten. No row comes without its content: the
// page ends before the first one that waits for it. short: it does. It fails if that is the
// first row of all.
func (d *Desk) fill(ctx context.Context, p fleet.Page) (page []feed.Row, short bool, err error) {
	if len(p.Without) == 0 {
		return p.Rows, false, nil
	}
	wanted, since, order := map[int64][]int64{}, map[int64]feed.Time{}, []int64(nil)
	for n, i := range p.Without {
		row := &p.Rows[i]
		switch _, has := d.lacks.found[row.ID]; {
		case row.Deleted: // its key is all that is told
			row.Payload = &datasource.Entry{ID: row.ID, DataSourceID: row.Conversation, Data: datasource.M{}}
		case !has:
			if wanted[row.Conversation] == nil {
				order = append(order, row.Conversation)
				since[row.Conversation] = p.Changed[n]
			}
			since[row.Conversation] = min(since[row.Conversation], p.Changed[n])
			wanted[row.Conversation] = append(wanted[row.Conversation], row.ID)
		}
	}
	if d.lacks.found == nil {
		d.lacks = lacks{found: map[int64]datasource.Entry{}, vain: map[int64]int{}}
	}
	for _, c := range order {
		if e := d.content(ctx, c, wanted[c], since[c]); e != nil && err == nil {
			err = e
		}
	}
	for n, i := range p.Without {
		if row := &p.Rows[i]; row.Payload == nil && !d.put(row, p.Changed[n]) {
			if err == nil {
				err = errLacks
			}
			if i == 0 {
				return nil, false, fmt.Errorf("conversation %d: %w", row.Conversation, err)
			}
			return p.Rows[:i], true, nil
		}
	}
	d.lacks = lacks{}
	return p.Rows, false, nil
}

// content asks for rows of a conversation, and if some are not there, whether they were deleted
// since the earliest of their changes.
func (d *Desk) content(ctx context.Context, conversation int64, ids []int64, since feed.Time) error {
	missing, err := slices.Clone(ids), error(nil)
	for again := true; again && len(missing) > 0; {
		var found *datasource.Result
		if found, err = d.h.cfg.Client.Select(ctx, conversation, datasource.Query{ID: datasource.M{"$in": missing}, NoLimit: true}); err != nil {
			break
		}
		for _, e := range found.Entries {
			d.lacks.found[e.ID] = e
		}
		before := len(missing)
		missing = slices.DeleteFunc(missing, func(id int64) bool { _, has := d.lacks.found[id]; return has })
		again = found.More && len(missing) < before // the answer may have been cut
	}
	if err == nil && len(missing) > 0 {
		var answer *datasource.Result
		answer, err = d.h.cfg.Client.Select(ctx, conversation, datasource.Query{
			ID: datasource.M{"$in": missing}, UpdatedAt: datasource.M{"$gte": wire.Timestamp(time.UnixMicro(int64(max(since, 0))))}, NoLimit: true,
		})
		if err == nil {
			d.lacks.ended(answer.Deleted, missing)
		}
	}
	if err == nil || ctx.Err() == nil && !errors.Is(err, datasource.ErrRateLimited) && d.h.driver.Down() == nil {
		for _, id := range missing {
			d.lacks.vain[id]++
		}
	}
	return err
}

// ended notes which rows are deleted ones.
func (l *lacks) ended(deleted []datasource.Entry, missing []int64) {
	for _, e := range deleted {
		if slices.Contains(missing, e.ID) {
			e.DeletedAt = cmp.Or(e.DeletedAt, &e.UpdatedAt)
			l.found[e.ID] = e
		}
	}
}

// put gives a row its content: that of the version that the log has had, or of a later one. It
// reports false if that has to be waited for.
func (d *Desk) put(row *feed.Row, changed feed.Time) bool {
	e, has := d.lacks.found[row.ID]
	tired := d.lacks.vain[row.ID] >= mostVain
	switch {
	case has && e.DeletedAt != nil:
		// Its end may be found much later, and is told now.
		row.Deleted, row.Unreadable = true, false
	case has && (tired || e.UpdatedAt.IsZero() || rows.Micros(e.UpdatedAt) >= changed):
		row.Unreadable = row.Unreadable || e.Err != nil
	case has: // a machine that is behind has answered
		delete(d.lacks.found, row.ID)
		d.lacks.vain[row.ID]++
		return false
	case tired:
		e, row.Unreadable = datasource.Entry{ID: row.ID}, true
	default:
		return false
	}
	e.DataSourceID = row.Conversation
	if e.Data == nil {
		e.Data = datasource.M{}
	}
	row.Payload = &e
	return true
}
