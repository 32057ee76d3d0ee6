package chathttp

import (
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
)

// bare is a session without a Chat.
func bare(acks bool, events int) *session {
	u := newUser(nil)
	s := &session{h: &Handler{opts: Options{LogEvents: events, LogBytes: 1 << 20, Keep: 1}}, user: u, acks: acks, more: make(chan struct{}, 1)}
	s.room.L = &s.mu
	return s
}

func numbers(list []event) (out []uint64) {
	for _, e := range list {
		out = append(out, e.n)
	}
	return out
}

// A request that a proxy has held back comes after a newer one.
func TestAnOldRequestDoesNotSpoilTheStreamForANewerOne(t *testing.T) {
	t.Parallel()
	s := bare(true, 10)
	for i := range 5 {
		s.push("", []byte(strconv.Itoa(i)))
	}
	first, reason := s.attach(0)
	require.Empty(t, reason)
	list, over, ok := s.take(first)
	require.NoError(t, over)
	require.True(t, ok)
	assert.Equal(t, []uint64{1, 2, 3, 4, 5}, numbers(list))
	stale, reason := s.attach(3)
	require.Empty(t, reason)
	_, _, ok = s.take(first)
	assert.False(t, ok, "a connection that was replaced takes nothing")
	newest, reason := s.attach(5)
	assert.Empty(t, reason)
	_, _, ok = s.take(stale)
	assert.False(t, ok)
	list, _, ok = s.take(newest)
	assert.True(t, ok)
	assert.Empty(t, list)
	_, reason = s.attach(4)
	assert.Equal(t, "old", reason, "it has said that it has more")
	_, reason = s.attach(6)
	assert.Equal(t, "invalid", reason)
}

func TestWhatAnAcknowledgingPageHasNotConfirmedIsKept(t *testing.T) {
	t.Parallel()
	for acks, waits := range map[bool]bool{true: true, false: false} {
		synctest.Test(t, func(t *testing.T) {
			s := bare(acks, 3)
			kicked, _ := s.attach(0)
			for i := range 3 {
				s.push("", []byte(strconv.Itoa(i)))
			}
			done := false
			go func() {
				s.push("", []byte("more"))
				s.mu.Lock()
				done = true
				s.mu.Unlock()
			}()
			synctest.Wait()
			_, _, ok := s.take(kicked)
			require.True(t, ok)
			s.mu.Lock()
			s.room.Broadcast()
			s.mu.Unlock()
			synctest.Wait()
			s.mu.Lock()
			assert.Equal(t, !waits, done)
			s.mu.Unlock()
			s.arrived(2)
			synctest.Wait()
			s.mu.Lock()
			assert.True(t, done)
			s.mu.Unlock()
			s.arrived(99) // forged: it was never written
			assert.Len(t, s.log, map[bool]int{true: 2, false: 2}[acks])
			s.stop(chat.ErrClosed)
			s.push("", []byte("nobody waits for room any more"))
			assert.Empty(t, s.log)
		})
	}
}

func TestAStreamThatIsOverIsKeptForNobody(t *testing.T) {
	t.Parallel()
	s := bare(false, 3)
	s.user.sessions["x"] = s
	s.id = "x"
	kicked, _ := s.attach(0)
	s.push("", []byte("last"))
	s.end(nil)
	list, over, ok := s.take(kicked)
	require.True(t, ok)
	assert.Len(t, list, 1, "its page still gets what there is")
	require.ErrorIs(t, over, chat.ErrClosed)
	s.detach(kicked)
	assert.Empty(t, s.user.sessions)
	_, reason := s.attach(1)
	assert.Equal(t, "unknown", reason)

	s = bare(false, 3)
	s.user.sessions["y"] = s
	s.id = "y"
	s.end(chat.ErrClosed)
	assert.Empty(t, s.user.sessions, "no page is there to be told")
}

func TestValuesOfABodyAreCounted(t *testing.T) {
	t.Parallel()
	for raw, n := range map[string]int{`[]`: 1, `[1,2]`: 2, `{"a":[1]}`: 2, `["a,b[{"]`: 1, `["a\",[","\\",1]`: 3, ``: 0, `"`: 0, `"\`: 0} {
		assert.Equal(t, n, values([]byte(raw)), raw)
	}
}
