package rows

import (
	"context"
	"log/slog"
	"slices"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Feed converts rows for the receive engine. A row without an id or conversation
// cannot be identified and is left out. A row without times gets those of the row
// before it.
//
// Two rows of one sender and guid are one send. genuine tells the rows that can be
// taken for that; those of which it cannot be said count as sends of their own, so that
// nobody can silence a message with a row that only claims to be it. nil: all rows are
// genuine.
//
// The hashes are those of this process; [Stable] makes those that positions hold.
func Feed(ctx context.Context, entries []datasource.Entry, genuine func(context.Context, *datasource.Entry) bool, log *slog.Logger) []feed.Row {
	return feedInto(ctx, make([]feed.Row, 0, len(entries)), entries, genuine, log, false)
}

// feedInto appends the rows. slim: they are Columns where that is possible.
func feedInto(ctx context.Context, out []feed.Row, entries []datasource.Entry, genuine func(context.Context, *datasource.Entry) bool, log *slog.Logger, slim bool) []feed.Row {
	out = slices.Grow(out, len(entries))
	before := feed.Time(1)
	for i := range entries {
		e := &entries[i]
		if e.DataSourceID == 0 {
			e.DataSourceID = wire.Int(e.Data[wire.Conversation])
		}
		if e.ID <= 0 || e.DataSourceID <= 0 {
			log.Warn("a row without an id or conversation was left out", "id", e.ID, "conversation", e.DataSourceID)
			continue
		}
		c := contentOf(e.Data)
		r := feed.Row{
			ID: e.ID, Conversation: e.DataSourceID, Deleted: e.DeletedAt != nil || wire.Bool(c.markedAsDeleted),
			Hash: c.sum, Parts: c.parts,
		}
		r.Unreadable = e.Err != nil && !r.Deleted
		if e.UpdatedAt.IsZero() {
			e.UpdatedAt = e.CreatedAt
		}
		if e.UpdatedAt.IsZero() {
			r.Updated = before
		} else {
			r.Updated = Micros(e.UpdatedAt)
		}
		if e.CreatedAt.IsZero() {
			r.Created = r.Updated
		} else {
			r.Created = Micros(e.CreatedAt)
		}
		before = r.Updated
		if (genuine == nil || genuine(ctx, e)) && wire.Text(c.guid.v) != "" {
			r.Origin = c.origin()
		}
		r.Payload = e
		if slim {
			r.Payload = payload(e, c.special)
		}
		out = append(out, r)
	}
	return out
}

// sized notes about how large rows are: all of an answer as large as their mean.
func sized(out []feed.Row, found *unchecked) {
	mean := 0
	if len(found.rows) > 0 {
		mean = int(found.size) / len(found.rows)
	}
	if mean == 0 {
		Weigh(out)
		return
	}
	for i := range out {
		out[i].Size = mean
	}
}

// Weigh notes about how large rows are, each by itself.
func Weigh(out []feed.Row) {
	for i := range out {
		out[i].Size = wire.Weigh(columnsOf(&out[i]))
		if e, ok := out[i].Payload.(*datasource.Entry); ok {
			out[i].Size += wire.Weigh(e.Extra)
		}
	}
}

// Stable replaces the hash of a row's content and its origin, which Feed has made, by those
// that stored positions hold. What the row was made from must not have changed since.
func Stable(r *feed.Row) {
	if r.Payload == nil {
		return // its content is nobody's
	}
	columns := columnsOf(r)
	r.Hash = Hash(columns)
	if r.Origin != 0 {
		r.Origin = hashText(hashText(offsetBasis, wire.Text(columns[wire.From])), wire.Text(columns[wire.GUID]))
	}
}
