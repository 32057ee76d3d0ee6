package chat_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestAnAnswerThatDripsDoesNotEndReception(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fliplettest.Fault{
		"a byte a second":      fliplettest.Drip(1, time.Second),
		"a byte in 14 seconds": fliplettest.Drip(1, 14*time.Second),
		"stops after 9 bytes":  fliplettest.Drip(9, 1000*time.Hour),
		"never begins":         fliplettest.DelayAnswer(1000 * time.Hour),
		"is not looked at":     fliplettest.Delay(1000 * time.Hour),
	} {
		for _, route := range []fliplettest.Route{fliplettest.CrossSource, fliplettest.ListSources} {
			t.Run(name+" "+string(route), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, fliplettest.InProcess())
					jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
					conv := w.converse(jane, "bob")
					toBob := stream(t, bob)
					lever := w.Next(1, route, f)
					w.say(jane, conv, "one")
					ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
					defer cancel()
					_ = bob.Poll(ctx, chat.Reset()) // which reads the list again, and takes a while
					w.say(jane, conv, "two")
					time.Sleep(17 * time.Second) // it is given up after 15
					synctest.Wait()
					assert.Equal(t, 1, lever.Hits())
					assert.Equal(t, []string{"one", "two"}, bodies(newOnes(toBob.all())))
				})
			})
		}
	}
}

// A slow connection is no drip.
func TestASlowAnswerThatGetsOnIsRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane", asUsual)
		conv := w.converse(jane, "bob")
		archive(w, conv, 49, 49)
		lever := w.Always(fliplettest.CrossSource, fliplettest.Drip(512, time.Second))
		got, err := jane.Messages(t.Context())
		require.NoError(t, err)
		assert.Len(t, got, 49)
		assert.Equal(t, 1, lever.Hits())
	})
}

// newOnes are the messages that came as new.
func newOnes(list []*chat.Message) (out []*chat.Message) {
	for _, m := range list {
		if !m.IsUpdate {
			out = append(out, m)
		}
	}
	return out
}
