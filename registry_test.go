package chat_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func (w *world) options() chat.Options {
	return chat.Options{Client: w.Client(), DataSourceID: w.contacts, AppID: w.AppID, PrimaryKey: "Email", EncryptMessages: true}
}

// in connects inside a registry.
func (w *world) in(r *chat.Registry) *chat.Chat {
	c, err := r.Connect(w.t.Context(), w.options())
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, c.Close()) })
	return c
}

func TestGetWaitsForTheFirstChat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		var r chat.Registry
		type answer struct {
			c   *chat.Chat
			err error
		}
		answers := make(chan answer, 3)
		for range cap(answers) {
			go func() {
				c, err := r.Get(t.Context())
				answers <- answer{c, err}
			}()
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Empty(t, answers)
		c := w.in(&r)
		for range cap(answers) {
			got := <-answers
			require.NoError(t, got.err)
			assert.Same(t, c, got.c)
		}
	})
}

func TestGetHonoursItsContext(t *testing.T) {
	t.Parallel()
	var r chat.Registry
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(enough)
	_, err := r.Get(ctx)
	require.ErrorIs(t, err, enough)
	var e *chat.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, "get", e.Op)

	ctx, stop := context.WithTimeout(t.Context(), time.Millisecond)
	defer stop()
	_, err = r.Get(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestLastChatWinsAndClosedOnesLeave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var r chat.Registry
	get := func() *chat.Chat {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		c, err := r.Get(ctx)
		if err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		return c
	}
	first, second := w.in(&r), w.in(&r)
	assert.Same(t, second, get())
	require.NoError(t, first.Close())
	assert.Same(t, second, get(), "a chat that is not there any more cannot leave")
	require.NoError(t, second.Close())
	assert.Nil(t, get(), "Get waits again")
	r.Set(second)
	assert.Nil(t, get(), "a closed chat is not taken in")
	third := w.in(&r)
	assert.Same(t, third, get())
	r.Set(nil)
	assert.Nil(t, get())
	r.Set(third)
	assert.Same(t, third, get())
}

func TestRegistriesDoNotShareChats(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var a, b chat.Registry
	inA, inB := w.in(&a), w.in(&b)
	gotA, err := a.Get(t.Context())
	require.NoError(t, err)
	gotB, err := b.Get(t.Context())
	require.NoError(t, err)
	assert.Same(t, inA, gotA)
	assert.Same(t, inB, gotB)
	b.Set(inA) // a chat may be in two
	require.NoError(t, inA.Close())
	for _, r := range []*chat.Registry{&a, &b} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		_, err := r.Get(ctx)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded, "it left both")
	}
}

// The one test of the process's registry: others run at the same time, so only
// what they cannot disturb is looked at.
func TestConnectAndGetShareTheProcess(t *testing.T) {
	w := newWorld(t)
	c, err := chat.Connect(t.Context(), w.options())
	require.NoError(t, err)
	got, err := chat.Get(t.Context())
	require.NoError(t, err)
	assert.Same(t, c, got)
	assert.Zero(t, w.Count(fliplettest.AnyRoute), "no request was made")
	require.NoError(t, c.Close())
}
