package receive

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// event makes an event of a text: "n1" is message 1, new; "u" changed, "d" deleted,
// "r" replayed, "g" unreadable; "h" is a gap of history.
func event(text string) feed.Event {
	e := feed.Event{Row: feed.Row{ID: int64(text[1] - '0'), Conversation: 7, Payload: "body"}}
	switch text[0] {
	case 'u':
		e.Update = true
	case 'd':
		e.Deleted = true
	case 'r':
		e.Update, e.Replay = true, true
	case 'g':
		e.Gap = &feed.Gap{Conversation: 7, Row: e.Row.ID}
	case 'h':
		e = feed.Event{Gap: &feed.Gap{Conversation: 7}}
	}
	return e
}

func describe(e feed.Event) string {
	kind := "n"
	switch {
	case e.Gap != nil && e.Gap.Row == 0:
		return "h0"
	case e.Gap != nil:
		kind = "g"
	case e.Replay:
		kind = "r"
	case e.Deleted:
		kind = "d"
	case e.Update:
		kind = "u"
	}
	return fmt.Sprint(kind, e.Row.ID)
}

func TestWhatWaitsIsReplacedByWhatComes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ come, wait, done, running string }{
		{"n1 n2 n3", "n3", "n1 n2", ""},
		{"n1 n2 n3", "n1 n3", "n2", "n1"},
		{"n1 u0", "n1 u0", "", ""},
		{"n1 u0 u9 d8", "n1 d8", "u0 u9", ""},
		{"u0 n1", "n1", "u0", ""},
		{"n1 u1", "n1+n1", "", ""},
		{"n1 u1 u1", "n1+n1+n1", "", ""},
		{"n1 u1 n2", "n2", "n1 n1", ""},
		{"n1 u1", "n1 u1", "", "n1"},
		{"n1 d1", "", "n1 d1", ""},
		{"n1 u1 d1 n2", "n2", "n1 d1 n1", ""},
		{"n1 u0 d1", "u0", "n1 d1", ""},
		{"h0 n1 n2", "h0 n2", "n1", ""},
		{"n1 g2 n3 h0 n4", "g2 h0 n4", "n1 n3", ""},
		{"n1 r1 r2", "n1 r2", "r1", ""},
		{"n1 n2 u2 n3 d3", "n1", "n2 n2 n3 d3", "n1"},
		{"n1 u1 n2", "n1+u1 n2", "", "n1"},
		{"n1 u1 u1 n2", "n1+u1+u1 n2", "", "n1"},
		{"n1 n2 u1 n3", "n1+u1 n3", "n2", "n1"},
	} {
		for _, policy := range []Policy{{Newest: true}, {Quiet: time.Second}} {
			l := &lane{}
			var done []string
			for i, e := range strings.Fields(tc.come) {
				for _, d := range l.add(event(e), 0, time.Time{}, policy) {
					done = append(done, describe(d))
				}
				if i == 0 && tc.running != "" {
					l.running = 1
				}
			}
			var wait []string
			for _, w := range l.waiting {
				text := describe(w.Event)
				for _, also := range append(w.earlier, w.later...) {
					text += "+" + describe(also)
					assert.Nil(t, also.Row.Payload, "it need not be kept")
				}
				wait = append(wait, text)
			}
			assert.Equal(t, tc.wait, strings.Join(wait, " "), tc.come)
			slices.Sort(done)
			want := strings.Fields(tc.done)
			slices.Sort(want)
			assert.Equal(t, strings.Join(want, " "), strings.Join(done, " "), tc.come)
		}
		l := &lane{}
		for _, e := range strings.Fields(tc.come) {
			assert.Empty(t, l.add(event(e), 0, time.Time{}, Policy{}))
		}
		assert.Len(t, l.waiting, len(strings.Fields(tc.come)), "a queue keeps everything")
	}
}

func TestAMessageThatReplacesAFailedOneHasItsOwnAttempts(t *testing.T) {
	t.Parallel()
	for _, next := range []string{"n2", "u1"} {
		l := &lane{}
		l.add(event("n1"), 0, time.Time{}, Policy{Newest: true})
		l.attempts, l.retry = 7, time.Unix(100, 0)
		l.add(event(next), 0, time.Time{}, Policy{Newest: true})
		assert.Zero(t, l.attempts)
		assert.Zero(t, l.due(Policy{Newest: true}))
	}
	l := &lane{}
	l.add(event("n1"), 0, time.Time{}, Policy{})
	l.attempts, l.retry = 7, time.Unix(100, 0)
	l.add(event("n2"), 0, time.Time{}, Policy{})
	assert.Equal(t, 7, l.attempts, "a queue tries it again")
	assert.Equal(t, time.Unix(100, 0), l.due(Policy{}))
}

func TestAMessageThatFailsWhileANewerOneWaitsIsDoneWith(t *testing.T) {
	t.Parallel()
	newest := Policy{Newest: true}
	for come, want := range map[string]string{"n1 n2": "n1", "n1 u1 n2": "n1 u1", "n1 u0": "", "n1 h0": "", "h0 n1": ""} {
		l := &lane{}
		for _, e := range strings.Fields(come) {
			assert.Empty(t, l.add(event(e), 0, time.Time{}, newest))
			l.running = 1
		}
		l.running, l.attempts = 0, 1
		done := ""
		for _, e := range l.overtaken() {
			done += " " + describe(e)
		}
		assert.Equal(t, want, strings.TrimSpace(done), come)
		assert.Equal(t, want == "", l.attempts == 1, come)
	}
}

// A version of a message that is acknowledged while an earlier one is being handled
// would make the message known after a crash.
func TestNoVersionIsAcknowledgedBeforeAnEarlierOne(t *testing.T) {
	t.Parallel()
	l := &lane{}
	l.add(event("n1"), 0, time.Time{}, Policy{})
	assert.Empty(t, l.ignore(event("u1")))
	assert.Len(t, l.ignore(event("u2")), 1)
	w := l.pop()
	assert.Len(t, w.all(), 2)
}
