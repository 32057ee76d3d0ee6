package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/outbox"
	"github.com/fliplet/fliplet-chat-go/storage"
)

func TestWhatAnAnswerSaysAboutAMessage(t *testing.T) {
	t.Parallel()
	want := map[int]outbox.Verdict{ // in the form of the service
		101: outbox.Failing, 302: outbox.Failing, 400: outbox.Refusing, 401: outbox.Failing, 403: outbox.Refusing, 404: outbox.Refusing, 408: outbox.Unavailable,
		405: outbox.Failing, 409: outbox.Failing, 413: outbox.Failing, 422: outbox.Refusing, 425: outbox.Unavailable, 429: outbox.Passing, 451: outbox.Failing,
		500: outbox.Failing, 501: outbox.Failing, 502: outbox.Unavailable, 503: outbox.Unavailable, 504: outbox.Unavailable, 507: outbox.Failing,
	}
	for status, verdict := range want {
		assert.Equal(t, verdict, outbox.Judge(fmt.Errorf("insert: %w", &datasource.Error{StatusCode: status, FromService: true, Type: "a", Code: "no"})), status)
		if verdict == outbox.Refusing {
			verdict = outbox.Failing
		}
		assert.Equal(t, verdict, outbox.Judge(&datasource.Error{StatusCode: status}), "%d of a proxy", status)
	}
	for _, status := range []int{400, 401, 403, 404, 422} {
		assert.Equal(t, outbox.Refused, outbox.Judge(&datasource.Error{StatusCode: status, FromService: true, Type: "datasource.access"}), status)
	}
	assert.Equal(t, outbox.Later, outbox.Judge(errors.New("the key cannot be read")))
	assert.Equal(t, outbox.Later, outbox.Judge(context.DeadlineExceeded), "of what no request was made for")
}

// withOwn lets inserts of one message fail, others succeed.
func (s *server) withOwn(guid string, err error) func(*outbox.Config) {
	return func(c *outbox.Config) {
		insert := c.Insert
		c.Insert = func(ctx context.Context, r outbox.Record) (*datasource.Entry, error) {
			if r.GUID == guid {
				s.mu.Lock()
				s.inserts++
				s.mu.Unlock()
				return nil, err
			}
			return insert(ctx, r)
		}
		// An answer with a failure leaves open whether the message was stored.
		c.Doubtful = func(err error) bool { return !errors.Is(err, errOutage) }
	}
}

func TestAMessageThatOnlyItselfFailsIsGivenUpAfterTheStatedAttempts(t *testing.T) {
	for name, fail := range map[string]error{"the look-ups of it are answered": errOwn, "others are stored": errBusy} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				srv, store := newServer(), newStore()
				b := srv.box(store, srv.withOwn("bad", fail), func(c *outbox.Config) { c.MaxAttempts = 12 })
				bad := queue(t, b, 7, "bad")
				behind := queue(t, b, 7, "good")
				if errors.Is(fail, errBusy) {
					go func() {
						for i := range 60 { // somebody writes in another conversation
							_, _ = b.Add(t.Context(), message(t, 8, fmt.Sprint(i)), false)
							time.Sleep(10 * time.Second)
						}
					}()
				}
				select {
				case <-bad.Done():
				case <-time.After(time.Hour):
					end(t, b)
					require.FailNow(t, "it is tried for ever")
				}
				row, err := bad.Result()
				assert.Nil(t, row)
				require.ErrorIs(t, err, fail)
				assert.ErrorContains(t, err, "given up after 12 attempts")
				ended(t, behind.Done())
				assert.Equal(t, []string{"good"}, srv.list(7))
				inserts, _ := srv.asked()
				assert.GreaterOrEqual(t, inserts, 12+1)
				require.NoError(t, b.Drain(t.Context()))
				time.Sleep(10 * time.Minute)
				waiting := b.Pending()
				require.Len(t, waiting, 1, "it is kept for somebody to decide")
				assert.Equal(t, outbox.Failed, waiting[0].State)
				require.ErrorIs(t, waiting[0].Err, fail)
				assert.True(t, waiting[0].NextTry.IsZero())
				gone, err := b.Discard(t.Context(), 7, "bad")
				require.NoError(t, err)
				assert.True(t, gone)
				assert.Empty(t, b.Pending())
				time.Sleep(time.Minute)
				_, _, _, swaps := store.calls()
				time.Sleep(time.Minute)
				_, _, _, later := store.calls()
				assert.Equal(t, swaps, later, "the claim rests")
				end(t, b)
				assert.Empty(t, store.left(t))
			})
		})
	}
}

func TestAnOutageIsNoReasonToGiveUp(t *testing.T) {
	for name, tt := range map[string]struct {
		fail    error
		others  bool // another message is stored before everything fails
		lookUps bool // are answered, but no conversation's inserts
	}{
		"nothing is answered": {errOutage, false, false},
		"not available":       {errBusy, false, false},
		"after a success":     {errBusy, true, false},
		"inserts only":        {errBusy, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				srv := newServer()
				b := srv.box(newStore(), func(c *outbox.Config) { c.MaxAttempts = 3 })
				if tt.others {
					<-queue(t, b, 8, "before").Done()
				}
				srv.failing(tt.fail, false)
				if !tt.lookUps {
					srv.mu.Lock()
					srv.down = tt.fail
					srv.mu.Unlock()
				}
				queue(t, b, 7, "a", "b")
				queue(t, b, 9, "c")
				time.Sleep(24 * time.Hour)
				synctest.Wait()
				waiting := b.Pending()
				require.Len(t, waiting, 3)
				assert.Greater(t, waiting[0].Attempts, 1000)
				srv.mu.Lock()
				srv.down = nil
				srv.mu.Unlock()
				srv.failing(nil, false)
				require.NoError(t, b.Flush(t.Context()))
				assert.Equal(t, []string{"a", "b"}, srv.list(7))
				end(t, b)
			})
		})
	}
}

// The server says that it is not available to each insert of the only conversation that
// has any, and answers its look-ups: that is no outage.
func TestAMessageThatAloneFindsTheServerUnavailableIsGivenUp(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv := newServer()
		b := srv.box(newStore(), func(c *outbox.Config) { c.MaxAttempts = 8 })
		srv.failing(errBusy, false)
		began := time.Now()
		s := queue(t, b, 7, "a")
		select {
		case <-s.Done():
		case <-time.After(24 * time.Hour):
			require.FailNow(t, "it is tried for ever")
		}
		_, err := s.Result()
		require.ErrorIs(t, err, errBusy)
		assert.ErrorContains(t, err, "given up after 80 attempts that found the server unavailable while it answered look-ups")
		t.Logf("after %v", time.Since(began))
		waiting := b.Pending()
		require.Len(t, waiting, 1, "it is kept")
		assert.Equal(t, outbox.Failed, waiting[0].State)
		end(t, b)
	})
}

// A conversation is gone whose first message may have been stored: what is said of those
// behind it is true of them.
func TestWhatIsSaidOfAMessageThatCannotBeLookedUp(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv, store := newServer(), newStore()
		b := srv.box(store)
		srv.failing(lostAnswer{}, false)
		sent := queue(t, b, 7, "sent")
		time.Sleep(time.Second)
		given, err := b.Add(t.Context(), message(t, 7, "given"), true)
		require.NoError(t, err)
		killed := store.killed(t)
		srv.mu.Lock()
		srv.down = errRefused
		srv.mu.Unlock()
		said := func(s *outbox.Sending) string {
			<-s.Done()
			_, err := s.Result()
			require.ErrorIs(t, err, errRefused)
			return err.Error()
		}
		assert.Contains(t, said(sent), "it may have been stored")
		assert.Contains(t, said(given), "it was not sent, since")
		end(t, b)
		next := srv.box(killed)
		require.NoError(t, next.Start(t.Context()))
		time.Sleep(10 * time.Second)
		adopted, err := next.Add(t.Context(), message(t, 7, "own"), false)
		require.NoError(t, err)
		<-adopted.Done()
		end(t, next)
	})
}

// The server answers look-ups, and fails at every insert, so that each message is
// looked up, and none is in the server twice whatever the answers were.
func TestNothingIsGivenUpThatMayHaveBeenStored(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv := newServer()
		b := srv.box(newStore(), func(c *outbox.Config) {
			c.MaxAttempts, c.Doubtful = 1, func(error) bool { return true }
		})
		srv.failing(errOwn, true) // it stores the row and says that it failed
		s := queue(t, b, 7, "a")
		ended(t, s.Done())
		row, err := s.Result()
		require.NoError(t, err)
		assert.NotNil(t, row)
		assert.Equal(t, []string{"a"}, srv.list(7))
		end(t, b)
	})
}

func TestWhatAnotherProcessLeftBehindIsPendingBeforeItsClaimRunsOut(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv := newServer()
		store := leftover(t, srv, false)
		b := srv.box(store)
		require.NoError(t, b.Start(t.Context()))
		waiting := b.Pending()
		require.Len(t, waiting, 20)
		for i, name := range names(20) {
			assert.Equal(t, name, waiting[i].GUID)
			assert.EqualValues(t, 7, waiting[i].Conversation)
			assert.False(t, waiting[i].QueuedAt.IsZero())
		}
		queue(t, b, 7, "new")
		assert.Len(t, b.Pending(), 21)
		require.NoError(t, b.Flush(t.Context()))
		assert.Empty(t, b.Pending())
		end(t, b)
	})
}

func TestKeysAreThoseOfMessagesAlone(t *testing.T) {
	virtual(t, func(t *testing.T) {
		srv, store := newServer(), newStore()
		srv.failing(errOutage, false)
		b := srv.box(store)
		queue(t, b, 7, "a", "b")
		require.NoError(t, store.Set(t.Context(), "some/outbox/owners/7", []byte("a claim")))
		require.NoError(t, store.Set(t.Context(), "other", []byte("x")))
		boxes, err := outbox.Keys(t.Context(), store.Store.(storage.Lister), "some/")
		require.NoError(t, err)
		require.Len(t, boxes[key], 2)
		assert.Len(t, boxes, 1)
		end(t, b)
	})
}
