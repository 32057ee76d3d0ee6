package feed_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// What is answered may be from before the user joined, although it comes after.
func TestAListThatWasBeingReadWhenTheUserJoinedIsReadOnceMore(t *testing.T) {
	t.Parallel()
	joined := func(h *harness) { h.feed.Joined(h.now) }
	for name, c := range map[string]struct {
		loaded bool // a list was read before
		ask    func(*harness)
		failed bool // the reading fails
		want   int  // readings after it
	}{
		"the first list":              {ask: joined, want: 1},
		"a later list":                {loaded: true, ask: joined, want: 1},
		"told more than once":         {loaded: true, ask: func(h *harness) { joined(h); joined(h); joined(h) }, want: 1},
		"all is to be shown again":    {loaded: true, ask: func(h *harness) { h.feed.Reset(h.now) }, want: 1},
		"the list could not be read":  {loaded: true, ask: joined, failed: true, want: 1},
		"nobody has joined":           {loaded: true, ask: func(*harness) {}},
		"nobody, and it is the first": {ask: func(*harness) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(feed.Config{}, 1)
			id := h.feed.Subscribe(h.now, feed.FromNow)
			if c.loaded {
				h.run()
				h.pass(time.Minute)
				h.feed.Joined(h.now)
			}
			require.Equal(t, feed.Members, h.feed.Next(h.now).Query.Kind)
			before := h.roster()
			h.members[2] = h.fakeServer.now
			c.ask(h)
			if c.failed {
				h.feed.Failed(h.now, 0)
			} else {
				h.feed.Members(h.now, before)
			}
			readings := 0
			for end := h.now.Add(time.Minute); h.now.Before(end); h.pass(time.Second) {
				for q := h.feed.Next(h.now).Query; q.Kind != 0; q = h.feed.Next(h.now).Query {
					if q.Kind == feed.Members {
						readings++
						h.feed.Members(h.now, h.roster())
					} else {
						h.feed.Page(h.now, h.answer(q), feed.Clock{})
					}
				}
			}
			assert.Equal(t, c.want, readings)
			if c.want > 0 {
				h.drain(id)
				sent := h.send(2)
				h.poll()
				assert.Equal(t, []int64{sent}, ids(h.drain(id)))
			}
		})
	}
}

// The user may leave a conversation while the first page is asked for. What is missed then is
// what any absence misses.
func TestAConversationThatWasLeftBeforeTheFirstPageIsJoinedAgain(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"newest": "1 history, 1 new, 0 gaps, 0 others", "now": "0 history, 1 new, 1 gaps, 0 others", "beginning": "1 history, 1 new, 0 gaps, 0 others"} {
		for _, durable := range []bool{false, true} {
			h := newHarness(feed.Config{}, 1, 2)
			h.dated = true
			h.send(1)
			h.pass(time.Minute)
			id := h.subscribe(t, starts[name], durable)
			require.Equal(t, feed.Members, h.feed.Next(h.now).Query.Kind)
			before := h.roster()
			delete(h.members, 2)
			h.feed.Joined(h.now) // elsewhere
			h.feed.Members(h.now, before)
			h.poll()
			h.drain(id)
			h.send(2) // which is missed
			for range 3 {
				h.pass(time.Minute)
				h.send(1)
				h.poll()
				h.drain(id)
			}
			h.members[2] = 1
			h.feed.Joined(h.now)
			h.pass(time.Second)
			h.poll()
			events := h.drain(id)
			h.pass(time.Minute)
			h.send(2)
			h.poll()
			assert.Equal(t, want, told(append(events, h.drain(id)...)), "from %s, durable %v", name, durable)
		}
	}
}
