package feed

import (
	"cmp"
	"math"
	"time"
)

// Time is a server timestamp in microseconds since the Unix epoch. Fliplet sends
// milliseconds; the finer unit allows for a change.
type Time int64

// Clock is what an answer shows of the server's time; 0 if it shows nothing. Of several
// machines some may be ahead: Earliest is what the last answers agree on, at least as late
// as any change in this one, and Latest what this one says.
type Clock struct{ Earliest, Latest Time }

// beginning sorts before every timestamp a server can send.
const beginning Time = math.MinInt64

// endOfTime is later than any timestamp.
const endOfTime Time = math.MaxInt64

// Key is a position in the order of rows: a time, then an id.
type Key struct {
	Time Time
	ID   int64
}

// Compare orders keys by time, then id.
func (k Key) Compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Time, o.Time), cmp.Compare(k.ID, o.ID))
}

// later returns the greater of two keys.
func later(a, b Key) Key {
	if a.Compare(b) >= 0 {
		return a
	}
	return b
}

// earlier returns the smaller of two keys.
func earlier(a, b Key) Key {
	if a.Compare(b) <= 0 {
		return a
	}
	return b
}

// afterAll is the key after every row of one timestamp.
func afterAll(t Time) Key { return Key{Time: t, ID: math.MaxInt64} }

// Row is one version of one message as a page brought it.
type Row struct {
	ID, Conversation int64
	Created, Updated Time
	Deleted          bool
	// Copy: another row of the same send was there before.
	Copy bool
	// Unreadable: the row exists, and its key is known, but not its content. It is new,
	// changed or deleted like any other row, and reported as a [Gap].
	Unreadable bool
	// Foreign: the row belongs to a conversation that the user is not in. It has its place
	// in the page, since the server counts it, and is nothing otherwise: if the user
	// joins, it comes with the history.
	Foreign bool
	// Hash identifies the content, so that a second change with the same timestamp is
	// not taken for the delivered version. It and Origin are the same as long as the
	// process lasts; see Config.Stable.
	Hash uint64
	// Parts are hashes of parts of the content, so that an update can say what has
	// changed. All zero: not known.
	Parts Parts
	// Origin identifies the send (sender and guid), 0 if unknown. A repeated send
	// stores a second row with the same origin; listeners get one.
	Origin uint64
	// First is when the source has shown the row first, for a source that shows rows in order of
	// Updated: 1 if it was there before all of that. 0: not known.
	First Time
	// Past is what was there before this version, for a listener that was told and has
	// forgotten it. nil: not known.
	Past *Past
	// Payload belongs to the owner; the engine does not use it. Size is about its bytes, 0 if
	// they do not matter.
	Payload any
	Size    int
}

func (r *Row) createdKey() Key { return Key{r.Created, r.ID} }

// UpdatedKey is where a row is in the order of change.
func (r *Row) UpdatedKey() Key { return Key{r.Updated, r.ID} }

// Past is what a source has shown before a version of a row.
type Past struct {
	Version *Row // the row itself, as it was; nil: not known
	Send    *Row // the row that its send was in, as it is then; nil: none but the row itself
}

// Parts are hashes of the body, the readers, the files and the other columns.
type Parts [4]uint32

// PartSet is a set of parts: bit i stands for Parts[i].
type PartSet uint8

// AllParts is what may have changed when the version before is not known.
const AllParts PartSet = 1<<len(Parts{}) - 1

// Since says in which parts p differs from an earlier version's.
func (p Parts) Since(earlier Parts) PartSet {
	if p == (Parts{}) || earlier == (Parts{}) {
		return AllParts
	}
	var c PartSet
	for i := range p {
		if p[i] != earlier[i] {
			c |= 1 << i
		}
	}
	return c
}

// Member is one conversation of the user.
type Member struct {
	Conversation int64
	Created      Time
	// Changed is when its definition was changed last, by the clock that stamps rows: the
	// user joined then or before. 0 if it is not known.
	Changed Time
	// Joined is when the user joined, by the same clock, if it was seen: the answer to their
	// own request said it. Nothing that was created before is new. 0 if it is not known.
	Joined Time
	// Asked and Answered are when that request was sent and answered, on the owner's clock.
	// Zero if they are not known; then a clock that is set back is not noticed by them.
	Asked, Answered time.Time
}

// Kind says what a [Query] asks for.
type Kind uint8

const (
	// Members asks for the conversations of the user, answered with [Feed.Members].
	Members Kind = iota + 1
	// Newest asks for the newest live rows by (created, id), newest first.
	Newest
	// Changes asks for rows, deleted ones too, in ascending (updated, id) order.
	Changes
	// Created asks for live rows in ascending (created, id) order.
	Created
	// Latest asks for the one row changed last, deleted or not.
	Latest
)

// Query is one request to the server. It is comparable: readers with equal
// queries share one answer.
type Query struct {
	Kind Kind
	// Conversation limits the rows to one conversation; 0 means all. An answer may have
	// others, too.
	Conversation int64
	// After is the exclusive lower bound of Changes and Created, in their order.
	After Key
	// Before is the exclusive upper bound of Newest; the zero Key means none.
	Before Key
	// Beyond asks Changes for all rows with a higher id besides, whatever their time is; 0
	// means none.
	Beyond int64
	// From is the exclusive lower bound of these rows; the zero Key means none.
	From Key
	// UpdatedTo and CreatedTo are inclusive upper bounds of Changes; 0 means none.
	UpdatedTo, CreatedTo Time
	Limit                int
	// Partial: the answer may lack conversations that cannot be read, see
	// [Feed.PartialPage].
	Partial bool
	// First: it is the first page of a poll.
	First bool
}

// Event is one message or gap for one listener.
type Event struct {
	Row Row
	// Update: the message was delivered before, or belongs to history that was not
	// loaded for the listener.
	Update bool
	// Changed says what an update has changed.
	Changed PartSet
	// Deleted: the row is a tombstone.
	Deleted bool
	// History: a new message that was created before the listener began, or before the
	// user joined its conversation.
	History bool
	// Replay: the message was delivered again because of a reset.
	Replay bool
	// Reset: an update that was found for a reset. The message has no replay of its own.
	Reset bool
	// Gap is set when something cannot be delivered. Row is set, too, if it is that row.
	Gap *Gap

	// number is its place in the queue of from. Both are set once it is queued.
	number uint64
	from   *reader
}

// Conversation is the conversation that the event is about.
func (e *Event) Conversation() int64 {
	if e.Gap != nil {
		return e.Gap.Conversation
	}
	return e.Row.Conversation
}

// Without is the event for whoever wants no updates that have changed nothing but some parts. It
// reports false for such an update. One that a reset would have delivered again is that replay.
func (e Event) Without(parts PartSet) (Event, bool) {
	if !e.Update || e.Deleted || e.Changed != parts {
		return e, true
	}
	e.Update, e.Changed, e.Replay = false, 0, true
	return e, e.Reset
}

// Gap is what a listener does not get.
type Gap struct {
	Conversation int64
	// Row is the id of an unreadable row, 0 if the gap is about history.
	Row int64
	// Before is where the gap ends: rows with a lower creation key were not delivered. The
	// zero Key for an unreadable row.
	Before Key
	Reason string // "" for an unreadable row
}

// FromStart reports whether the key lies before every row.
func (k Key) FromStart() bool { return k.Time == beginning }

// WholeInstant reports whether the key lies after every row of its timestamp.
func (k Key) WholeInstant() bool { return k.ID == math.MaxInt64 }
