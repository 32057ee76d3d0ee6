package rows

import (
	"context"
	"errors"
	"maps"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// A look asks about many conversations, and one of them may spoil it for all: the server
// refuses it, fails or hangs. Where conversations may be left out, such a look is split:
// first in about as many parts as these have conversations, then the parts that fail into
// single ones. Those that fail by themselves are left out like others that cannot be read,
// and have no part in looks until they can. So one that spoils a look of 100 costs 20
// requests when it is found, and one each time that it is tried again.

// splitAgain is how long looks are not split after none of the parts has succeeded: then
// it is not one conversation, but the server that fails.
const splitAgain = time.Minute

// spoilt is a look that has failed.
type spoilt struct {
	members []Member
	err     error
}

// hung reports whether there was no answer to it.
func (s *spoilt) hung() bool {
	return s.late() != nil || errors.Is(s.err, datasource.ErrNoAnswer) || errors.Is(s.err, context.DeadlineExceeded)
}

// newestOf returns the newest live rows of each conversation that has one, and
// of those that cannot be looked at why.
func (s *Source) newestOf(ctx context.Context, members []Member, w want) (newest map[int64][]feed.Key, sick map[int64]error, err error) {
	newest = make(map[int64][]feed.Key, len(members))
	failed, joined, err := s.lookAt(ctx, members, w, newest)
	if err != nil || len(failed) == 0 {
		return newest, nil, err
	}
	h := s.Endpoint.joins()
	defer drop(failed)
	if now := time.Now(); !joined && !h.splits(now) {
		return newest, nil, await(failed, newest)
	}
	sick = map[int64]error{}
looks:
	for i, f := range failed {
		before := len(sick)
		var patience time.Duration // that of the request
		if f.hung() {
			patience = shortPatience
		}
		n := int(math.Ceil(math.Sqrt(float64(len(f.members)))))
		parts, some, err := s.looks(ctx, slices.Collect(slices.Chunk(f.members, n)), w, patience, newest)
		if joined = joined || some; err != nil {
			return nil, nil, err
		}
		if !joined {
			h.inVain(time.Now())
			if err := await(failed[i:i+1], newest); err != nil {
				return nil, nil, err
			}
			h.calms(time.Now())
			joined = true
			continue
		}
		all := len(parts)*n >= len(f.members) // no part has succeeded
		for len(parts) > 0 {
			some := parts
			if all { // one part first, since the server may be down by now
				some = parts[:1]
			}
			parts = parts[len(some):]
			var single [][]Member
			for _, part := range some {
				single = slices.AppendSeq(single, slices.Chunk(part.members, 1))
			}
			alone, _, err := s.looks(ctx, single, w, patience, newest)
			if err != nil {
				return nil, nil, err
			}
			if all && len(alone) == len(single) {
				if err := await(failed[i:i+1], newest); err != nil {
					return nil, nil, err
				}
				h.calms(time.Now())
				continue looks
			}
			all = false
			for _, one := range alone {
				if sick[one.members[0].ID] = one.err; f.late() != nil && one.hung() {
					sick[one.members[0].ID] = nil // its read tells whether it answers at all
					if !errors.Is(one.err, datasource.ErrNoSlot) {
						s.sick().blame(one.members[0].ID)
					}
				}
			}
		}
		if f.late() != nil && len(sick) == before {
			h.calms(time.Now())
		}
	}
	return newest, sick, nil
}

// lookAt looks at as many conversations at a time as the server takes. It tries half as
// many each time that the server refuses them in a way that may be for their number, and
// keeps in mind what it has found.
func (s *Source) lookAt(ctx context.Context, members []Member, w want, newest map[int64][]feed.Key) (failed []spoilt, joined bool, err error) {
	now, h := time.Now(), s.Endpoint.joins()
	size, fewer := h.size(now)
	var patience time.Duration
	if w.partial && h.hurries(now) {
		patience = tillLate
	}
	look := func() error {
		failed, joined, err = s.looks(ctx, slices.Collect(slices.Chunk(members, size)), w, patience, newest)
		if err == nil && len(failed) > 0 {
			return failed[0].err
		}
		return err
	}
	for refusal := look(); fewer && tooMany(refusal); {
		if size = min(size, len(members)) / 2; size < fewJoins {
			h.found(1, now) // it is not their number
			break
		}
		if _, refusal = s.chunk(ctx, members[:size], w); refusal != nil {
			continue
		}
		if refusal = look(); refusal == nil {
			h.found(size, now)
			s.Log.Info("the server refuses to be asked about many conversations in one request", "now", size)
		}
	}
	return failed, joined, err
}

// tooMany reports whether a query was refused in a way that may be for the number of its
// joins.
func tooMany(err error) bool {
	said, answer := errors.AsType[*datasource.Error](err)
	return answer && (said.StatusCode == http.StatusBadRequest || said.StatusCode == http.StatusRequestEntityTooLarge)
}

// looks looks at several chunks of conversations at the same time, and puts what it sees
// into newest. joined: one look at more than one conversation has succeeded. An error says
// nothing about single conversations.
func (s *Source) looks(ctx context.Context, chunks [][]Member, w want, patience time.Duration, newest map[int64][]feed.Key) (failed []spoilt, joined bool, err error) {
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	next := make(chan []Member)
	var wg sync.WaitGroup
	for range min(maxConcurrent, len(chunks)) {
		wg.Go(func() {
			for members := range next {
				var found map[int64][]feed.Key
				var err error
				if patience == tillLate {
					found, err = s.chunkOrLate(ctx, outer, members, w)
				} else {
					found, err = s.chunkWithin(ctx, members, w, patience)
				}
				if err != nil && (!w.partial || ctx.Err() != nil || errors.Is(err, errHeads) || errors.Is(err, datasource.ErrRateLimited)) {
					cancel(err)
					continue
				}
				mu.Lock()
				if err != nil {
					failed = append(failed, spoilt{members, err})
				} else {
					maps.Copy(newest, found)
					joined = joined || len(members) > 1
				}
				mu.Unlock()
			}
		})
	}
	for _, members := range chunks {
		next <- members
	}
	close(next)
	wg.Wait()
	if ctx.Err() != nil {
		drop(failed)
		return nil, false, context.Cause(ctx)
	}
	return failed, joined, nil
}

// chunkWithin is chunk with little time, if patience is not 0.
func (s *Source) chunkWithin(ctx context.Context, members []Member, w want, patience time.Duration) (map[int64][]feed.Key, error) {
	if patience != 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	return s.chunk(ctx, members, w)
}

// splits reports whether a look may be split.
func (h *heads) splits(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !now.Before(h.vain)
}

// inVain notes that splitting a look has shown nothing.
func (h *heads) inVain(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.vain = now.Add(splitAgain)
}

// A look may take long because of one conversation whose reads do. So one that does is
// split, too, while it goes on: when it turns out that no conversation is why, its answer
// counts, and for a minute looks are given their time.

// tillLate is the patience with a look that may be found late.
const tillLate time.Duration = -1

// lateLook is why a look is split that goes on.
type lateLook struct {
	stop   context.CancelFunc
	over   chan struct{}
	newest map[int64][]feed.Key
	err    error
}

func (*lateLook) Error() string { return "the look at the newest rows of conversations takes long" }

// late is the look that goes on, nil if none does.
func (s *spoilt) late() *lateLook {
	l, _ := errors.AsType[*lateLook](s.err)
	return l
}

// chunkOrLate is chunk. It fails with a lateLook when that takes long.
func (s *Source) chunkOrLate(ctx, outer context.Context, members []Member, w want) (map[int64][]feed.Key, error) {
	outer, stop := context.WithCancel(outer)
	l, stir := &lateLook{stop: stop, over: make(chan struct{})}, make(chan struct{}, 1)
	m := &meter{stir: stir}
	look := func() {
		l.newest, l.err = s.chunk(datasource.UnderWay(outer, m.tell), members, w)
		close(l.over)
	}
	if !s.Beside(look) {
		look() // everything is about to end
	}
	timer := time.NewTimer(slowAfter)
	defer timer.Stop()
	for {
		select {
		case <-l.over:
			stop()
			return l.newest, l.err
		case <-ctx.Done():
			stop()
			return nil, context.Cause(ctx)
		case <-stir:
		case <-timer.C:
		}
		spent, at := m.read(slowAfter)
		if spent >= slowAfter {
			return nil, l
		}
		if !at.IsZero() {
			timer.Reset(time.Until(at))
		}
	}
}

// await waits for looks that go on, and returns why others have failed.
func await(failed []spoilt, newest map[int64][]feed.Key) error {
	for _, f := range failed {
		l := f.late()
		if l == nil {
			return f.err
		}
		if <-l.over; l.err != nil {
			return l.err
		}
		maps.Copy(newest, l.newest)
	}
	return nil
}

// drop ends looks that go on.
func drop(failed []spoilt) {
	for _, f := range failed {
		if l := f.late(); l != nil {
			l.stop()
		}
	}
}

// hurries reports whether a look is split when it takes long.
func (h *heads) hurries(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !now.Before(h.vain) && !now.Before(h.calm)
}

// calms notes that no conversation was why a look took long.
func (h *heads) calms(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calm = now.Add(splitAgain)
}
