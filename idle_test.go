package chat_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// Not parallel: it counts the goroutines of the process.
func TestIdleStreamsHaveNoGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane")
		conv := w.converse(jane, "bob")
		var list []*chat.Chat
		var got []*recorder
		count := func(streams int) int {
			for len(list) < streams {
				bob := w.login("bob", func(o *chat.Options) { o.LivePollInterval, o.PollInterval = time.Minute, time.Minute })
				list, got = append(list, bob), append(got, stream(t, bob))
			}
			time.Sleep(10*time.Minute + 17*time.Millisecond)
			synctest.Wait()
			return runtime.NumGoroutine()
		}
		few := count(1)
		assert.Less(t, count(101), few+10, "what ends and the runtime make it inexact")
		w.say(jane, conv, "hello")
		time.Sleep(5 * time.Minute)
		for i, r := range got {
			assert.Equal(t, []string{"hello"}, bodies(r.all()))
			require.NoError(t, list[i].Shutdown(t.Context()))
		}
	})
}

// Not parallel: it looks at the heap.
func TestAnIdleChatKeepsNoRoomForWhatItHasReceived(t *testing.T) {
	const chats = 50
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		conv := w.converse(w.login("jane"), "bob")
		list := make([]datasource.M, 200)
		for i := range list {
			list[i] = datasource.M{"body": "hello", "fromUserId": "u", "guid": fmt.Sprint(i)}
		}
		w.AddRows(conv.ID, list...)
		w.ShiftClock(time.Minute)
		begin := func() *chat.Chat {
			bob := w.login("bob", func(o *chat.Options) { o.LivePollInterval, o.PollInterval = time.Minute, time.Minute })
			n := 0
			_, err := bob.Stream(t.Context(), func(*chat.Message) { n++ })
			require.NoError(t, err)
			for range 3 {
				require.NoError(t, bob.Poll(t.Context()))
			}
			require.Equal(t, 200, n)
			return bob
		}
		kept := []*chat.Chat{begin()}
		before := inUse()
		for range chats {
			kept = append(kept, begin())
		}
		each := (int64(inUse()) - int64(before)) / chats //nolint:gosec // sizes
		t.Logf("%d bytes a chat", each)
		assert.Less(t, each, int64(100<<10), "of which what it remembers of 200 messages is a third")
		for _, c := range kept {
			require.NoError(t, c.Shutdown(t.Context()))
		}
	})
}

// Not parallel: it looks at the heap.
func TestAnIdleChatThatHasNothingToRememberIsSmall(t *testing.T) {
	const chats = 200
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		w.converse(w.login("jane"), "bob")
		client := w.Client()
		var kept []*chat.Chat
		begin := func() {
			bob := w.login("bob", func(o *chat.Options) { o.Client, o.LivePollInterval, o.PollInterval = client, time.Minute, time.Minute })
			_, err := bob.Stream(t.Context(), func(*chat.Message) {}, chat.StartAt(chat.FromNow))
			require.NoError(t, err)
			require.NoError(t, bob.Poll(t.Context()))
			kept = append(kept, bob)
		}
		count := func() (m runtime.MemStats) {
			inUse()
			runtime.ReadMemStats(&m)
			return m
		}
		begin()
		before := count()
		for range chats {
			begin()
		}
		after := count()
		pieces, size := int64(after.HeapObjects-before.HeapObjects)/chats, int64(after.HeapAlloc-before.HeapAlloc)/chats //nolint:gosec // sizes
		t.Logf("%d pieces of %d bytes together", pieces, size)
		assert.Less(t, pieces, int64(46))
		assert.Less(t, size, int64(7_600))
		for i, is := range after.BySize {
			if slices.Contains([]uint32{416, 768, 896, 1152}, is.Size) { // the engine, the Chat, a listener, the session
				was := before.BySize[i]
				each := float64(is.Mallocs-is.Frees-was.Mallocs+was.Frees) / chats
				assert.Greater(t, each, 0.9, "what had %d bytes has grown to the next size that the Go runtime has", is.Size)
			}
		}
		for _, c := range kept {
			require.NoError(t, c.Shutdown(t.Context()))
		}
	})
}
