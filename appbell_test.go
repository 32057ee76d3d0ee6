package chat_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestABellIsInstalledBesideEveryOtherHook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var app atomic.Pointer[chat.App]
		o := newOffice(t, 3, fliplettest.OnHook(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { app.Load().Bell().ServeHTTP(w, r) })))
		push := `{"type":"push-message","runOn":["insert"],"appId":12345678901234567,"odd":[1.50,"é"]}`
		other := `{"type":"web","runOn":["insert"],"conditions":[],"payload":{"method":"GET","endpoint":"http://localhost/else?conversation=7"}}`
		copied := `{"type":"web","runOn":["insert","update"],"conditions":[],"payload":{"method":"POST","endpoint":"http://localhost/bell?key=k&conversation=4711"}}`
		for i, hooks := range []string{"[" + push + "," + other + "]", "[" + copied + "]", "[]"} {
			_, err := o.Client().UpdateDataSource(t.Context(), o.rooms[i], datasource.SourcePatch{Hooks: json.RawMessage(hooks)})
			require.NoError(t, err)
		}
		hooksOf := func(id int64) []json.RawMessage {
			var list []json.RawMessage
			require.NoError(t, json.Unmarshal(sure(o.Client().DataSource(t.Context(), id)).Hooks, &list))
			return list
		}
		a := o.in(t, func(opts *chat.AppOptions) { opts.Bell = true })
		app.Store(a)
		before := hooksOf(o.rooms[0])
		const endpoint = "http://localhost/bell?key=k"
		n, err := a.InstallBell(t.Context(), endpoint)
		require.NoError(t, err)
		assert.Equal(t, 3, n)
		for i, more := range []int{3, 1, 1} {
			list := hooksOf(o.rooms[i])
			require.Len(t, list, more)
			assert.Contains(t, string(list[more-1]), fmt.Sprintf("key=k&conversation=%d", o.rooms[i]))
		}
		assert.Equal(t, before, hooksOf(o.rooms[0])[:2], "byte for byte")
		n, err = a.InstallBell(t.Context(), endpoint)
		require.NoError(t, err)
		assert.Zero(t, n, "they have it")

		l := newLedger()
		_, err = a.Stream(t.Context(), l.add)
		require.NoError(t, err)
		time.Sleep(time.Minute + time.Second)
		_, err = o.Client().Insert(t.Context(), o.rooms[2], chat.M{"body": "rung", "fromUserId": "somebody", "guid": "r"})
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		assert.Equal(t, 1, l.count(), "the list is read each 15 s only")

		n, err = a.RemoveBell(t.Context(), endpoint, o.rooms[0])
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		assert.Equal(t, before, hooksOf(o.rooms[0]))
		n, err = a.RemoveBell(t.Context(), endpoint)
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		assert.Empty(t, hooksOf(o.rooms[1]))
	})
}

// What cannot be changed is named, and the others are changed.
func TestABellIsInstalledInTheOtherConversationsWhenSomeFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 3, fliplettest.OnHook(http.NotFoundHandler()))
		a := o.in(t, nil)
		n, err := a.InstallBell(t.Context(), "http://localhost/bell", o.rooms[0], o.contacts, o.rooms[1], 1<<40)
		require.ErrorContains(t, err, "2 of 4 conversations failed")
		require.ErrorContains(t, err, fmt.Sprintf(`conversation %d: it is ""`, o.contacts))
		require.ErrorIs(t, err, datasource.ErrNotFound)
		assert.Equal(t, 2, n)
		o.Always(fliplettest.UpdateSource, fliplettest.Ignore("hooks"))
		_, err = a.InstallBell(t.Context(), "http://localhost/bell")
		require.ErrorContains(t, err, "the server does not show them")
		assert.False(t, strings.Contains(err.Error(), "localhost"), "the URL may hold a key")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = a.InstallBell(ctx, "http://localhost/bell")
		require.ErrorIs(t, err, context.Canceled)
		require.NoError(t, a.Close())
		_, err = a.InstallBell(t.Context(), "http://localhost/bell")
		require.ErrorIs(t, err, chat.ErrClosed)
	})
}
