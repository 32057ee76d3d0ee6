package rows

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// Without the cross-source endpoint each conversation is read by itself, and one that
// cannot be read, or whose answers hang, must hold up no other. It is left out of polls,
// which say so, so that nothing is taken for read, and tried again after a while. One that
// security rules refuse, or that cannot be read for an hour, is given up until it can: what
// it gets meanwhile is not told.

const (
	firstRest, longestRest = 5 * time.Second, time.Minute
	// shortPatience is how long the first attempt at one that could not be read may take, and
	// the next ones twice as long each.
	shortPatience, longPatience = 2 * time.Second, 15 * time.Second
	giveUpAfter                 = time.Hour
	// listRest is how long polls do without a list of conversations that could not be read.
	listRest = 30 * time.Second
	// doubtFor is how long answers that lack what was there are not believed.
	doubtFor = 10 * time.Minute
)

// errLacks: an answer is not complete.
var errLacks = errors.New("the answer lacks a message that was there before")

// errForeign: an answer may be meant for somebody else.
var errForeign = errors.New("the answer has other people's messages, and lacks what the user has")

// left is what a page lacks.
type left struct {
	any    bool
	ids    []int64
	err    error // the first reason
	failed map[int64]error
}

func (l *left) add(id int64, err error) {
	l.any = true
	if !slices.Contains(l.ids, id) {
		l.ids = append(l.ids, id)
	}
	if err == nil {
		return
	}
	if l.failed == nil {
		l.failed, l.err = map[int64]error{}, err
	}
	l.failed[id] = err
}

// forget takes out a conversation that is given up. The reason stays, to be told.
func (l *left) forget(id int64) {
	l.ids = slices.DeleteFunc(l.ids, func(other int64) bool { return other == id })
	l.any = len(l.ids) > 0
}

func (l *left) has(id int64) bool { return slices.Contains(l.ids, id) }

// ward knows which conversations cannot be read, and what the others had last. The zero
// value is empty; it is safe for concurrent use.
type ward struct {
	mu      sync.Mutex
	beds    map[int64]*bed
	last    map[int64]feed.Key  // the newest change seen of a conversation
	lacking map[int64]time.Time // since when answers lack it
	members []Member            // as listed last
	relist  time.Time           // until when no list is asked for, since one has failed
	slow    map[int64]*slowness
	shelf   map[int64]*shelf    // what reads bring that polls have left
	vouched map[int64]time.Time // until when it is not asked if a list is right that lacks one
}

// bed is a conversation that cannot be read.
type bed struct {
	since, next time.Time
	wait        time.Duration
	patience    time.Duration
	given       bool // up
}

func (w *ward) list(members []Member) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.members, w.relist = members, time.Time{}
}

// listed are the conversations as listed last. rests: no other list is asked for now.
func (w *ward) listed() (_ []Member, rests bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.members, time.Now().Before(w.relist)
}

func (w *ward) unlisted() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.relist = time.Now().Add(listRest)
}

// visit returns those that are read now, and those that are left out.
func (w *ward) visit(ids []int64) (ask []int64, l left) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for _, id := range ids {
		switch b := w.beds[id]; {
		case b == nil || !now.Before(b.next):
			ask = append(ask, id)
		case !b.given:
			l.add(id, nil)
		}
	}
	return ask, l
}

// abed are those of some conversations that could not be read last, or are slow.
func (w *ward) abed(members []Member) map[int64]error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.beds) == 0 && len(w.slow) == 0 {
		return nil
	}
	out := map[int64]error{}
	for _, m := range members {
		if w.beds[m.ID] != nil || w.slow[m.ID].slow() {
			out[m.ID] = nil
		}
	}
	return out
}

// note notes which of those that were asked could not be read. It returns those of the
// failed that are given up, which a page does not lack.
func (w *ward) note(log *slog.Logger, asked []int64, failed map[int64]error) (given []int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for _, id := range asked {
		b := w.beds[id]
		err := failed[id]
		if err == nil {
			if b != nil {
				delete(w.beds, id)
				log.Info("a conversation can be read again", "conversation", id)
			}
			continue
		}
		if b == nil {
			b = &bed{since: now, patience: shortPatience / 2}
			if w.beds == nil {
				w.beds = map[int64]*bed{}
			}
			w.beds[id] = b
			log.Warn("a conversation cannot be read, others go on", "conversation", id, "error", err)
		}
		b.wait = min(max(2*b.wait, firstRest), longestRest)
		b.next, b.patience = now.Add(b.wait), min(2*b.patience, longPatience)
		if !b.given && (errors.Is(err, datasource.ErrAccessDenied) || now.Sub(b.since) >= giveUpAfter) {
			b.given = true
			log.Error("a conversation is given up until it can be read: what it gets meanwhile is not told", "conversation", id, "error", err)
		}
		if b.given {
			given = append(given, id)
		}
	}
	return given
}

// saw notes the newest change of a conversation.
func (w *ward) saw(rows []datasource.Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range rows {
		e := &rows[i]
		if k := ChangeKey(e); e.DataSourceID != 0 && k.Time != 0 && k.Compare(w.last[e.DataSourceID]) > 0 {
			if w.last == nil {
				w.last = map[int64]feed.Key{}
			}
			w.last[e.DataSourceID] = k
		}
	}
}

// known is the newest change seen of a conversation; its ID is 0 if there is none.
func (w *ward) known(id int64) feed.Key {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last[id]
}

// crowded forgets the newest change of a conversation, whose time does not tell it apart.
func (w *ward) crowded(id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.last, id)
}

// lacks notes whether a complete answer lacked the newest change that is known. It reports
// whether the answer is not believed.
func (w *ward) lacks(id int64, lacks bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !lacks {
		delete(w.lacking, id)
		return false
	}
	now, since := time.Now(), w.lacking[id]
	if since.IsZero() {
		if w.lacking == nil {
			w.lacking = map[int64]time.Time{}
		}
		w.lacking[id] = now
		return true
	}
	if now.Sub(since) < doubtFor {
		return true
	}
	delete(w.lacking, id)
	delete(w.last, id) // all that is said is that it has gone
	return false
}

// within gives a conversation that could not be read little time.
func (w *ward) within(ctx context.Context, id int64) (context.Context, context.CancelFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b := w.beds[id]; b != nil {
		return context.WithTimeout(ctx, b.patience)
	}
	return ctx, func() {}
}

// visit reads a page of a conversation. more: there may be rows behind it.
func (s *Source) visit(ctx context.Context, id int64, w want) (rows []datasource.Entry, more bool, err error) {
	if w.partial {
		var cancel context.CancelFunc
		ctx, cancel = s.sick().within(ctx, id)
		defer cancel()
	}
	if !w.peeks() {
		return s.present(ctx, id, w)
	}
	early, more, err := s.early(ctx, id, w)
	if err != nil || more {
		return early, more, err
	}
	rows, more, err = s.present(ctx, id, w)
	return unique(append(early, rows...)), more, err
}

// present reads a page by its times. Where the conversation may be left out, the answer has
// to have the newest change that is known: an empty list is not believed at once.
func (s *Source) present(ctx context.Context, id int64, w want) (rows []datasource.Entry, more bool, err error) {
	if !w.partial {
		return s.pageOf(ctx, id, w)
	}
	wider, known := w, s.sick().known(id)
	if known.ID != 0 && !w.unbounded() && known.Time <= w.after.Time {
		wider.after = feed.Key{Time: known.Time}
		wider.limit++
	}
	rows, more, err = s.pageOf(ctx, id, wider)
	if err == nil && wider.after != w.after && more {
		s.sick().crowded(id) // its time is that of more rows than a page has
		rows, more, err = s.pageOf(ctx, id, w)
		wider = w
	}
	if err != nil {
		return nil, false, err
	}
	if known.ID != 0 && known.Compare(wider.after) > 0 && !more {
		has := slices.ContainsFunc(rows, func(e datasource.Entry) bool { return e.ID == known.ID })
		if s.sick().lacks(id, !has) {
			return nil, false, errLacks
		}
	}
	s.sick().saw(rows)
	return slices.DeleteFunc(rows, func(e datasource.Entry) bool { return !w.within(&e) }), more, nil
}
