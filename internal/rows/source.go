package rows

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/few"
	"github.com/fliplet/fliplet-chat-go/internal/where"
)

// M is a JSON object.
type M = datasource.M

// Config is what a [Source] needs; all of it but Named is required.
type Config struct {
	Client *datasource.Client
	// Endpoint is what is known about the client's server. Sources of one client share
	// it.
	Endpoint *Endpoint
	UserID   string
	Host
	// Named: of a read that names its conversations the caller knows that there are these, so it
	// does without Members.
	Named  bool
	Roster Roster
	// Genuine is what Feed is told; nil: all rows are.
	Genuine func(context.Context, *datasource.Entry) bool
	// PageSize is the number of rows in a request.
	PageSize int
	Log      *slog.Logger
}

// Host is whoever has a [Source]. It is an interface rather than functions, each of which would
// be an allocation of every chat.
type Host interface {
	// Authorized calls fn with the user's chat token, and once more with a new token
	// if the server refuses the first.
	Authorized(ctx context.Context, fn func(token string) error) error
	// Members reads the user's conversations from the server.
	Members(ctx context.Context) ([]Member, error)
	// Beside runs a read that a poll may leave, and that ends with the poll's context, in a
	// goroutine of its own. It reports false if nothing may begin.
	Beside(read func()) bool
	// Found is called when a read that a poll has left has brought something new.
	Found()
}

// Roster says which conversations are the user's.
type Roster interface {
	// Foreign returns those of some conversations whose rows the user must not see. Every
	// row that leaves the room has passed it, or comes from one conversation that the
	// caller has checked.
	Foreign(ctx context.Context, conversations []int64) (map[int64]bool, error)
	// Unsure reports whether it is not known if a foreign one is the user's, since it could
	// not be read.
	Unsure(conversation int64) bool
	// Unanswered is why a foreign one could not be read; nil if it could, or does not exist.
	Unanswered(conversation int64) error
	// Gone reports whether the user is not in a conversation any more that a list lacks. It
	// may make a request; what fails says nothing.
	Gone(ctx context.Context, conversation int64) bool
}

// Source reads the rows of one user. It is safe for concurrent use.
type Source struct {
	Config
	dates  deletionDates
	time   serverClock
	ward   few.Rare[ward] // see sick
	mine   mine
	peaks  peaks
	high   highest
	chains chains
}

// sick is the ward, which is for servers that lack the cross-source endpoint.
func (s *Source) sick() *ward { return s.ward.Get() }

// highest is the highest id that was seen.
type highest struct{ atomic.Int64 }

func (h *highest) raise(id int64) {
	for {
		was := h.Load()
		if id <= was || h.CompareAndSwap(was, id) {
			return
		}
	}
}

// Now is the server's time, as the last answers show it: rather too early than too late.
func (s *Source) Now() time.Time { return s.time.at(time.Time{}) }

// New returns a Source. It makes no request.
func New(cfg Config) *Source { return new(Source).Init(cfg) }

// Init is New for a zero Source that is a part of something else.
func (s *Source) Init(cfg Config) *Source {
	s.Config = cfg
	return s
}

// Page is a sorted part of the requested rows. It may hold more than the limit.
type Page struct {
	Rows []datasource.Entry
	Next feed.Key // where the next page begins
	More bool     // there may be a next page
	Left left     // what could not be read

	doubted bool // rows whose time has passed may be missing
}

// Search asks for rows of several conversations.
type Search struct {
	Where         M       // in the language of rows
	Conversations []int64 // none: all of the user
	Order         []datasource.Order
	Limit, Offset int // Limit is positive
}

// Search returns live rows, newest first unless an order is given. It fails with a
// [ConditionError] when neither the server nor package where can evaluate the
// condition.
func (s *Source) Search(ctx context.Context, q Search) ([]datasource.Entry, error) {
	w := want{column: createdAt, newest: true, conversations: q.Conversations, where: q.Where, limit: q.Offset + q.Limit}
	if len(q.Where) > 0 {
		// Only the server may be able to evaluate the condition.
		if w.match, w.unchecked = where.CompileRows(q.Where); w.unchecked != nil {
			w.match = nil
		}
	}
	var found []datasource.Entry
	var err error
	if len(q.Order) > 0 {
		found, err = s.ordered(ctx, w, q.Order)
	} else {
		found, err = s.all(ctx, w)
	}
	if err != nil {
		return nil, err
	}
	found = found[min(len(found), q.Offset):]
	return found[:min(len(found), q.Limit)], nil
}

// Unread returns the newest rows that the user has not read, at most limit, newest
// first.
func (s *Source) Unread(ctx context.Context, limit int) ([]datasource.Entry, error) {
	return s.all(ctx, want{column: createdAt, newest: true, unreadBy: s.UserID, limit: limit})
}

// CountUnread counts the unread rows, on the server if it can. A server that has sent
// rows of other people's conversations is not asked, since it would count those, too.
// To find out, the first count is compared with a page of what was counted.
func (s *Source) CountUnread(ctx context.Context) (int, error) {
	n, err := s.countUnread(ctx)
	if err == nil && n > 0 && !s.Endpoint.leaks.Load() && !s.Endpoint.counts.Load() {
		if _, err := s.all(ctx, want{column: createdAt, unreadBy: s.UserID, limit: s.PageSize}); err != nil {
			return 0, err
		}
		s.Endpoint.counts.Store(true)
		if s.Endpoint.leaks.Load() {
			return s.countUnread(ctx)
		}
	}
	return n, err
}

func (s *Source) countUnread(ctx context.Context) (int, error) {
	if s.Endpoint.leaks.Load() {
		return s.count(ctx)
	}
	var n int
	var list bool
	there, err := s.try(ctx, ours, func() (err error) {
		n, list, err = s.countAcross(ctx)
		return err
	})
	if err != nil || there && !list {
		return n, err
	}
	return s.count(ctx)
}

// count counts the unread rows one page after the other.
func (s *Source) count(ctx context.Context) (n int, err error) {
	err = s.each(ctx, want{column: createdAt, unreadBy: s.UserID}, func(rows []datasource.Entry) { n += len(rows) })
	return n, err
}

// Older returns a page of the live rows of a conversation, newest first, after a
// position; the zero position is before all of them.
func (s *Source) Older(ctx context.Context, conversation int64, after feed.Key, limit int) (Page, error) {
	return s.fetch(ctx, want{column: createdAt, newest: true, after: after, conversations: []int64{conversation}, limit: limit})
}

// Answer makes the request for a query of the receive engine. It does not check the
// answer; the engine does.
func (s *Source) Answer(ctx context.Context, q feed.Query) (Answer, error) {
	old := age{known: s.high.Load()}
	room, _ := rooms.Get().(*Room)
	found, left, short, at, err := s.answer(ctx, q, &old, room)
	if err != nil {
		return Answer{}, err
	}
	for i := range found.rows {
		s.high.raise(found.rows[i].ID)
	}
	foreign, err := s.foreign(ctx, found.rows)
	if err != nil {
		return Answer{}, err
	}
	if q.Partial {
		for id := range foreign {
			if s.Roster.Unsure(id) {
				left.add(id, nil)
			}
		}
		found.rows = slices.DeleteFunc(found.rows, func(e datasource.Entry) bool { return left.has(e.DataSourceID) })
	}
	genuine := s.Genuine
	if genuine != nil && len(foreign) > 0 { // no key is asked for on behalf of such rows
		genuine = func(ctx context.Context, row *datasource.Entry) bool {
			return !foreign[row.DataSourceID] && s.Genuine(ctx, row)
		}
	}
	switch {
	case len(foreign) == 0:
		s.mine.saw(found.rows, nil)
	case q.Partial && !found.each:
		meant, err := s.meant(ctx, found.rows, foreign)
		if err != nil {
			return Answer{}, err
		}
		if meant {
			s.mine.saw(found.rows, foreign)
		} else {
			left.any, left.err = true, errForeign
		}
	}
	room.rows = feedInto(ctx, room.rows[:0], found.rows, genuine, s.Log, true)
	if !found.each {
		room.keep(found.rows)
	}
	sized(room.rows, &found)
	out := Answer{Room: room, Rows: room.rows, Shown: found.rows, Short: short && len(room.rows) < q.Limit, Clock: at, Upto: found.upto(old.known, q), Partial: left.any, Without: left.ids, Err: left.err, Asked: old.asked, Since: old.clock}
	if len(foreign) == 0 {
		return out, nil
	}
	for i := range out.Rows {
		if r := &out.Rows[i]; foreign[r.Conversation] {
			*r = feed.Row{ID: r.ID, Conversation: r.Conversation, Created: r.Created, Updated: r.Updated, Foreign: true}
		}
	}
	out.Shown = nil
	for i := range found.rows {
		if !foreign[found.rows[i].DataSourceID] {
			out.Shown = append(out.Shown, found.rows[i])
		}
	}
	return out, nil
}

// Answer is the answer to a query of the receive engine.
type Answer struct {
	// Rows are for the engine. The rows of other people's conversations count in a page,
	// but the engine gets no more than their place in it.
	Rows  []feed.Row
	Shown []datasource.Entry // what may be shown
	// Short: there may be more rows, although these are fewer than the limit.
	Short bool
	Clock feed.Clock // the server's time of the answer
	// Upto is for [feed.Feed.PageUpto]; 0 if the answer is all of one moment.
	Upto int64
	// Partial: rows are missing, of the conversations in Without as far as these are known. Err
	// is why, where it has just been found.
	Partial bool
	Without []int64
	Err     error
	// Asked and Since are when the oldest part of the answer was asked for, on this machine's
	// clock and on the server's; zero: nothing was asked for before this query.
	Asked time.Time
	Since feed.Time

	Room *Room // of Rows
}

func (s *Source) answer(ctx context.Context, q feed.Query, old *age, room *Room) (found unchecked, l left, short bool, at feed.Clock, err error) {
	w := want{limit: q.Limit, clock: &clock{server: &s.time}, partial: q.Partial, first: q.First, old: old, waits: true, room: room}
	if q.Conversation != 0 {
		w.conversations = []int64{q.Conversation}
	}
	switch q.Kind {
	case feed.Newest:
		w.column, w.newest, w.after, w.large = createdAt, true, q.Before, true
	case feed.Created:
		w.column, w.after = createdAt, q.After
		if q.Conversation != 0 {
			w.conversations = []int64{q.Conversation}
		}
	case feed.Changes:
		w.column, w.after, w.beyond, w.from, w.deletions = updatedAt, q.After, q.Beyond, q.From, true
		w.updatedTo, w.createdTo = q.UpdatedTo, q.CreatedTo
	case feed.Latest:
		w.column, w.newest, w.deletions = updatedAt, true, true
	}
	if w.chain = s.chains.of(q); w.chain != nil {
		got, err := s.concurrently(ctx, w.chain.behind(w.after), w)
		s.sick().saw(got.rows)
		return unchecked{rows: got.rows, each: true}, got.left, got.cut, w.clock.shown(), err
	}
	there, err := s.try(ctx, ours, func() (err error) {
		if q.Kind == feed.Newest {
			found, short, err = s.newest(ctx, w)
		} else {
			found, short, err = s.next(ctx, w)
		}
		return err
	})
	if there {
		return found, left{}, short, w.clock.shown(), err
	}
	w.chain = newChain(q)
	page, err := s.fetchEach(ctx, w)
	if w.chain != nil && err == nil && page.More {
		s.chains.goOn(w.chain)
	}
	s.sick().saw(page.Rows)
	found = unchecked{rows: page.Rows, each: true, doubted: page.doubted}
	return found, page.Left, page.More, w.clock.shown(), err
}

// upto is up to which id rows are complete that were read from one conversation after the
// other: what had a higher one may have been stored in between. known is the highest one
// before.
func (u *unchecked) upto(known int64, q feed.Query) int64 {
	switch {
	case !u.each || q.Beyond == 0:
		return 0
	case u.doubted:
		return q.Beyond
	}
	return max(known, q.Beyond)
}

// all reads pages until it has w.limit rows, or all of them for 0.
func (s *Source) all(ctx context.Context, w want) ([]datasource.Entry, error) {
	var out []datasource.Entry
	err := s.each(ctx, w, func(rows []datasource.Entry) { out = append(out, rows...) })
	if w.limit > 0 {
		out = out[:min(len(out), w.limit)] // a page may hold more
	}
	return out, err
}

// first reads all rows, and returns the first w.limit of them in an order. There is no
// position to go on from in the order of a caller.
func (s *Source) first(ctx context.Context, w want, order []datasource.Order) ([]datasource.Entry, error) {
	k := keeper{order: order, most: w.limit}
	w.limit = 0
	err := s.each(ctx, w, k.add)
	return k.done(), err
}

// each is all, with a function that takes the pages.
func (s *Source) each(ctx context.Context, w want, take func([]datasource.Entry)) error {
	limit, had := w.limit, 0
	for {
		w.limit = s.PageSize
		if limit > 0 {
			w.limit = min(s.PageSize, limit-had)
		}
		page, err := s.fetch(ctx, w)
		if err != nil {
			return err
		}
		take(page.Rows)
		if had += len(page.Rows); !page.More || limit > 0 && had >= limit {
			return nil
		}
		w.after = page.Next
	}
}

// fetch returns one page.
func (s *Source) fetch(ctx context.Context, w want) (Page, error) {
	var page Page
	there, err := s.try(ctx, w.author(), func() (err error) {
		page, err = s.fetchAcross(ctx, w)
		return err
	})
	switch {
	case there:
		return page, err
	case w.unchecked != nil:
		return Page{}, beyond(w.unchecked)
	}
	return s.fetchEach(ctx, w)
}

// ordered is fetch in the caller's order.
func (s *Source) ordered(ctx context.Context, w want, order []datasource.Order) ([]datasource.Entry, error) {
	var found []datasource.Entry
	there, err := s.try(ctx, callers, func() (err error) {
		found, err = s.orderedAcross(ctx, w, order)
		return err
	})
	switch {
	case there:
		return found, err
	case w.unchecked != nil:
		return nil, beyond(w.unchecked)
	}
	// Conversations cannot be merged in this order without reading all rows.
	return s.first(ctx, w, order)
}
