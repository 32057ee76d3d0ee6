package hub_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
	"github.com/fliplet/fliplet-chat-go/internal/fleet/hub"
)

// person is a Desk with its engine.
type person struct {
	listener
	desk *hub.Desk
	gaps int
	busy bool // the function does not return
}

func sit(t *testing.T, h *hub.Hub, rooms []int64) *person {
	p := &person{listener: listener{t: t, news: map[string]int{}, ids: map[int64][]int64{}, gone: map[int64]int{}}, desk: h.Listen("a", 0, func(*datasource.Entry) bool { return true })}
	p.engine = feed.New(fleet.EngineConfig(feed.Config{}))
	p.desk.Enter(p)
	p.id = p.engine.Subscribe(time.Now(), feed.FromNow)
	p.desk.Start()
	members := make([]feed.Member, len(rooms))
	for i, id := range rooms {
		members[i] = feed.Member{Conversation: id, Created: feed.Time(time.Now().UnixMicro())}
	}
	p.desk.Assign(members, time.Now())
	p.run(time.Second, members)
	return p
}

// run lets the engine work for a while.
func (p *person) run(d time.Duration, members []feed.Member) {
	nothing := func(context.Context, feed.Query) ([]feed.Row, error) { return nil, nil }
	for end := time.Now().Add(d); ; {
		now := time.Now()
		if p.poked.Swap(false) {
			p.engine.Poke(now)
		}
		for !p.busy && p.engine.Pending(p.id) > 0 {
			if e, _ := p.engine.Take(p.id); e.Gap != nil {
				p.gaps++
				p.engine.Ack(p.id)
				continue
			}
			p.take()
		}
		switch q := p.engine.Next(now).Query; q.Kind {
		case 0:
			if !now.Before(end) {
				return
			}
			time.Sleep(100 * time.Millisecond)
		case feed.Members:
			p.engine.Members(now, members)
		default:
			rows, short, clock, err := p.desk.Page(p.t.Context(), q, nothing)
			switch {
			case err != nil:
				p.engine.Failed(time.Now(), 0)
			case short:
				p.engine.ShortPage(time.Now(), rows, clock, 0)
			default:
				p.engine.Page(time.Now(), rows, clock)
			}
		}
	}
}

func TestAListenerThatWasBusyGetsEveryMessageWithItsContent(t *testing.T) {
	t.Parallel()
	const n = 600
	for name, c := range map[string]struct {
		fault func(*fliplettest.Server) *fliplettest.Lever
		gone  int // messages that are deleted meanwhile
	}{
		"all is well": {},
		"every third query fails": {fault: func(s *fliplettest.Server) *fliplettest.Lever {
			return s.Sometimes(.33, fliplettest.Query, fliplettest.Status(500))
		}},
		"every other read is behind": {fault: func(s *fliplettest.Server) *fliplettest.Lever {
			return s.Sometimes(.5, fliplettest.Query, fliplettest.Lag(10*time.Minute))
		}},
		"answers have nothing": {fault: func(s *fliplettest.Server) *fliplettest.Lever {
			return s.Sometimes(.5, fliplettest.Query, fliplettest.Answer(200, `{"entries":[]}`))
		}},
		"some are deleted": {gone: 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := fliplettest.New(t, fliplettest.InProcess())
				rooms := roomsOf(srv, 6)
				h := open(t, srv, fleet.LogConfig{Contents: 20})
				p := sit(t, h, rooms)
				p.busy = true
				for i := 0; i < n; i += 30 {
					add(srv, rooms, i, 30)
					p.run(3*time.Second, nil)
				}
				require.True(t, p.engine.Park(p.id, func(p any) any { return p }))
				for i := range c.gone {
					require.NoError(t, srv.Client().Delete(t.Context(), rooms[2], srv.Rows(rooms[2])[5*i+45].ID))
				}
				time.Sleep(10 * time.Second)
				var lever *fliplettest.Lever
				if c.fault != nil {
					lever = c.fault(srv)
				}
				p.busy = false
				p.run(5*time.Minute, nil)
				if lever != nil {
					assert.Positive(t, lever.Hits())
				}
				p.has(n - c.gone)
				assert.Zero(t, p.gaps)
			})
		})
	}
}

func TestAMessageThatNobodyShowsAnyMoreIsAGap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := fliplettest.New(t, fliplettest.InProcess())
		rooms := roomsOf(srv, 2)
		h := open(t, srv, fleet.LogConfig{Contents: 20})
		p := sit(t, h, rooms)
		p.busy = true
		for i := 0; i < 300; i += 30 {
			add(srv, rooms, i, 30)
			p.run(3*time.Second, nil)
		}
		require.True(t, p.engine.Park(p.id, func(p any) any { return p }))
		srv.Always(fliplettest.Query, fliplettest.Answer(200, `{"entries":[]}`))
		p.busy = false
		p.run(20*time.Second, nil)
		assert.Zero(t, p.gaps, "it waits first")
		p.run(15*time.Minute, nil)
		assert.Positive(t, p.gaps)
		p.has(300 - p.gaps)
	})
}
