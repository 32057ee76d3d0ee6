package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestRelaySendsWhatWasLeftBehind(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	// What was sent just before the end may still be stored, and is looked up.
	assert.Regexp(t, `^20 users, 20 messages\nthe next relay logs in ([3-9]|1\d|20) users\n23 messages\n$`, out.String())
}

func TestRelayOf500UsersSendsEachRequestOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const users = 500
		s := fliplettest.New(t, fliplettest.InProcess())
		opts, ids, conversations := town(s, users)
		s.Sometimes(0.2, fliplettest.Insert, fliplettest.LoseAnswer())
		s.Sometimes(0.1, fliplettest.Insert, fliplettest.LoseRequest())
		all := func(r *relay, key string, ids []string) {
			var work sync.WaitGroup
			for i, id := range ids {
				for range 2 { // and the second one at the same time
					work.Go(func() { assert.NoError(t, r.send(t.Context(), id, conversations[i], key, key)) })
				}
			}
			work.Wait()
		}
		first, err := newRelay(t.Context(), opts)
		require.NoError(t, err)
		all(first, "one", ids)
		require.NoError(t, first.flush(t.Context()))
		assert.Equal(t, users, rows(s, conversations))
		all(first, "one", ids) // long after the first was sent
		require.NoError(t, first.flush(t.Context()))
		assert.Equal(t, users, rows(s, conversations))

		down := s.Always(fliplettest.AnyWrite, fliplettest.LoseRequest())
		all(first, "two", ids[:50])
		time.Sleep(time.Minute)
		first.close()
		synctest.Wait()
		down.Off()
		owners, err := chat.OutboxOwners(t.Context(), opts.Storage)
		require.NoError(t, err)
		assert.Len(t, owners, 50)

		second, err := newRelay(t.Context(), opts)
		require.NoError(t, err)
		defer second.close()
		all(second, "two", ids[:10]) // the clients repeat what they have no answer to
		n, err := second.resume(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 50, n)
		require.NoError(t, second.flush(t.Context()))
		for i, id := range conversations {
			var got []string
			for _, row := range s.Rows(id) {
				got = append(got, fmt.Sprint(row.Data["body"]))
			}
			want := []string{"one", "two"}
			if i >= 50 {
				want = want[:1]
			}
			require.Equal(t, want, got, ids[i])
		}
	})
}

func TestRelayResumesTheOthersBesideADeletedContact(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fliplettest.New(t, fliplettest.InProcess())
		opts, ids, conversations := town(s, 6)
		down := s.Always(fliplettest.Insert, fliplettest.LoseRequest())
		first, err := newRelay(t.Context(), opts)
		require.NoError(t, err)
		for i, id := range ids {
			require.NoError(t, first.send(t.Context(), id, conversations[i], "vote", "I vote"))
		}
		time.Sleep(time.Minute)
		first.close()
		down.Off()
		token, _ := s.AddToken(fliplettest.UserToken)
		for _, row := range s.Rows(opts.DataSourceID) {
			if row.Data["flUserId"] == ids[0] { // who would be the first to be resumed
				require.NoError(t, s.ClientFor(token).Delete(t.Context(), opts.DataSourceID, row.ID))
			}
		}

		second, err := newRelay(t.Context(), opts)
		require.NoError(t, err)
		defer second.close()
		n, err := second.resume(t.Context())
		assert.Equal(t, 5, n)
		require.ErrorIs(t, err, chat.ErrContactNotFound)
		require.ErrorContains(t, err, ids[0])
		assert.NotContains(t, err.Error(), ids[1])
		require.NoError(t, second.flush(t.Context()))
		assert.Equal(t, 5, rows(s, conversations))
		assert.Empty(t, s.Rows(conversations[0]))

		// The message waits for the contact to come back.
		synctest.Wait()
		owners, err := chat.OutboxOwners(t.Context(), opts.Storage)
		require.NoError(t, err)
		require.Len(t, owners, 1)
		assert.Equal(t, ids[0], owners[0].UserID)
		assert.Equal(t, 1, owners[0].Waiting)
		s.AddRows(opts.DataSourceID, datasource.M{"Name": ids[0], "flUserId": ids[0]})
		n, err = second.resume(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		require.NoError(t, second.flush(t.Context()))
		assert.Len(t, s.Rows(conversations[0]), 1)
	})
}
