package chat_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
)

// A server adds the deleted rows to each page of a conversation, also those from beyond it.
func TestAnAppMissesNothingOfSeveralPagesWhenAMessageIsDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, strategy := range []chat.Strategy{chat.StrategyBell, chat.StrategyAudit, chat.StrategyList, chat.StrategyAcross, chat.StrategySingle, chat.StrategySweep} {
		t.Run(string(strategy), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, 0)
				jane := o.login("jane")
				room := o.converse(jane, "bob").ID
				app := o.in(t, func(opts *chat.AppOptions) { opts.Strategy = strategy })
				var mu sync.Mutex
				got := map[string][]int64{}
				hear := func(who string) func(*chat.Message) {
					return func(m *chat.Message) {
						mu.Lock()
						defer mu.Unlock()
						if !m.IsDeleted && !m.IsUpdate {
							got[who] = append(got[who], m.ID)
						}
					}
				}
				_, err := app.Stream(t.Context(), hear("app"))
				require.NoError(t, err)
				bob, err := app.User(t.Context(), chat.M{"Email": "bob@example.org"})
				require.NoError(t, err)
				_, err = bob.Stream(t.Context(), hear("bob"), chat.StartAt(chat.FromNow))
				require.NoError(t, err)
				time.Sleep(30 * time.Second)
				var ids []int64
				say := func(n int) {
					all := make([]chat.M, n)
					for i := range all {
						all[i] = chat.M{"body": "m", "fromUserId": jane.User().UserID, "guid": fmt.Sprint("g", len(ids)+i)}
					}
					ids = append(ids, o.AddRows(room, all...)...)
				}
				say(264)
				time.Sleep(50 * time.Millisecond)
				require.NoError(t, o.Client().Delete(t.Context(), room, ids[45]))
				say(264)
				time.Sleep(5 * time.Minute)
				mu.Lock()
				defer mu.Unlock()
				want := slices.Delete(ids, 45, 46)
				for _, who := range []string{"app", "bob"} {
					heard := slices.DeleteFunc(got[who], func(id int64) bool { return !slices.Contains(want, id) })
					assert.Equal(t, want, heard, "%s: each once, in order", who)
				}
			})
		})
	}
}

func TestAnAppTellsDeletionsWhereMoreThanAPageHasATimeInTheFuture(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 1)
		app := o.in(t, func(opts *chat.AppOptions) { opts.Strategy = chat.StrategyList })
		var mu sync.Mutex
		var gone []int64
		_, err := app.Stream(t.Context(), func(m *chat.Message) {
			mu.Lock()
			defer mu.Unlock()
			if m.IsDeleted {
				gone = append(gone, m.ID)
			}
		})
		require.NoError(t, err)
		time.Sleep(30 * time.Second)
		all := make([]chat.M, 230)
		for i := range all {
			all[i] = chat.M{"body": "m", "fromUserId": "somebody", "guid": fmt.Sprint("g", i)}
		}
		said := o.AddRows(o.rooms[0], all[:170]...)
		time.Sleep(time.Minute)
		synctest.Wait()
		o.ShiftClock(48 * time.Hour)
		o.AddRows(o.rooms[0], all[170:]...)
		o.ShiftClock(-48 * time.Hour)
		time.Sleep(time.Minute)
		for _, id := range said[:3] { // the first one lets the App look for what was deleted
			require.NoError(t, o.Client().Delete(t.Context(), o.rooms[0], id))
			time.Sleep(4 * time.Hour)
		}
		mu.Lock()
		defer mu.Unlock()
		assert.Equal(t, said[:3], gone)
	})
}

// The next read may come when the time of a message from the future has come already.
func TestAnAppTellsOfAnEditRightBeforeTheTimeOfAMessageFromTheFuture(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 0)
		jane := o.login("jane")
		room := o.converse(jane, "bob").ID
		app := o.in(t, func(opts *chat.AppOptions) { opts.Strategy = chat.StrategyList })
		bob, err := app.User(t.Context(), chat.M{"Email": "bob@example.org"})
		require.NoError(t, err)
		var mu sync.Mutex
		said := map[string]map[int64][]string{"user": {}, "app": {}, "consumer": {}}
		hear := func(who string) func(*chat.Message) {
			return func(m *chat.Message) {
				mu.Lock()
				defer mu.Unlock()
				said[who][m.ID] = append(said[who][m.ID], m.Body)
			}
		}
		_, err = bob.Stream(t.Context(), hear("user"), chat.StartAt(chat.FromNow))
		require.NoError(t, err)
		_, err = app.Stream(t.Context(), hear("app"))
		require.NoError(t, err)
		consumed := hear("consumer")
		go func() {
			_ = bob.Consume(t.Context(), "c", func(_ context.Context, m *chat.Message) error { consumed(m); return nil }, chat.StartAt(chat.FromNow))
		}()
		time.Sleep(30 * time.Second)
		want := map[int64][]string{}
		for i := range 16 { // the list is read each 4 s
			synctest.Wait()
			o.ShiftClock(20 * time.Second)
			id := o.AddRows(room, chat.M{"body": "hello", "fromUserId": jane.User().UserID, "guid": fmt.Sprint("g", i)})[0]
			o.ShiftClock(-20 * time.Second)
			time.Sleep(15*time.Second + time.Duration(i%5)*time.Second)
			want[id] = []string{"hello", fmt.Sprint("edited ", i)}
			_, err := o.Client().Update(t.Context(), room, id, chat.M{"body": want[id][1]})
			require.NoError(t, err)
			time.Sleep(40*time.Second + time.Duration(i)*250*time.Millisecond)
		}
		time.Sleep(3 * time.Minute)
		require.NoError(t, app.Close())
		mu.Lock()
		defer mu.Unlock()
		for who := range said {
			assert.Equal(t, want, said[who], who)
		}
	})
}
