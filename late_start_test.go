package chat_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// lateStarts are ways in which the first page of a listener comes late.
var lateStarts = map[string]struct {
	fault fliplettest.Fault
	most  int // requests that meet it
}{
	"fails":      {fliplettest.Status(503), 1000},
	"breaks":     {fliplettest.LoseAnswer(), 1000},
	"hangs":      {fliplettest.Delay(time.Hour), 1000},
	"lags":       {fliplettest.DelayAnswer(8 * time.Second), 1},
	"comes late": {fliplettest.Delay(8 * time.Second), 1},
}

func TestWhatIsSaidWhileTheFirstPageOfAListenerFromNowIsLateIsNew(t *testing.T) {
	t.Parallel()
	for name, start := range lateStarts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			servers(t, func(t *testing.T, w *world) {
				jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
				conv := w.converse(jane, "bob")
				for i := range 5 {
					time.Sleep(700 * time.Millisecond)
					w.say(jane, conv, fmt.Sprint("before ", i))
				}
				poll, query := w.Next(start.most, fliplettest.CrossSource, start.fault), w.Next(start.most, fliplettest.Query, start.fault)
				streamed, consumed := &heard{}, &heard{}
				_, err := bob.Stream(t.Context(), streamed.message, chat.StartAt(chat.FromNow))
				require.NoError(t, err)
				go func() {
					_ = bob.Consume(t.Context(), "c", func(_ context.Context, m *chat.Message) error { consumed.message(m); return nil }, chat.StartAt(chat.FromNow))
				}()
				var want []string
				for i := range 9 {
					time.Sleep(2 * time.Second)
					want = append(want, fmt.Sprint("after ", i))
					w.say(jane, conv, want[i])
				}
				poll.Off()
				query.Off()
				settle()
				for who, h := range map[string]*heard{"stream": streamed, "consumer": consumed} {
					history, live, updates := h.in(conv)
					require.Empty(t, history, who)
					require.Equal(t, want, live, who)
					require.Empty(t, updates, who)
				}
			})
		})
	}
}

func TestWhatWasThereIsNotNewToAListenerFromNowWhoseFirstPagesHaveNoTimes(t *testing.T) {
	t.Parallel()
	for answers := range 3 {
		servers(t, func(t *testing.T, w *world) {
			jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
			conv := w.converse(jane, "bob")
			for i := range 5 {
				w.say(jane, conv, fmt.Sprint("before ", i))
			}
			time.Sleep(5 * time.Minute)
			w.Next(answers+1, fliplettest.CrossSource, fliplettest.OmitFields("createdAt", "updatedAt"))
			w.Next(answers+1, fliplettest.Query, fliplettest.OmitFields("createdAt", "updatedAt"))
			h := &heard{}
			_, err := bob.Stream(t.Context(), h.message, chat.StartAt(chat.FromNow))
			require.NoError(t, err)
			settle()
			w.say(jane, conv, "after")
			settle()
			history, live, updates := h.in(conv)
			require.Empty(t, history)
			require.Equal(t, []string{"after"}, live)
			require.Empty(t, updates)
		})
	}
}
