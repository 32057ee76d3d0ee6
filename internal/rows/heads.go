package rows

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Without the cross-source endpoint the rows of each conversation have to be asked for.
// Most have none that a poll wants. One query can have any number of outer joins, each
// with an order and a limit of its own, but without a condition on times and without
// deleted rows. So it cannot have the rows themselves, but it has the newest row of each
// of many conversations, which says whether there is anything to ask for. Deletions show
// only in the time of the data source in the list of conversations, which is assumed to
// move with its rows. A server on which one or the other is found not to be so is asked
// for each conversation.

const (
	// headsFrom is from how many conversations on their newest rows are looked at first.
	headsFrom = 9
	// maxJoins is how many conversations one query asks about. How many a request may have
	// is not documented, so a server that refuses is asked about half as many, down to
	// fewJoins: with less there is little to gain.
	maxJoins = 100
	fewJoins = 3
	// headRows is how many of the newest rows are asked for: two show whether the server
	// observes the order.
	headRows = 2
	// headsAgain is when a server that does not seem to have joins, or so many, is asked again.
	headsAgain = time.Hour
	// bumpTime is how far the time of a data source may be behind that of a row, as the
	// lists come from different moments. It is compared a poll later.
	bumpTime = 10 * time.Second
)

// Member is a conversation of the user.
type Member struct {
	ID      int64
	Changed time.Time // of its data source; zero if it is not known
	// Unlisted: the last list lacks it, but the user may be in it. Nothing tells when it has
	// changed.
	Unlisted bool
}

// MembersOf are the conversations of a list of data sources.
func MembersOf(sources []datasource.DataSource) []Member {
	list := make([]Member, len(sources))
	for i := range sources {
		list[i] = Member{ID: sources[i].ID, Changed: sources[i].UpdatedAt}
	}
	return list
}

// errHeads is why the newest rows of conversations cannot be trusted.
var errHeads = errors.New("the server does not join other data sources as documented")

// errStuck is why what has changed cannot be told by the list of conversations.
var errStuck = errors.New("the times of data sources do not move with their rows")

// refusal reports whether a query was refused for good.
func refusal(err error) bool {
	said, answer := errors.AsType[*datasource.Error](err)
	return answer && said.StatusCode < 500 && !datasource.Temporary(err)
}

// heads is what a server has shown of its joins. It is guarded by mu.
type heads struct {
	mu    sync.Mutex
	off   time.Time           // when they are tried again; zero: they are trusted
	vain  time.Time           // when a look that has failed may be split again, since splitting was in vain
	calm  time.Time           // when a look that takes long may be split again, since none was why
	newer map[int64]feed.Time // rows that were newer than their data source
	stuck time.Time           // when the times of data sources are trusted again

	most  int       // how many conversations a query may ask about, until then
	until time.Time // 0: limit. Below fewJoins: fewer are not tried

	assumed assumed
}

// limit is about how many conversations a query asks unless fewer are known to be allowed.
func (h *heads) limit() int {
	return cmp.Or(h.assumed.maxJoins, maxJoins)
}

// size is about how many conversations a query asks, and whether it may ask about fewer.
func (h *heads) size(now time.Time) (n int, fewer bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !now.Before(h.until) {
		h.most = 0
	}
	if h.most < fewJoins {
		return h.limit(), h.most == 0
	}
	return h.most, true
}

// found keeps what size is to be.
func (h *heads) found(most int, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.most, h.until = most, now.Add(headsAgain)
}

func (h *heads) trusted(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.assumed.noJoins && !now.Before(h.off)
}

func (h *heads) distrust(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.off, h.newer = now.Add(headsAgain), nil
}

// moves reports whether the times of data sources are taken to move with their rows.
func (h *heads) moves(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.assumed.noTimes && !now.Before(h.stuck)
}

// stick notes that they do not.
func (h *heads) stick(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stuck, h.newer = now.Add(headsAgain), nil
}

// stands notes whether the times of data sources do not move with rows that were seen. One
// that is behind what it was has moved.
func (s *Source) stands(members []Member, newest map[int64][]feed.Key, now time.Time) bool {
	h := s.Endpoint.joins()
	stands := slices.ContainsFunc(members, func(m Member) bool { return !m.Unlisted && !s.peaks.back(m) && h.behind(m, first(newest[m.ID])) })
	if stands {
		h.stick(now)
	}
	return stands
}

func first(keys []feed.Key) feed.Time {
	if len(keys) == 0 {
		return 0
	}
	return keys[0].Time
}

// behind reports whether the time of a data source has not moved with its rows: an
// earlier look has seen a row that is newer than it is even now.
func (h *heads) behind(m Member, newest feed.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	changed := Micros(m.Changed) + feed.Time(bumpTime.Microseconds())
	if seen, ok := h.newer[m.ID]; ok && seen > changed {
		return true
	}
	delete(h.newer, m.ID)
	if newest > changed {
		if h.newer == nil {
			h.newer = map[int64]feed.Time{}
		}
		h.newer[m.ID] = newest
	}
	return false
}

// skims reports whether the newest rows of conversations say which of them a page needs:
// not with a filter, and not for older rows.
func (w *want) skims() bool {
	return len(w.conversations) == 0 && w.unreadBy == "" && len(w.where) == 0 && w.match == nil && (!w.newest || w.unbounded())
}

// fetchSome is fetchEach for those conversations that may have rows of the page. ok is
// false if it cannot be told which.
func (s *Source) fetchSome(ctx context.Context, members []Member, w want) (_ Page, ok bool, _ error) {
	now := time.Now()
	if len(members) < headsFrom || !w.skims() || !s.Endpoint.joins().trusted(now) || !s.Endpoint.joins().moves(now) {
		return Page{}, false, nil
	}
	all := members
	var unseen map[int64]error // those that no look shows, with the reason if it has just been found
	if w.partial {
		unseen = s.sick().abed(all)
		members = slices.DeleteFunc(slices.Clone(all), func(m Member) bool { _, abed := unseen[m.ID]; return abed })
	}
	newest, sick, err := s.newestOf(ctx, members, w)
	if err != nil && w.partial && len(members) <= s.Endpoint.joins().limit() && ctx.Err() == nil && !errors.Is(err, datasource.ErrRateLimited) {
		return Page{}, false, nil // one of them may be why: each by itself tells
	}
	if refusal(err) {
		err = fmt.Errorf("%w: %w", errHeads, err)
	}
	if len(sick) > 0 && err == nil {
		s.sick().note(s.Log, slices.Collect(maps.Keys(sick)), sick)
		if unseen == nil {
			unseen = map[int64]error{}
		}
		maps.Copy(unseen, sick)
	}
	if err == nil && s.stands(members, newest, now) {
		err = errStuck
	}
	if err == nil {
		err = s.peek(ctx, all, &w)
	}
	var got merged
	if w.skimmed = true; err == nil {
		got, err = s.read(ctx, all, newest, unseen, w)
	}
	if errors.Is(err, errHeads) || errors.Is(err, errStuck) {
		if !errors.Is(err, errStuck) {
			s.Endpoint.joins().distrust(now)
		}
		s.Log.Warn("the newest rows of conversations cannot be had in one request, asking for each", "error", err)
		return Page{}, false, nil
	}
	page := w.page(got.rows, got.cut)
	page.Left, page.doubted = got.left, w.peeks() && w.sight.doubted.Load()
	return page, true, err
}

// read reads those conversations that may have rows of a page: first those that have
// changed last.
func (s *Source) read(ctx context.Context, members []Member, newest map[int64][]feed.Key, unseen map[int64]error, w want) (all merged, err error) {
	var ids []int64
	at := map[int64]feed.Time{} // not before the time of any row
	for _, m := range members {
		shown, some := newest[m.ID]
		t := first(shown)
		if w.column == updatedAt || !some { // one may have been deleted, or not be shown
			t = max(t, Micros(m.Changed))
		}
		_, lacks := unseen[m.ID]
		lacks = lacks || w.partial && !some && s.sick().known(m.ID).ID != 0 // it had one
		if lacks || m.Unlisted || w.overlooked(m.ID) || w.newest || w.unbounded() || t > w.after.Time || t == w.after.Time && !w.after.WholeInstant() {
			ids, at[m.ID] = append(ids, m.ID), t
		}
	}
	slices.SortStableFunc(ids, func(a, b int64) int { return cmp.Compare(at[b], at[a]) })
	if !w.newest {
		all, err = s.concurrently(ctx, ids, w)
		for _, why := range unseen {
			all.left.err = cmp.Or(all.left.err, why)
		}
		return all, cmp.Or(err, s.compare(all.rows, newest, unseen, w))
	}
	for len(ids) > 0 {
		if len(all.rows) >= w.limit && at[ids[0]] < w.key(&all.rows[w.limit-1]).Time || all.cut && at[ids[0]] < all.end.Time {
			break // those that are left have only older rows
		}
		n := min(maxConcurrent, len(ids))
		part, err := s.concurrently(ctx, ids[:n], w)
		if err != nil {
			return merged{}, err
		}
		all.rows, ids = append(all.rows, part.rows...), ids[n:]
		slices.SortStableFunc(all.rows, w.compare)
		if part.cut {
			all.bound(&w, part.end)
		}
		all.trim(&w)
		all.rows = all.rows[:min(len(all.rows), w.limit)]
	}
	return all, s.compare(all.rows, newest, unseen, w)
}

// compare looks for rows that should have been among the newest of their conversations.
func (s *Source) compare(rows []datasource.Entry, newest map[int64][]feed.Key, unseen map[int64]error, w want) error {
	settled := w.clock.read() - feed.Time(bumpTime.Microseconds())
	for i := range rows {
		k := w.key(&rows[i])
		t := k.Time
		if w.passed(k) { // it may have been stored since
			continue
		}
		if _, blind := unseen[rows[i].DataSourceID]; blind {
			continue
		}
		if shown, some := newest[rows[i].DataSourceID]; !Deleted(&rows[i]) && t < settled && (!some || t > first(shown)) {
			return errHeads
		}
	}
	return nil
}

// chunk is newestOf for as many conversations as one query has.
func (s *Source) chunk(ctx context.Context, members []Member, w want) (map[int64][]feed.Key, error) {
	host := members[0].ID
	var joins M
	if len(members) > 1 {
		joins = M{}
	}
	column, most := w.column, headRows
	if w.byID {
		column, most = "id", peakRows
	}
	for _, m := range members[1:] {
		joins["c"+strconv.FormatInt(m.ID, 10)] = M{
			"dataSourceId": m.ID, "order": []string{column, string(datasource.Desc)}, "limit": most, "attributes": []string{wire.GUID},
		}
	}
	sent := time.Now()
	answer, err := s.Client.Select(ctx, host, datasource.Query{
		Type: "select", Attributes: []string{wire.GUID}, Limit: most, Join: joins,
		Order: []datasource.Order{{Column: column, Direction: datasource.Desc}},
	})
	if err != nil {
		return nil, err
	}
	w.clock.note(answer.Answered, sent)
	if n := len(answer.Entries); answer.More && len(members) > 1 && n < most*len(members) {
		if sum := Sum(answer.Entries); !s.Endpoint.looks.Get().Has(sent, n, sum) {
			return s.halves(ctx, members, w, n, sum)
		}
	}
	newest, asked := make(map[int64][]feed.Key, len(members)), make(map[int64]bool, len(members))
	for _, m := range members {
		asked[m.ID] = true
	}
	for i := range answer.Entries {
		e := &answer.Entries[i]
		if len(members) == 1 && e.DataSourceID == 0 {
			e.DataSourceID = host
		}
		id, k := e.DataSourceID, w.key(e)
		if w.byID && (!asked[id] || k.ID <= 0) {
			return nil, errHeads // it does not say whose the rows are
		}
		if !asked[id] {
			continue
		}
		keys := newest[id]
		n := len(keys)
		if n >= most || n > 0 && w.isAbove(k, keys[n-1]) {
			return nil, errHeads // it ignores the limit, or the order
		}
		newest[id] = append(keys, k)
		s.high.raise(k.ID)
	}
	return newest, nil
}

// halves is chunk for an answer that may have been cut, which does not show of whom rows are
// missing. The answers to its halves are smaller than one that was seen.
func (s *Source) halves(ctx context.Context, members []Member, w want, rows int, sum uint64) (map[int64][]feed.Key, error) {
	newest, err := s.chunk(ctx, members[:len(members)/2], w)
	if err != nil {
		return nil, err
	}
	others, err := s.chunk(ctx, members[len(members)/2:], w)
	if maps.Copy(newest, others); err != nil {
		return nil, err
	}
	n := 0
	for _, keys := range newest {
		n += len(keys)
	}
	if n == rows {
		s.Endpoint.looks.Get().Note(time.Now(), n, sum)
	}
	return newest, nil
}

// isAbove reports whether a row belongs before another one in a look.
func (w *want) isAbove(a, b feed.Key) bool {
	if w.byID {
		return a.ID > b.ID
	}
	return a.Time > b.Time
}
