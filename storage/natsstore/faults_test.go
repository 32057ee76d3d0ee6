package natsstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/natsproxy"
	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/natsstore"
	"github.com/fliplet/fliplet-chat-go/storage/storagetest"
)

func TestBucketIsAStoreBehindANetworkThatFails(t *testing.T) {
	t.Parallel()
	var cuts atomic.Int64
	storagetest.Run(t, func(t *testing.T) storage.Store {
		bucket := fresh()
		open(t, connect(t, shared.ClientURL()), bucket)
		p := natsproxy.New(t, shared.ClientURL(), natsproxy.Sometimes(12))
		t.Cleanup(func() { cuts.Add(p.Cuts()) })
		return openAnyhow(t, p, bucket)
	})
	t.Cleanup(func() { assert.Positive(t, cuts.Load(), "connections that were cut") })
}

// openAnyhow opens through a proxy that cuts. What follows waits long.
func openAnyhow(t *testing.T, p *natsproxy.Proxy, bucket string) *natsstore.Store {
	t.Helper()
	js := connect(t, p.URL())
	for {
		s, err := natsstore.Open(t.Context(), js, bucket, natsstore.Timeout(patience))
		if err == nil {
			return s
		}
		require.ErrorIs(t, err, natsstore.ErrUnavailable)
	}
}

// In each call, each of its requests is cut once, before the server has it and after.
func TestACallWhoseConnectionIsCutIsAnsweredRightly(t *testing.T) {
	t.Parallel()
	calls := map[string]func(context.Context, *natsstore.Store) error{
		"get": func(ctx context.Context, s *natsstore.Store) error {
			v, err := s.Get(ctx, "there")
			return errors.Join(err, differs(string(v), "before"))
		},
		"set of a new key":  func(ctx context.Context, s *natsstore.Store) error { return s.Set(ctx, "new", []byte("after")) },
		"set of an old key": func(ctx context.Context, s *natsstore.Store) error { return s.Set(ctx, "there", []byte("after")) },
		"delete":            func(ctx context.Context, s *natsstore.Store) error { return s.Delete(ctx, "there") },
		"swap": func(ctx context.Context, s *natsstore.Store) error {
			return swapped(s.CompareAndSwap(ctx, "there", []byte("before"), []byte("after")))
		},
		"swap from nothing": func(ctx context.Context, s *natsstore.Store) error {
			return swapped(s.CompareAndSwap(ctx, "new", nil, []byte("after")))
		},
		"swap to nothing": func(ctx context.Context, s *natsstore.Store) error {
			return swapped(s.CompareAndSwap(ctx, "there", []byte("before"), nil))
		},
		"list": func(ctx context.Context, s *natsstore.Store) error {
			for key, err := range s.List(ctx, "th") {
				if err := errors.Join(err, differs(key, "there")); err != nil {
					return err
				}
			}
			return nil
		},
	}
	after := map[string]string{
		"get": "there=before", "list": "there=before", "set of a new key": "new=after there=before", "set of an old key": "there=after",
		"delete": "", "swap": "there=after", "swap from nothing": "new=after there=before", "swap to nothing": "",
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, how := range []natsproxy.Fate{natsproxy.Cut, natsproxy.Mute} {
				for at := int64(1); ; at++ {
					bucket := fresh()
					direct := open(t, connect(t, shared.ClientURL()), bucket)
					require.NoError(t, direct.Set(t.Context(), "there", []byte("before")))
					var armed atomic.Bool
					var n atomic.Int64
					p := natsproxy.New(t, shared.ClientURL(), func() natsproxy.Fate {
						if armed.Load() && n.Add(1) == at {
							return how
						}
						return natsproxy.Passed
					})
					s := open(t, connect(t, p.URL()), bucket)
					armed.Store(true)
					require.NoError(t, call(t.Context(), s), "request %d, fate %d", at, how)
					armed.Store(false)
					var have []string
					for key, err := range direct.List(t.Context(), "") {
						require.NoError(t, err)
						have = append(have, key+"="+get(t, direct, key))
					}
					require.Equal(t, after[name], strings.Join(have, " "), "request %d, fate %d", at, how)
					if n.Load() < at {
						break // the call makes fewer requests
					}
				}
			}
		})
	}
}

func differs(got, want string) error {
	if got != want {
		return fmt.Errorf("got %q, want %q", got, want)
	}
	return nil
}

func swapped(ok bool, err error) error {
	if err == nil && !ok {
		return errors.New("not swapped")
	}
	return err
}

// Whoever swaps through a network that fails wins as often as the counter says.
func TestNoSwapIsReportedTwiceOrNotAtAllWhenAnswersAreLost(t *testing.T) {
	t.Parallel()
	bucket := fresh()
	direct := open(t, connect(t, shared.ClientURL()), bucket)
	var won atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		p := natsproxy.New(t, shared.ClientURL(), natsproxy.Sometimes(6))
		s := openAnyhow(t, p, bucket)
		wg.Go(func() {
			for range 40 {
				old, err := s.Get(t.Context(), "counter")
				if !errors.Is(err, storage.ErrNotFound) && !assert.NoError(t, err) {
					return
				}
				n := 0
				if old != nil {
					_, _ = fmt.Sscan(string(old), &n)
				}
				ok, err := s.CompareAndSwap(t.Context(), "counter", old, fmt.Append(nil, n+1))
				if !assert.NoError(t, err) {
					return
				}
				if ok {
					won.Add(1)
				}
			}
		})
	}
	wg.Wait()
	assert.Equal(t, fmt.Sprint(won.Load()), get(t, direct, "counter"))
}

// A write that is still on its way when its caller gives up must not undo a later one.
func TestAWriteThatArrivesLateIsRefused(t *testing.T) {
	t.Parallel()
	bucket := fresh()
	js := connect(t, shared.ClientURL())
	s := open(t, js, bucket)
	require.NoError(t, s.Set(t.Context(), "key", []byte("first")))
	sub, err := js.Conn().SubscribeSync("$KV." + bucket + ".>")
	require.NoError(t, err)
	require.NoError(t, s.Set(t.Context(), "key", []byte("second")))
	require.NoError(t, s.Set(t.Context(), "key", []byte("third")))
	require.NoError(t, s.Delete(t.Context(), "key"))
	stream, err := js.Stream(t.Context(), "KV_"+bucket)
	require.NoError(t, err)
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	for range 4 { // as if the network had held back what was sent
		late, err := sub.NextMsg(patience)
		require.NoError(t, err)
		late.Header.Del(jetstream.MsgIDHeader) // and longer than the server remembers it
		_, err = js.PublishMsg(t.Context(), &nats.Msg{Subject: late.Subject, Header: late.Header, Data: late.Data})
		assert.ErrorContains(t, err, "wrong last sequence")
	}
	again, err := stream.Info(t.Context())
	require.NoError(t, err)
	assert.Equal(t, info.State.LastSeq, again.State.LastSeq)
	_, err = s.Get(t.Context(), "key")
	assert.ErrorIs(t, err, storage.ErrNotFound)
}

func TestAStoreFindsItsServerAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := own(t, server.Options{StoreDir: dir})
	addr := first.Addr().(*net.TCPAddr)
	js := connect(t, first.ClientURL())
	require.NoError(t, open(t, js, "chat").Set(t.Context(), "key", []byte("kept")))
	s := hasty(t, js, "chat", hurry)
	stop(first)

	for name, call := range map[string]func(ctx context.Context) error{
		"get": func(ctx context.Context) error { _, err := s.Get(ctx, "key"); return err },
		"set": func(ctx context.Context) error { return s.Set(ctx, "key", []byte("lost")) },
		"list": func(ctx context.Context) error {
			for _, err := range s.List(ctx, "") {
				return err
			}
			return nil
		},
		"open": func(ctx context.Context) error {
			_, err := natsstore.Open(ctx, js, "chat", natsstore.Timeout(hurry))
			return err
		},
	} {
		assert.ErrorIs(t, call(t.Context()), natsstore.ErrUnavailable, "%s ends without a context that does", name)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("enough"))
		assert.ErrorContains(t, call(ctx), "enough", name)
	}

	require.Eventually(t, func() bool { // a connection that was made meanwhile may have got its port
		l, err := net.Listen("tcp", addr.String())
		return err == nil && l.Close() == nil
	}, patience, time.Millisecond)
	own(t, server.Options{StoreDir: dir, Port: addr.Port})
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		v, err := s.Get(context.Background(), "key")
		assert.NoError(t, err)
		assert.Equal(t, "kept", string(v))
	}, patience, 20*time.Millisecond)
	require.NoError(t, open(t, js, "chat").Set(t.Context(), "key", []byte("new")))
}

func TestAClosedConnectionIsSaid(t *testing.T) {
	t.Parallel()
	js := connect(t, shared.ClientURL())
	s := open(t, js, fresh())
	js.Conn().Close()
	err := s.Set(t.Context(), "key", nil)
	require.ErrorIs(t, err, natsstore.ErrUnavailable)
	assert.ErrorContains(t, err, "closed")
	assert.NotContains(t, err.Error(), "within", "it does not wait for what cannot come")
}

func TestAWriteToABucketThatWasDeletedSaysSo(t *testing.T) {
	t.Parallel()
	js, bucket := connect(t, shared.ClientURL()), fresh()
	s := hasty(t, js, bucket, 2*time.Second) // the client library asks for half a second by itself
	require.NoError(t, js.DeleteKeyValue(t.Context(), bucket))
	// A server that says nothing in the time that a call has says not that there is no stream either.
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		err := s.Set(t.Context(), "key", []byte("value"))
		assert.ErrorIs(c, err, natsstore.ErrUnavailable)
		assert.ErrorContains(c, err, "stream KV_"+bucket+" was deleted, or has no leader now")
	}, patience, time.Millisecond)
}
