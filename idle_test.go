package chat_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
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
