package cache

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const (
	host = "https://127.0.0.1:32929"
	jane = "12633360eea217561dd9eef179aec78f"
	bob  = "eaa838f6bce5a12cabdd8ce0c5cd6bf6"
)

// owner stores all columns unless stores says otherwise, and has nothing that ends.
type owner struct {
	stores     func(column string) bool
	background *sync.WaitGroup // may be nil
}

func (o owner) Stores(column string) bool { return o.stores == nil || o.stores(column) }
func (owner) Shared() []string            { return []string{"fl-chat-auth-email"} }

func (o owner) Go(fn func()) bool {
	if o.background == nil {
		go fn()
	} else {
		o.background.Go(fn)
	}
	return true
}

func (owner) AfterStop(func(error)) (release func() bool) { return func() bool { return true } }

func open(s storage.Store) *Cache {
	return New(Config{Store: s, BaseURL: host, DataSourceID: 101, Log: slog.New(slog.DiscardHandler), KeepsMessages: true, Page: 3, Owner: owner{}})
}

// plain hides that a Store can list.
type plain struct{ storage.Store }

// virtual runs a test by its own clock, as whoever writes waits for the Store for a moment
// only, and a busy machine takes longer than that.
func virtual(t *testing.T, fn func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, fn)
}

// stores are a Store that lists and one that does not.
func stores(t *testing.T, fn func(t *testing.T, s storage.Store)) {
	t.Parallel()
	t.Run("lists", func(t *testing.T) {
		virtual(t, func(t *testing.T) { fn(t, storage.NewMemory()) })
	})
	t.Run("does not list", func(t *testing.T) {
		virtual(t, func(t *testing.T) { fn(t, plain{storage.NewMemory()}) })
	})
}

// dump is everything in a Store.
func dump(t *testing.T, s storage.Store) map[string]string {
	t.Helper()
	if p, ok := s.(plain); ok {
		s = p.Store
	}
	out := map[string]string{}
	for key, err := range s.(storage.Lister).List(context.Background(), "") {
		require.NoError(t, err)
		v, err := s.Get(context.Background(), key)
		require.NoError(t, err)
		out[key] = string(v)
	}
	return out
}

// golden is what an earlier version stored: two users and nobody in particular.
func golden(t *testing.T, s storage.Store) map[string]string {
	t.Helper()
	raw, err := os.ReadFile("testdata/store.json")
	require.NoError(t, err)
	var values map[string]string
	require.NoError(t, json.Unmarshal(raw, &values))
	for key, v := range values {
		require.NoError(t, s.Set(t.Context(), key, []byte(v)))
	}
	return values
}

// gated is a Store whose calls a test holds up. A gate that is nil is open.
type gated struct {
	storage.Store
	set     func(ctx context.Context, key string) error
	written func(key string) // after a Set
	remove  func(ctx context.Context, key string) error
	get     func(ctx context.Context, key string) error
}

func (g *gated) Get(ctx context.Context, key string) ([]byte, error) {
	if g.get != nil {
		if err := g.get(ctx, key); err != nil {
			return nil, err
		}
	}
	return g.Store.Get(ctx, key)
}

func (g *gated) Set(ctx context.Context, key string, value []byte) error {
	if g.set != nil {
		if err := g.set(ctx, key); err != nil {
			return err
		}
	}
	err := g.Store.Set(context.WithoutCancel(ctx), key, value)
	if g.written != nil {
		g.written(key)
	}
	return err
}

func (g *gated) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if g.set != nil {
		if err := g.set(ctx, key); err != nil {
			return false, err
		}
	}
	return g.Store.CompareAndSwap(context.WithoutCancel(ctx), key, old, new)
}

func (g *gated) Delete(ctx context.Context, key string) error {
	if g.remove != nil {
		if err := g.remove(ctx, key); err != nil {
			return err
		}
	}
	return g.Store.Delete(ctx, key)
}

// hang holds a call up until its context ends.
func hang(ctx context.Context, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

var began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func contact(id int64, userID string) *datasource.Entry {
	return &datasource.Entry{ID: id, DataSourceID: 101, Data: datasource.M{"flUserId": userID}, CreatedAt: began, UpdatedAt: began}
}

// byID accepts the contact of a user.
func byID(userID string) func(*datasource.Entry) (string, bool) {
	return func(e *datasource.Entry) (string, bool) {
		id, _ := e.Data["flUserId"].(string)
		return id, id == userID
	}
}
