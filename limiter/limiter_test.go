package limiter_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/limiter"
	"github.com/fliplet/fliplet-chat-go/storage"
)

func TestOneWithAllTheWorkHasNearlyTheWholeLimitAfterAFewSeconds(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w, all := settled(t, 1)
		w.wants(all[0], 50)
		time.Sleep(5 * time.Second)
		assert.GreaterOrEqual(t, may(all[0]), n*90/100)
		used := rate(all...)
		t.Log("of 200 in 10 s:", used)
		assert.GreaterOrEqual(t, used, n*85/100)
		w.kept()
		for _, r := range all {
			r.ends()
		}
	})
}

func TestWhatIsLentComesBackToWhoNeedsIt(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w, all := settled(t, 2)
		w.wants(all[0], 200)
		time.Sleep(time.Minute)
		began := time.Now()
		require.NoError(t, all[1].Wait(t.Context()))
		assert.Zero(t, time.Since(began), "the fallback is its own")
		w.hit()
		w.wants(all[1], 200)
		w.wants(all[2], 200)
		time.Sleep(per + 5*time.Second)
		for i, r := range all {
			assert.InDelta(t, n/3, may(r), n/3*0.1, "replica %d", i)
		}
		before := [3]int{made(all[0]), made(all[1]), made(all[2])}
		assert.GreaterOrEqual(t, rate(all...), n*90/100)
		for i, r := range all {
			assert.InDelta(t, 30*n/3, made(r)-before[i], 30*n/3*0.1, "replica %d", i)
		}
		w.kept()
		for _, r := range all {
			r.ends()
		}
	})
}

func TestTheShareOfTheDeadIsBackWithinTheLease(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w, all := settled(t, 3)
		for _, r := range all {
			w.wants(r, 200)
		}
		time.Sleep(time.Minute)
		assert.Less(t, may(all[:2]...), n*3/4)
		all[2].dies()
		time.Sleep(20 * time.Second) // the lease
		assert.GreaterOrEqual(t, may(all[:2]...), n*90/100)
		assert.GreaterOrEqual(t, rate(all[:2]...), n*90/100)
		assert.Equal(t, 2, all[0].Replicas())
		w.kept()
		all[0].ends()
		all[1].ends()
	})
}

func TestCloseGivesBackAtOnceWhatIsNotInUse(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w, all := settled(t, 4)
		w.wants(all[2], 200)
		time.Sleep(time.Minute)
		w.wants(all[2], 0)
		time.Sleep(per) // nothing of it is in use any more
		all[0].closes(t)
		all[1].closes(t)
		all[2].closes(t)
		next := w.start(limiter.Options{})
		time.Sleep(100 * time.Millisecond)
		_, of, _ := next.Load()
		assert.GreaterOrEqual(t, of, n*2/5, "half of the pool is there for the first, and the rest if it wants it")
		require.NoError(t, next.Wait(t.Context()))
		require.ErrorIs(t, all[0].Wait(t.Context()), limiter.ErrClosed)
		require.ErrorIs(t, all[0].Err(), limiter.ErrClosed)
		require.NoError(t, all[0].Close(), "a second time does nothing")
		next.closes(t)
	})
}

func TestWithoutTheStoreEachHasItsFallbackAndSaysSoAndRecoversByItself(t *testing.T) {
	for name, f := range map[string]fault{"it fails": fails, "it hangs": hangs, "it loses answers": loses, "it is late": lags} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				var mu sync.Mutex
				var told []error
				opts := limiter.Options{OnChange: func(err error) {
					mu.Lock()
					defer mu.Unlock()
					told = append(told, err)
				}}
				w, all := settled(t, 5, opts)
				for _, r := range all {
					w.wants(r, 200)
				}
				time.Sleep(30 * time.Second)
				for _, r := range all {
					r.way.set(f)
				}
				time.Sleep(5*time.Second + 10*time.Millisecond) // how long a share lasts
				require.ErrorIs(t, all[0].Err(), datasource.ErrImpaired)
				for _, r := range all {
					_, of, _ := r.Load()
					assert.Equal(t, 5, of)
				}
				time.Sleep(per)
				assert.InDelta(t, 3*5, rate(all...), 2)
				mu.Lock()
				require.Len(t, told, 1)
				require.ErrorIs(t, told[0], datasource.ErrImpaired)
				require.ErrorContains(t, told[0], "at most 5 requests per 10s")
				mu.Unlock()
				for _, r := range all {
					r.way.set(well)
				}
				time.Sleep(50 * time.Second) // late writes, and a window
				for _, r := range all {
					require.NoError(t, r.Err())
				}
				assert.GreaterOrEqual(t, rate(all...), n*90/100)
				mu.Lock()
				require.Len(t, told, 2)
				require.NoError(t, told[1])
				mu.Unlock()
				w.kept()
				for _, r := range all {
					r.ends()
				}
			})
		})
	}
}

func TestAProcessThatResumesUsesNothingOfAShareThatHasEnded(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w, all := settled(t, 6)
		for _, r := range all {
			w.wants(r, 200)
		}
		time.Sleep(30 * time.Second)
		all[0].way.suspend()
		time.Sleep(time.Minute)
		before := made(all[0])
		all[0].way.set(fails)
		all[0].way.resume()
		time.Sleep(per - time.Millisecond)
		assert.LessOrEqual(t, made(all[0])-before, 5)
		all[0].way.set(well)
		time.Sleep(30 * time.Second)
		_, of, _ := all[0].Load()
		assert.Greater(t, of, n/4)
		w.kept()
		for _, r := range all {
			r.ends()
		}
	})
}

func TestWritesAMinuteAreFewAndNoRequestWaitsForTheStore(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w, all := settled(t, 7)
		minute := func() int64 {
			before := all[0].way.writes.Load()
			time.Sleep(time.Minute)
			return all[0].way.writes.Load() - before
		}
		quiet := minute()
		w.wants(all[0], 10)
		time.Sleep(time.Minute)
		short := minute()
		t.Log("quiet:", quiet, "short:", short)
		assert.LessOrEqual(t, quiet, int64(42))
		assert.LessOrEqual(t, short, int64(78))
		raw, err := w.store.Get(t.Context(), key)
		require.NoError(t, err)
		assert.Less(t, len(raw), 500)
		w.wants(all[0], 0)
		time.Sleep(per)
		all[0].way.set(hangs)
		time.Sleep(time.Second)
		began := time.Now()
		require.NoError(t, all[0].Wait(t.Context()))
		assert.Zero(t, time.Since(began))
		for _, r := range all {
			r.ends()
		}
	})
}

func TestTheFirstReplicaEverAndOneWithoutTheStoreBeginWithTheFallbackAfterAWindow(t *testing.T) {
	for name, f := range map[string]fault{"the first": well, "without the store": fails} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				w := newWorld(t, 8)
				r := w.start(limiter.Options{})
				r.way.set(f)
				began := time.Now()
				require.NoError(t, r.Wait(t.Context()))
				assert.Equal(t, per+per/50, time.Since(began))
				_, of, _ := r.Load()
				assert.Equal(t, 5, of)
				time.Sleep(15 * time.Second)
				_, of, _ = r.Load()
				if f == well {
					assert.Greater(t, of, n/3)
				} else {
					assert.Equal(t, 5, of)
					require.ErrorIs(t, r.Err(), errDown)
				}
				r.ends()
			})
		})
	}
}

func TestADeadlineThatAShareToComeCanMeetIsWaitedFor(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w, all := settled(t, 9)
		w.wants(all[1], 200)
		time.Sleep(time.Minute) // all[0] has little
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var wg sync.WaitGroup
		for range 60 {
			wg.Go(func() {
				if assert.NoError(t, all[0].Wait(ctx)) {
					w.hit()
				}
			})
		}
		wg.Wait()
		w.kept()
		for _, r := range all {
			r.ends()
		}
	})
}

func TestClientsOfAReplicaTakeTurnsAtIt(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w, all := settled(t, 10)
		client, err := datasource.NewClient(datasource.Config{Token: "eu--abcdef", Limiter: all[0], HTTPClient: w.client()})
		require.NoError(t, err)
		bulk, quiet := client.View(), client.View()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				for ctx.Err() == nil {
					_, _ = bulk.Find(ctx, 1, datasource.Query{})
				}
			})
		}
		time.Sleep(30 * time.Second)
		for range 20 {
			began := time.Now()
			_, err := quiet.Find(t.Context(), 2, datasource.Query{})
			require.NoError(t, err)
			assert.Less(t, time.Since(began), 100*time.Millisecond, "a bulk holds up nobody else")
			time.Sleep(3 * time.Second)
		}
		assert.Positive(t, bulk.Delay())
		require.NoError(t, client.LimiterErr())
		for _, r := range all {
			r.way.set(fails)
		}
		time.Sleep(10 * time.Second)
		require.ErrorIs(t, client.LimiterErr(), datasource.ErrImpaired)
		cancel()
		wg.Wait()
		w.kept()
		for _, r := range all {
			r.ends()
		}
	})
}

func TestARefusalIsWaitedOutByTheReplicaThatMetItAndFollowedByHalfItsShare(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w, all := settled(t, 14)
		_, of, _ := all[0].Load()
		_, others, _ := all[1].Load()
		began := time.Now()
		all[0].Refused(began.Add(7 * time.Second))
		require.NoError(t, all[1].Wait(t.Context()))
		assert.Zero(t, time.Since(began), "the others have their own limits")
		require.NoError(t, all[0].Wait(t.Context()))
		assert.Equal(t, 7*time.Second, time.Since(began))
		_, half, _ := all[0].Load()
		assert.InDelta(t, of/2, half, 2)
		_, same, _ := all[1].Load()
		assert.GreaterOrEqual(t, same, others)
		time.Sleep(2 * time.Minute)
		_, again, _ := all[0].Load()
		assert.Equal(t, of, again)
		w.kept()
		for _, r := range all {
			r.ends()
		}
	})
}

func TestAReplicaWithOtherSettingsHasItsFallbackUntilTheOthersAreGone(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w, all := settled(t, 11)
		other, err := limiter.New(w.store, key, 100, per, limiter.Options{Replicas: 2})
		require.NoError(t, err)
		time.Sleep(30 * time.Second)
		require.ErrorIs(t, other.Err(), limiter.ErrSettings)
		require.ErrorContains(t, other.Err(), "100 requests per 10s with 2 replicas and a fallback of 5 here, 200 requests per 10s with 4 replicas and a fallback of 5 there")
		_, of, _ := other.Load()
		assert.Equal(t, 5, of)
		for _, r := range all {
			require.NoError(t, r.Err())
			r.closes(t)
		}
		time.Sleep(15 * time.Second)
		require.NoError(t, other.Err())
		_, of, _ = other.Load()
		assert.Greater(t, of, 40)
		require.NoError(t, other.Close())
	})
}

func TestMoreReplicasThanExpectedAreToldAndShareTheLimit(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w, all := settled(t, 12)
		for range 3 {
			all = append(all, w.start(limiter.Options{}))
		}
		time.Sleep(30 * time.Second)
		for _, r := range all {
			require.ErrorIs(t, r.Err(), limiter.ErrTooMany)
			w.wants(r, 100)
		}
		time.Sleep(2 * time.Minute)
		w.kept()
		assert.Greater(t, w.count(), 10*n)
		for _, r := range all {
			r.ends()
		}
	})
}

func TestARecordThatNobodyCanReadIsReplacedAndNobodyHasMoreThanTheLimit(t *testing.T) {
	for name, raw := range map[string]string{
		"gone": "", "no JSON": "{", "null": "null", "a list": "[]", "no members": `{"version":1}`, "version 0": `{"version":0,"n":200}`,
		"a member that is null":    `{"version":1,"n":200,"per":10000000000,"replicas":4,"fallback":5,"members":[null]}`,
		"a negative share":         `{"version":1,"n":200,"per":10000000000,"replicas":4,"fallback":5,"members":[{"id":"a","beat":1,"hold":-1000}]}`,
		"a share above everything": `{"version":1,"n":200,"per":10000000000,"replicas":4,"fallback":5,"members":[{"id":"a","beat":1,"hold":9000000000000000000}]}`,
		"two members of one name":  `{"version":1,"n":200,"per":10000000000,"replicas":4,"fallback":5,"members":[{"id":"a","beat":1},{"id":"a","beat":1}]}`,
		"a number that is text":    `{"version":1,"n":"200"}`,
		"a forged member":          `{"version":1,"n":200,"per":10000000000,"replicas":4,"fallback":5,"members":[{"id":"a","beat":1,"want":200,"hold":180}]}`,
		"a forged limit":           `{"version":1,"n":9000000000000000000,"per":1,"replicas":9000000000000000000,"fallback":9000000000000000000,"members":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				w, all := settled(t, 13)
				for _, r := range all {
					w.wants(r, 100)
				}
				time.Sleep(30 * time.Second)
				if raw == "" {
					require.NoError(t, w.store.Delete(t.Context(), key))
				} else {
					require.NoError(t, w.store.Set(t.Context(), key, []byte(raw)))
				}
				time.Sleep(time.Minute)
				assert.GreaterOrEqual(t, may(all...), n*90/100)
				for _, r := range all {
					require.NoError(t, r.Err())
				}
				if name != "a forged member" && name != "a forged limit" {
					w.kept()
				}
				for _, r := range all {
					r.ends()
				}
			})
		})
	}
}

func TestARecordOfANewerVersionIsLeftAlone(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 14)
		newer := []byte(`{"version":2,"what":"is not known"}`)
		require.NoError(t, w.store.Set(t.Context(), key, newer))
		r := w.start(limiter.Options{})
		time.Sleep(time.Minute)
		require.ErrorIs(t, r.Err(), limiter.ErrSettings)
		require.ErrorContains(t, r.Err(), "newer version")
		require.NoError(t, r.Wait(t.Context()))
		r.ends()
		raw, err := w.store.Get(t.Context(), key)
		require.NoError(t, err)
		assert.Equal(t, newer, raw)
	})
}

// stuck is a store that heeds no context.
type stuck struct {
	storage.Store
	free chan struct{}
}

func (s stuck) Get(context.Context, string) ([]byte, error) {
	<-s.free
	return nil, errDown
}

func TestCloseEndsWhenTheStoreHangsWhateverItsContext(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := stuck{storage.NewMemory(), make(chan struct{})}
		l, err := limiter.New(s, key, n, per, limiter.Options{})
		require.NoError(t, err)
		time.Sleep(2 * per)
		require.NoError(t, l.Wait(t.Context()), "the fallback needs nobody")
		require.ErrorIs(t, l.Err(), datasource.ErrImpaired)
		began := time.Now()
		require.ErrorIs(t, l.Close(), context.DeadlineExceeded)
		assert.Equal(t, 5*time.Second, time.Since(began))
		close(s.free)
		synctest.Wait()
	})
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	store := storage.NewMemory()
	for name, c := range map[string]struct {
		store storage.Store
		key   string
		n     int
		per   time.Duration
		opts  limiter.Options
		want  string
	}{
		"no store":                    {nil, key, n, per, limiter.Options{}, "store is nil"},
		"no key":                      {store, "", n, per, limiter.Options{}, "key has 0 bytes"},
		"a long key":                  {store, string(make([]byte, 1025)), n, per, limiter.Options{}, "key has 1025 bytes"},
		"no limit":                    {store, key, 0, per, limiter.Options{}, "n is 0"},
		"a negative limit":            {store, key, -5, per, limiter.Options{}, "n is -5"},
		"no window":                   {store, key, n, 0, limiter.Options{}, "per is 0s"},
		"a window of centuries":       {store, key, n, math.MaxInt64, limiter.Options{}, "per is 2562047h"},
		"a lease of centuries":        {store, key, n, per, limiter.Options{Lease: math.MaxInt64}, "Options.Lease is 2562047h"},
		"negative replicas":           {store, key, n, per, limiter.Options{Replicas: -1}, "Options.Replicas is -1"},
		"a negative fallback":         {store, key, n, per, limiter.Options{Fallback: -1}, "Options.Fallback is -1"},
		"all is fallback":             {store, key, n, per, limiter.Options{Fallback: 50}, "Options.Fallback is 50 for each of 4 replicas"},
		"more replicas than requests": {store, key, 3, per, limiter.Options{}, "Options.Fallback is 1 for each of 4 replicas"},
		"a short lease":               {store, key, n, per, limiter.Options{Lease: per}, "Options.Lease is 10s: give at least 11s"},
	} {
		l, err := limiter.New(c.store, c.key, c.n, c.per, c.opts)
		require.ErrorContains(t, err, c.want, name)
		require.Nil(t, l)
	}
}

func FuzzRecordsFromAnybody(f *testing.F) {
	f.Add([]byte(`{"version":1,"n":200,"per":10000000000,"replicas":4,"fallback":5,"members":[{"id":"a","beat":1,"want":3,"hold":9},{"id":"b","beat":1,"want":300,"hold":90}]}`))
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := limiter.Decode(raw); err != nil && errors.Is(err, errDown) {
			t.Fatal(err)
		}
	})
}
