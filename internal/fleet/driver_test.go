package fleet_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
)

// store is a server of one conversation.
type store struct {
	mu   sync.Mutex
	rows []feed.Row
	down bool
	asks atomic.Int64
}

func (s *store) Ask(ctx context.Context, r fleet.Request) (fleet.Answer, error) {
	s.asks.Add(1)
	time.Sleep(100 * time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	a := fleet.Answer{Clock: at(time.Now())}
	switch {
	case s.down:
		return a, errors.New("down")
	case r.Kind == fleet.List:
		a.Listed = []fleet.Listing{{Conversation: 1, Created: 1, Users: []int32{5}}}
		if n := len(s.rows); n > 0 {
			a.Listed[0].Changed = s.rows[n-1].Updated
		}
	case r.Kind == fleet.Look:
		for i := len(s.rows) - 1; i >= max(0, len(s.rows)-r.Limits[0]); i-- {
			a.Rows = append(a.Rows, s.rows[i])
		}
	default:
		for _, row := range s.rows {
			if (feed.Key{Time: row.Updated, ID: row.ID}).Compare(r.After) > 0 {
				a.Rows = append(a.Rows, row)
			}
		}
	}
	return a, ctx.Err()
}

func TestADriverTellsWhatIsNewAndEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, log := &store{}, fleet.NewLog(fleet.LogConfig{})
		var changed, moved atomic.Int64
		d := fleet.NewDriver(fleet.DriverConfig{
			Fleet: fleet.Config{Since: at(time.Now())}, Log: log, Source: s, Strategy: fleet.NewBells(),
			Judge:   func(error) fleet.Failure { return fleet.Failure{} },
			Changed: func(ids []int64) { changed.Add(int64(len(ids))) },
			Moved:   func(users map[int32]bool) { moved.Add(int64(len(users))) },
		})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { d.Run(ctx) })
		time.Sleep(10 * time.Second)
		assert.Equal(t, int64(1), moved.Load())
		say := func(id int64) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.rows = append(s.rows, row(id, 1, time.Now()))
		}
		say(1)
		d.Ring(1)
		time.Sleep(time.Second)
		assert.Equal(t, int64(1), changed.Load(), "a bell is answered within a second")
		s.mu.Lock()
		s.down = true
		s.mu.Unlock()
		say(2)
		d.Sent(1)
		time.Sleep(time.Minute)
		assert.Equal(t, int64(1), changed.Load())
		s.mu.Lock()
		s.down = false
		s.mu.Unlock()
		time.Sleep(12 * time.Second)
		assert.Equal(t, int64(2), changed.Load(), "an outage is over soon after its end")
		before := s.asks.Load()
		time.Sleep(time.Hour)
		assert.Less(t, s.asks.Load()-before, int64(1300), "a quiet fleet asks little")
		cancel()
		wg.Wait()
	})
}
