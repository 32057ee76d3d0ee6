package boltstore_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/storage/boltstore"
)

// contents is everything in a store.
func contents(t *testing.T, s *boltstore.Store) map[string]string {
	t.Helper()
	out := map[string]string{}
	for key, err := range s.List(t.Context(), "") {
		require.NoError(t, err)
		v, err := s.Get(t.Context(), key)
		require.NoError(t, err)
		out[key] = string(v)
	}
	return out
}

func TestScrubLeavesNothingOfWhatWasDeletedOrReplacedInTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "chat.db")
	s := open(t, path)
	for i := range 300 { // enough for a tree with signposts
		require.NoError(t, s.Set(t.Context(), fmt.Sprintf("secret-name/%03d", i), bytes.Repeat([]byte("SECRET-VALUE"), 1+i*3)))
		require.NoError(t, s.Set(t.Context(), fmt.Sprintf("kept/%03d", i), bytes.Repeat([]byte("SECRET-BEFORE"), 20)))
		require.NoError(t, s.Set(t.Context(), fmt.Sprintf("kept/%03d", i), fmt.Append(nil, "kept value ", i)))
	}
	require.NoError(t, s.Set(t.Context(), "secret-name/large", bytes.Repeat([]byte("SECRET-VALUE"), 1<<17)))
	for i := range 300 {
		require.NoError(t, s.Delete(t.Context(), fmt.Sprintf("secret-name/%03d", i)))
	}
	require.NoError(t, s.Delete(t.Context(), "secret-name/large"))
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Contains(raw, []byte("SECRET-VALUE")), "without Scrub it is still there")
	before := contents(t, s)
	require.Len(t, before, 300)

	require.NoError(t, s.Scrub(t.Context()))
	assert.Equal(t, before, contents(t, s))
	for range 2 {
		raw, err = os.ReadFile(path)
		require.NoError(t, err)
		for _, secret := range []string{"SECRET-VALUE", "SECRET-BEFORE", "secret-name"} {
			assert.False(t, bytes.Contains(raw, []byte(secret)), secret)
		}
		require.NoError(t, s.Close())
	}
	s = open(t, path)
	assert.Equal(t, before, contents(t, s))
	require.NoError(t, s.Set(t.Context(), "more", []byte("of it")))
	require.NoError(t, s.Scrub(t.Context()))
	assert.Len(t, contents(t, s), 301)
}

func TestScrubDisturbsNeitherReadersNorWriters(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "chat.db")
	s := open(t, path)
	for i := range 100 {
		require.NoError(t, s.Set(t.Context(), fmt.Sprint("fixed ", i), filling(i)))
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				key := fmt.Sprint("busy ", w)
				assert.NoError(t, s.Set(t.Context(), key, bytes.Repeat([]byte{byte(i)}, 3000)))
				assert.NoError(t, s.Delete(t.Context(), key))
			}
		})
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				v, err := s.Get(t.Context(), fmt.Sprint("fixed ", i%100))
				assert.NoError(t, err)
				assert.Equal(t, filling(i%100), v)
			}
		})
	}
	for range 6 {
		require.NoError(t, s.Scrub(t.Context()))
	}
	stop()
	wg.Wait()
	require.NoError(t, s.Close())
	assert.Len(t, contents(t, open(t, path)), 100)
}

func TestScrubEndsWithItsContextAndWithTheStore(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "chat.db"))
	ctx, cancel := context.WithCancel(t.Context())
	release := s.Occupy()
	cancel()
	require.ErrorIs(t, s.Scrub(ctx), context.Canceled)
	release()
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Scrub(t.Context()), boltstore.ErrClosed)
}
