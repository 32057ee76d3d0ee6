package outbox_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
	"github.com/fliplet/fliplet-chat-go/internal/life/lifetest"
	"github.com/fliplet/fliplet-chat-go/internal/outbox"
	"github.com/fliplet/fliplet-chat-go/storage"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimEnv); dir != "" {
		runVictim(dir)
		return
	}
	leaktest.Main(m)
}

func TestAnIdleOutboxStoresNothingAndRunsNothing(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv, store := newServer(), newStore()
		b := srv.box(store)
		require.NoError(t, b.Start(t.Context()))
		gets, _, _, swaps := store.calls()
		assert.Equal(t, 1, gets, "the registry was read")
		assert.Zero(t, swaps)
		for range 3 {
			queue(t, b, 7, names(5)...)
			require.NoError(t, b.Drain(t.Context()))
			time.Sleep(time.Minute)
			synctest.Wait()
			assert.Empty(t, store.left(t))
			gets, _, _, swaps := store.calls()
			time.Sleep(time.Hour)
			laterGets, _, _, laterSwaps := store.calls()
			assert.Equal(t, []int{gets, swaps}, []int{laterGets, laterSwaps})
		}
		end(t, b)
	})
}

func TestAMessageIsOneWriteAndOneRemoval(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv, store := newServer(), newStore()
		b := srv.box(store)
		queue(t, b, 7, names(100)...)
		require.NoError(t, b.Drain(t.Context()))
		assert.Equal(t, names(100), srv.list(7))
		gets, sets, deletes, swaps := store.calls()
		assert.Equal(t, 100, sets)
		assert.Equal(t, 100, deletes)
		assert.LessOrEqual(t, gets+swaps, 100+20, "a look at the claim for each, and one change a block")
		end(t, b)
		assert.Empty(t, store.left(t))
	})
}

func TestAnOutageIsWaitedOutInOrder(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv, store := newServer(), newStore()
		b := srv.box(store)
		srv.failing(errOutage, false)
		queue(t, b, 7, names(10)...)
		time.Sleep(time.Hour)
		waiting := b.Pending()
		require.Len(t, waiting, 10)
		require.ErrorIs(t, waiting[0].Err, errOutage)
		assert.Positive(t, waiting[0].Attempts)
		_, _, _, swaps := store.calls()
		assert.Less(t, swaps, 3600/5+20, "a beat is one small write")
		srv.failing(nil, false)
		require.NoError(t, b.Flush(t.Context()))
		assert.Equal(t, names(10), srv.list(7))
		end(t, b)
	})
}

func TestALostAnswerIsLookedUpAndNotSentAgain(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv := newServer()
		b := srv.box(newStore())
		srv.failing(lostAnswer{}, true)
		s := queue(t, b, 7, "a")
		ended(t, s.Done())
		row, err := s.Result()
		require.NoError(t, err)
		assert.EqualValues(t, 7, row.DataSourceID)
		inserts, lookUps := srv.asked()
		assert.Equal(t, []int{1, 1}, []int{inserts, lookUps})
		end(t, b)
	})
}

// The look-up is what keeps a message from being stored twice: one that is blind
// does not.
func TestALookUpThatFindsNothingDoublesMessages(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv := newServer()
		srv.notFound = true
		b := srv.box(newStore())
		srv.failing(lostAnswer{}, true)
		queue(t, b, 7, "a")
		time.Sleep(time.Second)
		srv.failing(nil, false)
		require.NoError(t, b.Flush(t.Context()))
		assert.Equal(t, []string{"a", "a"}, srv.list(7))
		end(t, b)
	})
}

func TestStopWaitsForNothingAndTheNextOneGoesOnSoon(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv, store := newServer(), newStore()
		first := srv.box(store)
		srv.slow = time.Minute
		s := queue(t, first, 7, "a", "b")
		waits := queue(t, first, 8, "c")
		synctest.Wait()
		began := time.Now()
		first.Stop(errEnd)
		assert.Zero(t, time.Since(began))
		require.NoError(t, first.Wait(t.Context()))
		assert.LessOrEqual(t, time.Since(began), 2*time.Second)
		for _, s := range []*outbox.Sending{s, waits} {
			ended(t, s.Done())
			_, err := s.Result()
			require.ErrorIs(t, err, outbox.ErrQueued)
			require.ErrorIs(t, err, errEnd)
		}
		assert.Nil(t, first.Pending())
		require.ErrorIs(t, first.Start(t.Context()), errEnd)
		_, err := first.Add(t.Context(), message(t, 7, "x"), false)
		require.ErrorIs(t, err, errEnd)
		require.ErrorIs(t, first.Flush(t.Context()), errEnd)

		srv.slow = 0
		next := srv.box(store)
		began = time.Now()
		require.NoError(t, next.Flush(t.Context()))
		assert.LessOrEqual(t, time.Since(began), 6*time.Second, "what is in doubt takes its time, no more")
		assert.Equal(t, []string{"a", "b"}, srv.list(7))
		assert.Equal(t, []string{"c"}, srv.list(8))
		end(t, next)
		assert.Empty(t, store.left(t))
	})
}

// The earlier session may still be ending when the next one of its process begins.
func TestASessionThatIsEndingIsWaitedForShortly(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv, store := newServer(), newStore()
		first := srv.box(store)
		srv.failing(errOutage, false)
		queue(t, first, 7, "a", "b")
		synctest.Wait()
		srv.failing(nil, false)
		next := srv.box(store)
		require.NoError(t, next.Start(t.Context()))
		first.Stop(errEnd)
		srv.forget()
		began := time.Now()
		queue(t, next, 7, "c")
		require.NoError(t, next.Flush(t.Context()))
		assert.LessOrEqual(t, srv.firstAfter(began), time.Second)
		assert.Equal(t, []string{"a", "b", "c"}, srv.list(7))
		end(t, first, next)
	})
}

func TestDrainWaitsForWhatWasAcceptedOrForItsContext(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv, store := newServer(), newStore()
		b := srv.box(store)
		require.NoError(t, b.Drain(t.Context()), "it was not started")
		srv.failing(errOutage, false)
		queue(t, b, 7, "a")
		short, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, b.Drain(short), context.DeadlineExceeded)
		srv.failing(nil, false)
		require.NoError(t, b.Drain(t.Context()))
		assert.Equal(t, []string{"a"}, srv.list(7))
		end(t, b)
		require.NoError(t, b.Drain(t.Context()), "nothing is left")
	})
}

func TestAStoreThatFailsAtTheStartIsAskedAgain(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv, store := newServer(), newStore()
		before := srv.box(store)
		srv.failing(errOutage, false)
		queue(t, before, 7, "a")
		end(t, before)
		srv.failing(nil, false)

		store.failing(errOutage)
		b := srv.box(store)
		require.NoError(t, b.Start(t.Context()))
		_, err := b.Add(t.Context(), message(t, 7, "x"), false)
		require.ErrorIs(t, err, errOutage)
		time.Sleep(time.Minute)
		store.failing(nil)
		require.NoError(t, b.Flush(t.Context()))
		assert.Equal(t, []string{"a"}, srv.list(7))
		end(t, b)
	})
}

func TestTheLimitCountsWhatWasLeftBehind(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv, store := newServer(), newStore()
		srv.failing(errOutage, false)
		limit := func(c *outbox.Config) { c.Limit = 3 }
		first := srv.box(store, limit)
		queue(t, first, 7, "a", "b", "c")
		_, err := first.Add(t.Context(), message(t, 7, "d"), false)
		require.ErrorIs(t, err, outbox.ErrFull)
		killed := store.killed(t)
		end(t, first)

		next := srv.box(killed, limit)
		_, err = next.Add(t.Context(), message(t, 7, "d"), false)
		require.ErrorIs(t, err, outbox.ErrFull, "they may be those of a process that is dead")
		time.Sleep(time.Minute)
		_, err = next.Add(t.Context(), message(t, 7, "d"), false)
		require.ErrorIs(t, err, outbox.ErrFull, "they are ours now")
		srv.failing(nil, false)
		require.NoError(t, next.Flush(t.Context()))
		assert.Equal(t, []string{"a", "b", "c"}, srv.list(7))
		end(t, next)
	})
}

func TestARefusedMessageHoldsNobodyBack(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv, store := newServer(), newStore()
		b := srv.box(store)
		srv.failing(errRefused, false)
		s := queue(t, b, 7, "a")
		ended(t, s.Done())
		_, err := s.Result()
		require.ErrorIs(t, err, errRefused)
		srv.failing(nil, false)
		queue(t, b, 7, "b")
		require.NoError(t, b.Drain(t.Context()))
		assert.Equal(t, []string{"b"}, srv.list(7))
		end(t, b)
	})
}

func TestAMessageIsDiscardedUnlessItIsUnderWay(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv, store := newServer(), newStore()
		b := srv.box(store)
		srv.slow = time.Second
		queue(t, b, 7, "a")
		s := queue(t, b, 7, "b")
		synctest.Wait()
		gone, err := b.Discard(t.Context(), 7, "a")
		require.NoError(t, err)
		assert.False(t, gone)
		gone, err = b.Discard(t.Context(), 7, "b")
		require.NoError(t, err)
		assert.True(t, gone)
		ended(t, s.Done())
		_, err = s.Result()
		require.ErrorIs(t, err, context.Canceled)
		require.NoError(t, b.Drain(t.Context()))
		assert.Equal(t, []string{"a"}, srv.list(7))
		end(t, b)
		assert.Empty(t, store.left(t))
	})
}

// An outbox whose claim was taken begins again with what is still its own to send.
func TestAnOutboxThatLostItsClaimBeginsAgain(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv, store := newServer(), newStore()
		frozen := newStore()
		frozen.Store = store.Store
		slow := srv.box(frozen, func(c *outbox.Config) { c.Process = "slow" })
		srv.failing(errOutage, false)
		s := queue(t, slow, 7, "a", "b")
		frozen.failing(errOutage) // it cannot renew its claim any more
		next := srv.box(store)
		require.NoError(t, next.Start(t.Context()))
		time.Sleep(time.Minute)
		srv.failing(nil, false)
		require.NoError(t, next.Flush(t.Context()))
		frozen.failing(nil)
		ended(t, s.Done())
		_, err := s.Result()
		require.ErrorIs(t, err, outbox.ErrQueued)
		queue(t, slow, 7, "c")
		require.NoError(t, slow.Flush(t.Context()))
		assert.Equal(t, []string{"a", "b", "c"}, srv.list(7))
		end(t, slow, next)
		assert.Empty(t, store.left(t))
	})
}

// A process that does not know how long it was suspended, since its clock stood still,
// sends nothing after another one has taken over.
func TestNothingIsSentWithoutALookAtTheClaim(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv, store := newServer(), newStore()
		b := srv.box(store)
		srv.failing(errOutage, false)
		queue(t, b, 7, "a")
		synctest.Wait()
		srv.failing(nil, false)
		for _, k := range store.left(t) {
			if strings.HasPrefix(k, key+"/owners/") {
				require.NoError(t, store.Set(t.Context(), k, []byte(`{"owner":"another","process":"p","beat":1}`)))
			}
		}
		before, _ := srv.asked()
		time.Sleep(2 * time.Second) // less than until the claim is renewed
		queue(t, b, 7, "b")
		time.Sleep(2 * time.Second)
		inserts, _ := srv.asked()
		assert.Equal(t, before, inserts)
		assert.Empty(t, srv.list(7))
		require.NoError(t, b.Flush(t.Context()))
		assert.ElementsMatch(t, []string{"a", "b"}, srv.list(7), "once the other one's claim has run out")
		end(t, b)
	})
}

// Removals that hang take no place of a request.
func TestAStoreThatDoesNotRemoveHoldsUpNoMessage(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv, store := newServer(), newStore()
		b := srv.box(stuck{store})
		began := time.Now()
		for i := range 20 {
			<-queue(t, b, int64(i+1), "a").Done()
		}
		assert.Less(t, time.Since(began), time.Second)
		end(t, b)
	})
}

// stuck is a store that removes nothing.
type stuck struct{ storage.Store }

func (s stuck) Delete(ctx context.Context, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestSeveralProcessesSendWhatEachHasAccepted(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv, store := newServer(), newStore()
		var wg sync.WaitGroup
		var boxes []*outbox.Outbox
		for range 4 {
			boxes = append(boxes, srv.box(store))
		}
		for i, b := range boxes {
			wg.Go(func() {
				for _, guid := range names(50) {
					queue(t, b, int64(i+1), guid)
					time.Sleep(time.Duration(i) * 300 * time.Millisecond)
				}
				assert.NoError(t, b.Flush(t.Context()))
			})
		}
		wg.Wait()
		for i := range boxes {
			assert.Equal(t, names(50), srv.list(int64(i+1)))
		}
		end(t, boxes...)
		assert.Empty(t, store.left(t))
	})
}

func TestAnOutboxComesToRestInWhateverOrder(t *testing.T) {
	t.Parallel()
	rounds := 1_000
	if os.Getenv("CHAT_LONG") != "" {
		rounds = 10_000
	}
	store := storage.NewMemory()
	lifetest.Stress(t, rounds, func() lifetest.Machine {
		srv := newServer()
		b := srv.box(store)
		return lifetest.Machine{
			Start: func(ctx context.Context) error {
				if err := b.Start(ctx); err != nil {
					return err
				}
				_, err := b.Add(ctx, message(t, 7, "a"), true)
				return err
			},
			Stop: b.Stop,
			Wait: b.Wait,
		}
	})
}

func TestAnUnreadableMessageIsLeftAndTheRestIsSent(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv, store := newServer(), newStore()
		srv.failing(errOutage, false)
		first := srv.box(store)
		queue(t, first, 7, "a", "b", "c")
		killed := store.killed(t)
		end(t, first)
		left := killed.left(t)
		damaged := left[slices.IndexFunc(left, func(k string) bool { return strings.HasSuffix(k, "/1") })]
		require.NoError(t, killed.Set(t.Context(), damaged, []byte(`{"version":9}`)))
		srv.failing(nil, false)
		next := srv.box(killed)
		require.NoError(t, next.Flush(t.Context()))
		assert.Equal(t, []string{"a", "c"}, srv.list(7))
		end(t, next)
		assert.Contains(t, killed.left(t), damaged)
	})
}

// ended waits until something has ended, and fails when it does not: a bare receive would
// hold up the whole suite.
func ended(t testing.TB, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(time.Hour): // of the bubble's time
		require.FailNow(t, "it does not end")
	}
}
