package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/outbox"
	"github.com/fliplet/fliplet-chat-go/storage"
)

var (
	errEnd     = errors.New("the end")
	errOutage  = errors.New("the network is down")
	errRefused = errors.New("the server refuses")
	errOwn     = errors.New("the server fails at this one")
	errBusy    = errors.New("the server is not available")
)

// lostAnswer is the failure of a write that may have been made.
type lostAnswer struct{}

func (lostAnswer) Error() string { return "the answer was lost" }

// server stores messages, unless fail says otherwise.
type server struct {
	mu       sync.Mutex
	rows     map[int64][]string // guids in the order of their arrival
	inserts  int
	lookUps  int
	first    time.Time // when the first request came
	fail     error     // of inserts
	write    bool      // they store the row all the same
	slow     time.Duration
	notFound bool  // look-ups find nothing
	down     error // of look-ups
}

func newServer() *server { return &server{rows: map[int64][]string{}} }

func (s *server) request() {
	if s.first.IsZero() {
		s.first = time.Now()
	}
}

// forget forgets when the first request came.
func (s *server) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.first = time.Time{}
}

// failing sets how inserts fail; nil ends that.
func (s *server) failing(err error, write bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail, s.write = err, write
}

func (s *server) insert(ctx context.Context, r outbox.Record) (*datasource.Entry, error) {
	s.mu.Lock()
	s.request()
	s.inserts++
	slow, fail := s.slow, s.fail
	if fail == nil || s.write {
		s.rows[r.Conversation] = append(s.rows[r.Conversation], r.GUID)
	}
	s.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return nil, lostAnswer{}
		}
	}
	if fail != nil {
		return nil, fail
	}
	return &datasource.Entry{ID: 1, DataSourceID: r.Conversation, Data: r.Data}, nil
}

func (s *server) lookUp(_ context.Context, r outbox.Record) (*datasource.Entry, error) {
	conversation, guid := r.Conversation, r.GUID
	s.mu.Lock()
	defer s.mu.Unlock()
	s.request()
	s.lookUps++
	if s.down != nil {
		return nil, s.down
	}
	if s.notFound || !slices.Contains(s.rows[conversation], guid) {
		return nil, nil //nolint:nilnil // the port says so
	}
	return &datasource.Entry{ID: 1, DataSourceID: conversation, Data: datasource.M{"guid": guid}}, nil
}

func (s *server) list(conversation int64) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rows[conversation])
}

// firstAfter is how long after a moment the first request came.
func (s *server) firstAfter(began time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first.Sub(began)
}

func (s *server) asked() (inserts, lookUps int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inserts, s.lookUps
}

const key = "some/outbox"

// box is an outbox in front of the server.
func (s *server) box(store storage.Store, change ...func(*outbox.Config)) *outbox.Outbox {
	cfg := outbox.Config{
		Store: store, Key: key, Insert: s.insert, LookUp: s.lookUp,
		Judge:    judge,
		Doubtful: func(err error) bool { return errors.Is(err, lostAnswer{}) },
	}
	for _, c := range change {
		c(&cfg)
	}
	return outbox.New(cfg)
}

func judge(err error) outbox.Verdict {
	switch {
	case errors.Is(err, errRefused):
		return outbox.Refused
	case errors.Is(err, errOwn):
		return outbox.Failing
	case errors.Is(err, errBusy):
		return outbox.Unavailable
	}
	return outbox.Later
}

// end stops an outbox and waits for it.
func end(t *testing.T, boxes ...*outbox.Outbox) {
	t.Helper()
	for _, b := range boxes {
		b.Stop(errEnd)
		require.NoError(t, b.Wait(context.Background()))
	}
}

func message(t *testing.T, conversation int64, guid string) outbox.Record {
	t.Helper()
	rec, err := outbox.NewRecord(conversation, datasource.Write{Data: datasource.M{"guid": guid, "body": guid}})
	require.NoError(t, err)
	return rec
}

// queue adds messages.
func queue(t *testing.T, b *outbox.Outbox, conversation int64, guids ...string) (last *outbox.Sending) {
	t.Helper()
	for _, guid := range guids {
		var err error
		last, err = b.Add(t.Context(), message(t, conversation, guid), false)
		require.NoError(t, err)
	}
	return last
}

func names(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("m%02d", i)
	}
	return out
}

// virtual runs a test in virtual time.
func virtual(t *testing.T, test func(t *testing.T)) {
	t.Parallel()
	synctest.Test(t, test)
}

// counted is a store that counts its calls, and can fail or belong to one process.
type counted struct {
	storage.Store
	exclusive bool

	mu             sync.Mutex
	gets, sets     int
	deletes, swaps int
	fail           error
	keys           map[string]bool
}

func newStore() *counted { return &counted{Store: storage.NewMemory(), keys: map[string]bool{}} }

func (c *counted) Exclusive() bool { return c.exclusive }

func (c *counted) call(n *int, key string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	*n++
	c.keys[key] = true
	return c.fail
}

func (c *counted) failing(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = err
}

func (c *counted) Get(ctx context.Context, key string) ([]byte, error) {
	if err := c.call(&c.gets, key); err != nil {
		return nil, err
	}
	return c.Store.Get(ctx, key)
}

func (c *counted) Set(ctx context.Context, key string, v []byte) error {
	if err := c.call(&c.sets, key); err != nil {
		return err
	}
	return c.Store.Set(ctx, key, v)
}

func (c *counted) Delete(ctx context.Context, key string) error {
	if err := c.call(&c.deletes, key); err != nil {
		return err
	}
	return c.Store.Delete(ctx, key)
}

func (c *counted) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if err := c.call(&c.swaps, key); err != nil {
		return false, err
	}
	return c.Store.CompareAndSwap(ctx, key, old, new)
}

// calls are the numbers of calls so far.
func (c *counted) calls() (gets, sets, deletes, swaps int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gets, c.sets, c.deletes, c.swaps
}

// left are the keys that have a value.
func (c *counted) left(t *testing.T) []string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for k := range c.keys {
		if _, err := c.Store.Get(t.Context(), k); err == nil {
			out = append(out, k)
		}
	}
	return out
}

// killed is the store as a process leaves it that is killed now.
func (c *counted) killed(t *testing.T) *counted {
	t.Helper()
	out := newStore()
	out.exclusive = c.exclusive
	for _, k := range c.left(t) {
		v, err := c.Store.Get(t.Context(), k)
		require.NoError(t, err)
		require.NoError(t, out.Set(t.Context(), k, v))
	}
	return out
}
