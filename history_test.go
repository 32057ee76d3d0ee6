package chat_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// archive stores n messages "0", "1", … in groups that share a timestamp.
func archive(w *world, conv *chat.Conversation, n, group int) []int64 {
	w.t.Helper()
	var ids []int64
	for from := 0; from < n; from += group {
		var rows []datasource.M
		for i := from; i < min(n, from+group); i++ {
			rows = append(rows, datasource.M{"body": fmt.Sprint(i), "fromUserId": "x", "readBy": []string{}})
		}
		ids = append(ids, w.AddRows(conv.ID, rows...)...)
	}
	return ids
}

// leaf reads a history to its end.
func leaf(t testing.TB, c *chat.Chat, conv int64, opts ...chat.HistoryOption) []string {
	t.Helper()
	got := []string{}
	for m, err := range c.History(t.Context(), conv, opts...) {
		require.NoError(t, err)
		got = append(got, m.Body)
	}
	return got
}

func countdown(n int) []string {
	out := []string{}
	for i := n - 1; i >= 0; i-- {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

func TestHistoryTakesEveryPositiveNumberForAConversation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane", plainBodies)
	for id, want := range map[int64]error{-1: chat.ErrInvalid, 0: chat.ErrInvalid, 1: chat.ErrNotFound} {
		for _, err := range jane.History(t.Context(), id) {
			require.ErrorIs(t, err, want, "%d", id)
		}
	}
}

func TestHistoryHoldsEveryMessageOnceNewestFirst(t *testing.T) {
	t.Parallel()
	for name, group := range map[string]int{"single": 1, "ties across pages": 7, "one timestamp": 450} {
		for lever, faults := range map[string][]fliplettest.Fault{
			"": nil, "absent": {fliplettest.Status(404)}, "order ignored": {fliplettest.Ignore("order")}, "limit ignored": {fliplettest.Ignore("limit")},
			"where ignored": {fliplettest.Ignore("where")}, "shuffled": {fliplettest.Shuffle()}, "repeated": {fliplettest.DuplicateRow()},
		} {
			t.Run(name+" "+lever, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				jane := w.login("jane", plainBodies)
				conv := w.converse(jane, "bob")
				w.say(jane, w.converse(jane, "eve"), "elsewhere")
				archive(w, conv, 450, group)
				if faults != nil {
					w.Always(fliplettest.CrossSource, faults...)
				}
				assert.Equal(t, countdown(450), leaf(t, jane, conv.ID, chat.PageSize(50)))
			})
		}
	}
}

func TestHistoryIsLazy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	archive(w, conv, 30, 4)
	history := jane.History(t.Context(), conv.ID, chat.PageSize(10))
	assert.Zero(t, w.Count(fliplettest.CrossSource), "no request before the loop")
	n := 0
	for _, err := range history {
		require.NoError(t, err)
		if n++; n == 10 {
			break
		}
	}
	assert.Equal(t, 1, w.Count(fliplettest.CrossSource), "none after it")
	n = 0
	for range history {
		n++
	}
	assert.Equal(t, 30, n, "ranging again begins anew")
}

func TestHistoryIsNotDisturbedByWhatHappensMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, bob := w.login("jane", plainBodies), w.login("bob", plainBodies)
	conv := w.converse(jane, "bob")
	ids := archive(w, conv, 40, 5)
	var got []string
	for m, err := range jane.History(t.Context(), conv.ID, chat.PageSize(10)) {
		require.NoError(t, err)
		if got = append(got, m.Body); len(got) == 10 {
			w.say(bob, conv, "new") // shifts all pages that are counted from the end
			require.NoError(t, bob.DeleteMessage(t.Context(), conv.ID, ids[35]))
			require.NoError(t, bob.DeleteMessage(t.Context(), conv.ID, ids[3]))
			_, err := bob.UpdateMessage(t.Context(), conv.ID, ids[20], chat.M{"body": "edited"})
			require.NoError(t, err)
		}
	}
	want := countdown(40)
	want[40-1-20] = "edited"
	want = append(want[:36], want[37:]...) // "3" was deleted before it was reached
	assert.Equal(t, want, got)
}

func TestHistoryGoesOnBehindAMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane", plainBodies)
	conv := w.converse(jane, "bob")
	archive(w, conv, 20, 20)
	msgs, err := jane.Messages(t.Context(), chat.Limit(5))
	require.NoError(t, err)
	require.Equal(t, "15", msgs[0].Body)
	require.NoError(t, jane.DeleteMessage(t.Context(), conv.ID, msgs[0].ID))
	assert.Equal(t, countdown(15), leaf(t, jane, conv.ID, chat.Before(msgs[0])))
}

func TestHistoryEndsAfterItsFirstError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	archive(w, conv, 30, 1)
	failures := func(ctx context.Context, c *chat.Chat, id int64, opts ...chat.HistoryOption) (n int, err error) {
		for m, e := range c.History(ctx, id, opts...) {
			require.Nil(t, err, "nothing after an error")
			if err = e; e != nil {
				require.Nil(t, m)
				continue
			}
			n++
		}
		return n, err
	}
	_, err := failures(t.Context(), jane, 0)
	require.ErrorIs(t, err, chat.ErrInvalid)
	_, err = failures(t.Context(), jane, conv.ID, chat.PageSize(0))
	require.ErrorIs(t, err, chat.ErrInvalid)
	_, err = failures(t.Context(), jane, conv.ID, chat.Before(nil))
	require.ErrorIs(t, err, chat.ErrInvalid)
	_, err = failures(t.Context(), jane, 999999)
	require.ErrorIs(t, err, chat.ErrNotFound)
	_, err = failures(t.Context(), w.connect(), conv.ID)
	require.ErrorIs(t, err, chat.ErrNotLoggedIn)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = failures(ctx, jane, conv.ID)
	require.ErrorIs(t, err, context.Canceled)
	w.After(1, 1, fliplettest.CrossSource, fliplettest.Answer(400, `{"message":"no","type":"datasource.access"}`))
	n, err := failures(t.Context(), jane, conv.ID, chat.PageSize(10))
	require.ErrorIs(t, err, datasource.ErrAccessDenied)
	assert.Equal(t, 10, n)
	var e *chat.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, "history", e.Op)
}

func TestClosingInsideAHistoryEndsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	archive(w, conv, 30, 1)
	n := 0
	var last error
	for _, err := range jane.History(t.Context(), conv.ID, chat.PageSize(10)) {
		if last = err; err == nil {
			n++
		}
		require.NoError(t, jane.Close())
	}
	assert.Equal(t, 10, n)
	require.ErrorIs(t, last, chat.ErrClosed)
}
