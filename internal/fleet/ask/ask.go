// Package ask makes the requests of a fleet through the Data Sources API, with a token that
// may read the data sources of conversations.
//
// Audit takes a token of the organisation, and Across those of users, which contacts have.
package ask

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
	"github.com/fliplet/fliplet-chat-go/internal/pages"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Config is what a [Source] needs. Genuine may be nil, see [rows.Feed].
type Config struct {
	Client *datasource.Client
	// Apps are those whose conversations are read; 0 is that of the token.
	Apps []int64
	// Wanted reports whether a conversation is read; nil: all are.
	Wanted func(*datasource.DataSource) bool
	// Listed is told of each list that has the definitions. May be nil.
	Listed  func([]datasource.DataSource)
	Genuine func(context.Context, *datasource.Entry) bool
	// Token reads the flUserToken of a flUserId, for queries across; "" if there is none. nil: they
	// fail with [ErrToken].
	Token func(ctx context.Context, flUserID string) (string, error)
	Log   *slog.Logger
}

// Source makes the requests of a fleet. It is safe for concurrent use.
type Source struct {
	cfg  Config
	pace pages.Pace // of the pages of one conversation
	// lists is what the lists of one conversation in a look have shown of how long they may be.
	lists pages.Evidence
	looks pages.Verified

	mu      sync.Mutex
	numbers map[string]int32 // of users, by flUserId
	users   []string
	skipped map[int64]bool // conversations that are not wanted
	ended   map[int64]bool // deleted rows whose time is not known
	org     int64          // the organisation of the conversations; 0: not known
	tokens  map[int32]string
}

// New returns a Source. It makes no request.
func New(cfg Config) *Source {
	return &Source{cfg: cfg, numbers: map[string]int32{}, skipped: map[int64]bool{}, ended: map[int64]bool{}, tokens: map[int32]string{}}
}

var (
	// ErrJoins: the server does not join other data sources as documented.
	ErrJoins = errors.New("the server does not join other data sources as documented")
	// ErrKind: there are no such requests.
	ErrKind = errors.New("there is no such request")
)

// User is the number of a user in the lists of conversations.
func (s *Source) User(flUserID string) int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.number(flUserID)
}

func (s *Source) number(flUserID string) int32 {
	n, ok := s.numbers[flUserID]
	if !ok {
		n = int32(len(s.users)) //nolint:gosec // nobody has so many users
		s.numbers[flUserID] = n
		s.users = append(s.users, flUserID)
	}
	return n
}

// Ask makes a request.
func (s *Source) Ask(ctx context.Context, r fleet.Request) (fleet.Answer, error) {
	ctx = datasource.InClass(ctx, datasource.Class(r.Class))
	switch r.Kind {
	case fleet.List:
		return s.list(ctx, r)
	case fleet.Look:
		return s.look(ctx, r)
	case fleet.Read:
		return s.read(ctx, r)
	case fleet.Audit:
		return s.audit(ctx, r)
	case fleet.Across:
		return s.across(ctx, r)
	}
	return fleet.Answer{}, fmt.Errorf("%s: %w", r.Kind, ErrKind)
}

// Conversations reads the list of them, in one request for each app. whole: with their
// definitions.
func (s *Source) Conversations(ctx context.Context, whole bool) ([]datasource.DataSource, error) {
	all, _, err := s.conversations(ctx, whole)
	return all, err
}

// conversations is that with the server's time of the first answer, zero if one of them has none.
func (s *Source) conversations(ctx context.Context, whole bool) (all []datasource.DataSource, at feed.Time, err error) {
	for i, app := range s.cfg.Apps {
		f := datasource.SourceFilter{AppID: app, Type: wire.TypeConversation, Order: "updatedAt", Direction: datasource.Desc}
		if !whole {
			f.Attributes = []string{"id", "type", "createdAt", "updatedAt"}
		}
		list, answered, err := s.cfg.Client.DatedDataSources(ctx, f)
		if err != nil {
			return nil, 0, err
		}
		all = append(all, list...)
		if one := rows.Micros(answered); i == 0 || one < at {
			at = one
		}
	}
	return all, at, nil
}

// Changed returns when the conversations of the list were changed. It takes one request for
// each app.
func (s *Source) Changed(ctx context.Context) (map[int64]time.Time, error) {
	all, err := s.Conversations(ctx, false)
	changed := make(map[int64]time.Time, len(all))
	for i := range all {
		if t := all[i].UpdatedAt; t.After(changed[all[i].ID]) {
			changed[all[i].ID] = t
		}
	}
	return changed, err
}

// list reads the list of conversations, with who is in them if the fleet wants to know.
func (s *Source) list(ctx context.Context, r fleet.Request) (a fleet.Answer, err error) {
	all, at, err := s.conversations(ctx, r.Users)
	if err != nil {
		return a, err
	}
	a.Clock = at
	if org := organizationOf(all); org != 0 {
		s.belongs(org)
	}
	seen := map[int64]bool{}
	all = slices.DeleteFunc(all, func(ds datasource.DataSource) bool {
		bad := ds.Err != nil || ds.ID <= 0 || seen[ds.ID] || ds.Type != "" && ds.Type != wire.TypeConversation || !s.wanted(&ds, r.Users)
		seen[ds.ID] = true
		return bad
	})
	for i := range all {
		ds := &all[i]
		l := fleet.Listing{Conversation: ds.ID, Created: rows.Micros(ds.CreatedAt), Changed: rows.Micros(ds.UpdatedAt)}
		if r.Users {
			l.Users = s.who(wire.ParseDefinition(ds.Definition))
		}
		a.Listed = append(a.Listed, l)
	}
	if r.Users && s.cfg.Listed != nil {
		s.cfg.Listed(all)
	}
	return a, nil
}

// wanted reports whether a conversation is read. Only a list with definitions can tell; until
// then one that is unknown waits for it.
func (s *Source) wanted(ds *datasource.DataSource, whole bool) bool {
	if s.cfg.Wanted == nil {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if whole {
		s.skipped[ds.ID] = !s.cfg.Wanted(ds)
	}
	skip, known := s.skipped[ds.ID]
	return known && !skip
}

// who are the users of a conversation. It is never nil.
func (s *Source) who(d wire.Definition) []int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := d.List(wire.Participants)
	out := make([]int32, 0, len(ids))
	for _, id := range ids {
		if d.Has(id) {
			out = append(out, s.number(id))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// look reads the newest rows of many conversations: those of the first, and by outer joins
// those of the others.
func (s *Source) look(ctx context.Context, r fleet.Request) (a fleet.Answer, err error) {
	newest := []string{"updatedAt", string(datasource.Desc)}
	q := datasource.Query{Limit: r.Limits[0], Order: []datasource.Order{{Column: "updatedAt", Direction: datasource.Desc}, {Column: "id", Direction: datasource.Desc}}}
	limit := map[int64]int{}
	for i, id := range r.Conversations {
		limit[id] = r.Limits[i]
		if i == 0 {
			continue
		}
		if q.Join == nil {
			q.Join = datasource.M{}
		}
		q.Join["c"+strconv.FormatInt(id, 10)] = datasource.M{"dataSourceId": id, "order": newest, "limit": r.Limits[i]}
	}
	answer, err := s.cfg.Client.Select(ctx, r.Conversations[0], q)
	if err != nil {
		return a, err
	}
	wanted := 0
	for _, n := range r.Limits {
		wanted += n
	}
	if len(r.Conversations) > 1 && answer.More && len(answer.Entries) < wanted {
		if sum := rows.Sum(answer.Entries); !s.looks.Has(time.Now(), len(answer.Entries), sum) {
			return s.halves(ctx, r, len(answer.Entries), sum)
		}
	}
	had, last := map[int64]int{}, map[int64]time.Time{}
	for i := range answer.Entries {
		e := &answer.Entries[i]
		if e.DataSourceID == 0 && len(r.Conversations) == 1 {
			e.DataSourceID = r.Conversations[0]
		}
		most, asked := limit[e.DataSourceID]
		before, some := last[e.DataSourceID]
		// It does not say whose the rows are, or ignores the limit or the order: then what is
		// missing cannot be told.
		if had[e.DataSourceID]++; !asked || had[e.DataSourceID] > most || some && e.UpdatedAt.After(before) {
			if len(r.Conversations) == 1 {
				return a, rows.Unordered(ErrJoins)
			}
			return a, ErrJoins
		}
		last[e.DataSourceID] = e.UpdatedAt
	}
	a = s.answer(ctx, answer, answer.Entries)
	for id, n := range had {
		more := s.lists.More(time.Now(), pages.Page{Limit: limit[id], Rows: n})
		if n < limit[id] && (more || answer.More && len(had) == 1) {
			if a.Cut == nil {
				a.Cut = map[int64]bool{}
			}
			a.Cut[id] = true
		}
	}
	return a, nil
}

// halves looks at one half of the conversations and then at the other: the answer for all of them
// may have been cut, and does not show of whom rows are missing. Those to its halves are smaller
// than one that was seen.
func (s *Source) halves(ctx context.Context, r fleet.Request, entries int, sum uint64) (fleet.Answer, error) {
	n := len(r.Conversations) / 2
	one, other := r, r
	one.Conversations, one.Limits = r.Conversations[:n], r.Limits[:n]
	other.Conversations, other.Limits = r.Conversations[n:], r.Limits[n:]
	a, err := s.look(ctx, one)
	if err != nil {
		return a, err
	}
	b, err := s.look(ctx, other)
	if err == nil && len(a.Rows)+len(b.Rows) == entries {
		s.looks.Note(time.Now(), entries, sum)
	}
	if a.Cut == nil {
		a.Cut = b.Cut
	} else {
		maps.Copy(a.Cut, b.Cut)
	}
	return fleet.Answer{Rows: append(a.Rows, b.Rows...), Cut: a.Cut, Clock: min(a.Clock, b.Clock)}, err
}

// read reads a page of the changes of one conversation, with the deleted rows.
func (s *Source) read(ctx context.Context, r fleet.Request) (a fleet.Answer, err error) {
	id := r.Conversations[0]
	from := wire.Timestamp(time.UnixMicro(int64(max(r.After.Time, 0))))
	q := datasource.Query{
		UpdatedAt: datasource.M{"$gte": from}, Limit: r.Limit,
		Order: []datasource.Order{{Column: "updatedAt", Direction: datasource.Asc}, {Column: "id", Direction: datasource.Asc}},
	}
	if r.After.WholeInstant() {
		q.UpdatedAt = datasource.M{"$gt": from}
	}
	for wanted := r.Limit; ; {
		answer, _, err := rows.Paced(ctx, s.cfg.Client, &s.pace, id, &q, wanted)
		if err != nil {
			return a, err
		}
		full := len(answer.Entries) >= q.Limit
		sorted := slices.IsSortedFunc(answer.Entries, order)
		fresh := slices.DeleteFunc(answer.Entries, func(e datasource.Entry) bool {
			return rows.ChangeKey(&e).Compare(r.After) <= 0
		})
		if answer.More && (len(fresh) == 0 || !sorted) {
			switch {
			case full && q.Limit == wanted:
				wanted *= 2 // more rows of one moment than a page has, or in no order: all of them tell
				continue
			case sorted && q.ID == nil && !r.After.WholeInstant(): // a page cannot be larger
				q.UpdatedAt, q.ID = from, datasource.M{"$gt": r.After.ID}
				continue
			}
			if !sorted {
				return a, rows.Unordered(rows.ErrCut)
			}
			return a, rows.ErrCut
		}
		if q.ID != nil && len(fresh) == 0 && !answer.More { // that was the moment
			q.UpdatedAt, q.ID = datasource.M{"$gt": from}, nil
			continue
		}
		for i := range fresh {
			fresh[i].DataSourceID = id
		}
		last := lastKey(fresh)
		a = s.answer(ctx, answer, append(fresh, s.gone(id, answer.Deleted)...))
		a.Full, a.Last = answer.More || q.ID != nil, last
		return a, nil
	}
}

// order is that of the rows of a page. Of one moment the ids count, too: what is behind the last
// row is asked for by both.
func order(x, y datasource.Entry) int {
	return cmp.Or(x.UpdatedAt.Compare(y.UpdatedAt), cmp.Compare(x.ID, y.ID))
}

// lastKey is the highest key of the rows of a page.
func lastKey(page []datasource.Entry) (last feed.Key) {
	for i := range page {
		if k := rows.ChangeKey(&page[i]); k.Compare(last) > 0 {
			last = k
		}
	}
	return last
}

// gone are the deleted rows of an answer, which may be from beyond its page: it has all of them. One whose time is not known comes once.
func (s *Source) gone(id int64, deleted []datasource.Entry) (out []datasource.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range deleted {
		e.DataSourceID = id
		if e.UpdatedAt.IsZero() && e.DeletedAt != nil {
			e.UpdatedAt = *e.DeletedAt
		}
		if e.UpdatedAt.IsZero() {
			if s.ended[e.ID] {
				continue
			}
			if len(s.ended) > 100_000 {
				clear(s.ended)
			}
			s.ended[e.ID], e.UpdatedAt = true, time.Now()
		}
		if e.DeletedAt == nil {
			e.DeletedAt = new(time.Time)
		}
		out = append(out, e)
	}
	return out
}

// answer makes the answer of what was read.
func (s *Source) answer(ctx context.Context, r *datasource.Result, entries []datasource.Entry) fleet.Answer {
	at := r.Answered
	if at.IsZero() {
		at = time.Now()
	}
	found := rows.Feed(ctx, entries, s.cfg.Genuine, s.cfg.Log)
	rows.Weigh(found) // of an answer of many conversations they may differ much
	return fleet.Answer{Rows: found, Clock: rows.Micros(at)}
}

// Aside reports whether the failure of a request says nothing about requests of other kinds: the
// audit log may be refused to a token that reads everything else, and the token of a user to all.
func Aside(r fleet.Request, err error) bool {
	return r.Kind == fleet.Audit || r.Kind == fleet.Across && Judge(err).Refused
}

// Judge says what the error of a request means for a fleet.
func Judge(err error) fleet.Failure {
	said, ok := errors.AsType[*datasource.Error](err)
	switch {
	case errors.Is(err, ErrToken):
		return fleet.Failure{Refused: true, User: true}
	case errors.Is(err, ErrJoins), errors.Is(err, ErrAudit), errors.Is(err, ErrOrganization), errors.Is(err, ErrAcross):
		return fleet.Failure{Refused: true}
	case !ok:
		return fleet.Failure{}
	case errors.Is(err, datasource.ErrRateLimited):
		return fleet.Failure{Wait: max(time.Until(said.RetryAt), time.Second)}
	}
	return fleet.Failure{Refused: 400 <= said.StatusCode && said.StatusCode < 500 && !datasource.Temporary(err)}
}
