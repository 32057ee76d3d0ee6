package receive_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/life"
	"github.com/fliplet/fliplet-chat-go/internal/life/lifetest"
	"github.com/fliplet/fliplet-chat-go/internal/receive"
)

var errEnd = errors.New("the end")

// rows is a source with one conversation.
type rows struct {
	mu   sync.Mutex
	list []feed.Row
	fail error
	asks int
}

// add stores n rows, each a millisecond younger than the one before.
func (s *rows) add(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		id := int64(len(s.list) + 1)
		t := feed.Time(1_000_000 + id*1000)
		s.list = append(s.list, feed.Row{ID: id, Conversation: 7, Created: t, Updated: t})
	}
}

func (s *rows) Page(_ context.Context, q feed.Query) (receive.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asks++
	if s.fail != nil {
		return receive.Page{}, s.fail
	}
	var out []feed.Row
	for _, r := range s.list {
		key := feed.Key{Time: r.Updated, ID: r.ID}
		if (q.Kind == feed.Changes || q.Kind == feed.Created) && key.Compare(q.After) <= 0 {
			continue
		}
		out = append(out, r)
	}
	if q.Kind == feed.Newest || q.Kind == feed.Latest {
		for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
			out[i], out[j] = out[j], out[i]
		}
	}
	return receive.Page{Rows: out[:min(len(out), q.Limit)]}, nil
}

func (s *rows) Members(context.Context) ([]feed.Member, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []feed.Member{{Conversation: 7, Created: 1}}, s.fail
}

func (s *rows) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asks
}

func newFeed() *feed.Feed { return feed.New(feed.Config{}) }

func newReceiver(src receive.Source, whole *life.Life) *receive.Receiver {
	return receive.New(receive.Config{
		Source: src, Life: whole, Log: slog.New(slog.DiscardHandler), Engines: receive.EngineFunc(newFeed),
		Judge: func(err error) receive.Failure { return receive.Failure{End: errors.Is(err, errEnd)} },
	})
}

func from(s feed.Start) receive.Begin {
	return receive.Begin{Join: func(f *feed.Feed, now time.Time) (feed.ID, error) { return f.Subscribe(now, s), nil }}
}

// handler hands ids to a function.
type handler struct {
	fn  func(id int64) error
	id  int64
	mu  sync.Mutex
	got []int64
}

func (h *handler) Prepare(_ context.Context, e feed.Event, _ bool) bool { h.id = e.Row.ID; return true }

func (h *handler) Handle() error {
	h.mu.Lock()
	h.got = append(h.got, h.id)
	h.mu.Unlock()
	if h.fn != nil {
		return h.fn(h.id)
	}
	return nil
}

func (h *handler) all() []int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]int64{}, h.got...)
}

func TestPushersAndReadersGetTheSameInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src, h := &rows{}, &handler{}
		src.add(3)
		r := newReceiver(src, life.New(context.Background()))
		p, err := r.Push(t.Context(), h, from(feed.FromNewest))
		require.NoError(t, err)
		rd, err := r.Read(t.Context(), from(feed.FromNewest))
		require.NoError(t, err)
		var read []int64
		for len(read) < 5 {
			e, err := rd.Next(t.Context())
			require.NoError(t, err)
			read = append(read, e.Row.ID)
			rd.Ack()
			if len(read) == 3 {
				src.add(2)
			}
		}
		require.NoError(t, r.Poll(t.Context(), false))
		assert.Equal(t, []int64{1, 2, 3, 4, 5}, read)
		assert.Equal(t, read, h.all())
		assert.True(t, rd.Shared())
		rd.Close()
		p.Stop(nil)
		ended(t, p.Done())
		require.NoError(t, p.Err())
		require.NoError(t, r.Wait(t.Context()))
	})
}

func TestNothingIsAskedWhileNobodyListens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &rows{}
		r := newReceiver(src, life.New(context.Background()))
		require.NoError(t, r.Poll(t.Context(), false), "nobody to poll for")
		p, err := r.Push(t.Context(), &handler{}, from(feed.FromNow))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		p.Stop(nil)
		asked := src.requests()
		assert.Positive(t, asked)
		time.Sleep(time.Hour)
		assert.Equal(t, asked, src.requests())
		_, err = r.Push(t.Context(), &handler{}, from(feed.FromNow))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		assert.Greater(t, src.requests(), asked)
		r.Stop(errEnd)
	})
}

func TestStopWaitsForNothingAndNoFunctionBeginsAfterIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &rows{}
		src.add(9)
		whole := life.New(context.Background())
		r := newReceiver(src, whole)
		h := &handler{fn: func(int64) error { time.Sleep(time.Minute); return nil }}
		p, err := r.Push(t.Context(), h, from(feed.FromNewest))
		require.NoError(t, err)
		rd, err := r.Read(t.Context(), from(feed.FromNewest))
		require.NoError(t, err)
		defer rd.Close()
		time.Sleep(time.Second)
		began := time.Now()
		r.Stop(errEnd)
		assert.Zero(t, time.Since(began))
		_, err = rd.Next(t.Context())
		require.ErrorIs(t, err, errEnd)
		_, err = r.Push(t.Context(), h, from(feed.FromNewest))
		require.ErrorIs(t, err, errEnd)
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, r.Wait(brief), context.DeadlineExceeded)
		select {
		case <-p.Done():
			t.Error("its function runs")
		default:
		}
		require.NoError(t, whole.Wait(t.Context()))
		ended(t, p.Done())
		require.ErrorIs(t, p.Err(), errEnd)
		assert.Equal(t, []int64{1}, h.all())
	})
}

func TestAnEventTakenBeforeTheStopCanBeAcknowledged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &rows{}
		src.add(2)
		r := newReceiver(src, life.New(context.Background()))
		var engine *feed.Feed
		var id feed.ID
		rd, err := r.Read(t.Context(), receive.Begin{Join: func(f *feed.Feed, now time.Time) (_ feed.ID, err error) {
			engine = f
			id, err = f.SubscribeDurable(now, feed.FromNewest, feed.Stored{})
			return id, err
		}})
		require.NoError(t, err)
		_, err = rd.Next(t.Context())
		require.NoError(t, err)
		synctest.Wait()
		before, ok := engine.Commit(id, false)
		require.True(t, ok)
		r.Stop(errEnd)
		rd.Ack()
		after, ok := engine.Commit(id, false)
		require.True(t, ok)
		assert.NotNil(t, before.Base)
		assert.NotEmpty(t, after.Log)
		rd.Close()
	})
}

func TestAListenerThatIsStoppedWhileItsEventIsPreparedIsNotCalled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &rows{}
		src.add(1)
		r := newReceiver(src, life.New(context.Background()))
		h := &slow{}
		p, err := r.Push(t.Context(), h, from(feed.FromNewest))
		require.NoError(t, err)
		time.Sleep(time.Second)
		p.Stop(errEnd)
		ended(t, p.Done())
		assert.True(t, h.ended, "its context ends with it")
		assert.False(t, h.called)
		r.Stop(errEnd)
	})
}

// slow takes a minute to prepare, unless its context ends, and says it is ready
// nevertheless.
type slow struct{ ended, called bool }

func (h *slow) Prepare(ctx context.Context, _ feed.Event, _ bool) bool {
	select {
	case <-ctx.Done():
		h.ended = true
	case <-time.After(time.Minute):
	}
	return true
}

func (h *slow) Handle() error { h.called = true; return nil }

func TestAHandlersErrorEndsItsPusherAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &rows{}
		src.add(3)
		r := newReceiver(src, life.New(context.Background()))
		good, bad := &handler{}, &handler{fn: func(id int64) error {
			if id == 2 {
				return errEnd
			}
			return nil
		}}
		p, err := r.Push(t.Context(), bad, from(feed.FromNewest))
		require.NoError(t, err)
		_, err = r.Push(t.Context(), good, from(feed.FromNewest))
		require.NoError(t, err)
		ended(t, p.Done())
		require.ErrorIs(t, p.Err(), errEnd)
		require.NoError(t, r.Poll(t.Context(), false))
		assert.Equal(t, []int64{1, 2}, bad.all())
		assert.Equal(t, []int64{1, 2, 3}, good.all())
		r.Stop(errEnd)
	})
}

func TestPollTellsOfItsFailureAndEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &rows{fail: errors.New("away")}
		r := newReceiver(src, life.New(context.Background()))
		_, err := r.Push(t.Context(), &handler{}, from(feed.FromNow))
		require.NoError(t, err)
		require.ErrorIs(t, r.Poll(t.Context(), false), src.fail)
		brief, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, errEnd)
		defer cancel()
		require.ErrorIs(t, r.Poll(brief, false), errEnd, "the next attempt comes later")
		r.Stop(errEnd)
		require.NoError(t, r.Poll(t.Context(), false), "nobody listens any more")
	})
}

func TestAFailureThatEndsPollingEndsTheListenersWithIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(&rows{fail: errEnd}, life.New(context.Background()))
		p, err := r.Push(t.Context(), &handler{}, from(feed.FromNow))
		require.NoError(t, err)
		ended(t, p.Done())
		require.ErrorIs(t, p.Err(), errEnd)
		require.NoError(t, r.Wait(t.Context()))
	})
}

func TestPollWaitsForProgressButNotForAFunctionThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &rows{}
		src.add(20)
		r := newReceiver(src, life.New(context.Background()))
		h := &handler{fn: func(int64) error { time.Sleep(900 * time.Millisecond); return nil }}
		hang := &handler{fn: func(id int64) error {
			if id == 21 {
				<-t.Context().Done()
			}
			return nil
		}}
		_, err := r.Push(t.Context(), h, from(feed.FromNewest))
		require.NoError(t, err)
		_, err = r.Push(t.Context(), hang, from(feed.FromNewest))
		require.NoError(t, err)
		began := time.Now()
		require.NoError(t, r.Poll(t.Context(), false))
		assert.Len(t, h.all(), 20, "slow, but not stuck")
		assert.Equal(t, 18*time.Second, time.Since(began))
		src.add(1)
		began = time.Now()
		require.NoError(t, r.Poll(t.Context(), false))
		assert.LessOrEqual(t, time.Since(began), 3*time.Second, "the one that hangs makes no progress")
		r.Stop(errEnd)
	})
}

func TestReceiversComeToRestInWhateverOrder(t *testing.T) {
	t.Parallel()
	src := &rows{}
	src.add(5)
	lifetest.Stress(t, 10_000, func() lifetest.Machine {
		r := newReceiver(src, life.New(context.Background()))
		return lifetest.Machine{
			Start: func(ctx context.Context) error {
				_, err := r.Push(ctx, &handler{fn: func(id int64) error {
					if id == 2 {
						r.Stop(errEnd) // from inside
					}
					return nil
				}}, from(feed.FromNewest))
				return err
			},
			Stop: r.Stop, Wait: r.Wait,
		}
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
