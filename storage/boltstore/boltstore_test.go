package boltstore_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/boltstore"
	"github.com/fliplet/fliplet-chat-go/storage/storagetest"
)

func open(t *testing.T, path string) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestFileIsAStore(t *testing.T) {
	t.Parallel()
	var paths sync.Map
	storagetest.Run(t, func(t *testing.T) storage.Store {
		path := filepath.Join(t.TempDir(), "chat.db")
		s := open(t, path)
		paths.Store(s, path)
		return s
	}, storagetest.Reopen(func(t *testing.T, s storage.Store) storage.Store {
		path, _ := paths.Load(s)
		require.NoError(t, s.(*boltstore.Store).Close())
		again := open(t, path.(string))
		paths.Store(again, path)
		return again
	}))
}

func TestFileIsForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mode := func(path string) os.FileMode {
		info, err := os.Stat(path)
		require.NoError(t, err)
		return info.Mode().Perm()
	}
	fresh := filepath.Join(dir, "fresh.db")
	open(t, fresh)
	assert.Equal(t, os.FileMode(0o600), mode(fresh))

	shared := filepath.Join(dir, "shared.db")
	require.NoError(t, open(t, shared).Close())
	require.NoError(t, os.Chmod(shared, 0o644))
	open(t, shared)
	assert.Equal(t, os.FileMode(0o600), mode(shared), "a file that others could read is narrowed")
}

func TestSecondOpenIsRefusedAfterTheTimeoutAndNamesTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "chat.db")
	first := open(t, path)
	_, err := boltstore.Open(path, boltstore.Timeout(20*time.Millisecond))
	require.ErrorIs(t, err, boltstore.ErrLocked)
	assert.Contains(t, err.Error(), path)
	require.NoError(t, first.Set(t.Context(), "key", []byte("still usable")))
	require.NoError(t, first.Close())
	second := open(t, path)
	v, err := second.Get(t.Context(), "key")
	require.NoError(t, err)
	assert.Equal(t, "still usable", string(v))
}

func TestBadArgumentsAreRefusedWithTheFix(t *testing.T) {
	t.Parallel()
	_, err := boltstore.Open("")
	assert.ErrorContains(t, err, "path is empty")
	_, err = boltstore.Open(filepath.Join(t.TempDir(), "x.db"), boltstore.Timeout(0))
	assert.ErrorContains(t, err, "Timeout")
	_, err = boltstore.Open(filepath.Join(t.TempDir(), "no", "such", "folder.db"))
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, err = boltstore.Open(t.TempDir())
	assert.Error(t, err, "a folder")

	s := open(t, filepath.Join(t.TempDir(), "chat.db"))
	for _, key := range []string{"", string(bytes.Repeat([]byte("k"), 40_000))} {
		assert.ErrorContains(t, s.Set(t.Context(), key, nil), "key of")
		_, err := s.Get(t.Context(), key)
		assert.ErrorContains(t, err, "key of")
	}
}

func TestClosedStoreSaysSo(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "chat.db"))
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "closing again does nothing")
	_, err := s.Get(t.Context(), "key")
	assert.ErrorIs(t, err, boltstore.ErrClosed)
	assert.ErrorIs(t, s.Set(t.Context(), "key", nil), boltstore.ErrClosed)
	assert.ErrorIs(t, s.Delete(t.Context(), "key"), boltstore.ErrClosed)
	_, err = s.CompareAndSwap(t.Context(), "key", nil, nil)
	assert.ErrorIs(t, err, boltstore.ErrClosed)
}

func TestWaitingWriterGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "chat.db"))
	release := s.Occupy()
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Set(ctx, "key", []byte("late")) }()
	cancel(fmt.Errorf("enough: %w", context.Canceled))
	assert.ErrorContains(t, <-done, "enough")
	release()
	_, err := s.Get(t.Context(), "key")
	assert.ErrorIs(t, err, storage.ErrNotFound)
}

// filled returns the bytes of a file with 40 values.
var filled = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "boltstore")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "good.db")
	s, err := boltstore.Open(path)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for i := range 40 {
		if err := s.Set(context.Background(), fmt.Sprintf("key %02d", i), filling(i)); err != nil {
			return nil, err
		}
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func filling(i int) []byte { return bytes.Repeat([]byte{'a' + byte(i%26)}, 500) }

func TestDamagedFileIsRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	good, err := filled()
	require.NoError(t, err)
	type damage struct {
		name string
		raw  []byte
	}
	cases := []damage{
		{"text", []byte("this was never a database, only a text that is long enough to be taken for a page of one")},
		{"zeros", make([]byte, len(good))},
		{"noise", bytes.Repeat([]byte{0xA5, 0x5A, 0xFF}, len(good)/3)},
		{"one byte", []byte{1}},
	}
	for _, n := range []int{4096, 8192, 12288, 16384} {
		cases = append(cases, damage{fmt.Sprintf("cut to %d bytes", n), good[:n]})
	}
	flip := bytes.Clone(good)
	at := bytes.Index(flip, bytes.Repeat([]byte("d"), 500))
	require.Positive(t, at)
	flip[at+250] ^= 1
	cases = append(cases, damage{"one bit of a value", flip})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "bad.db")
			require.NoError(t, os.WriteFile(path, c.raw, 0o600))
			s, err := boltstore.Open(path)
			if err == nil {
				s.Close()
			}
			require.ErrorIs(t, err, boltstore.ErrCorrupt)
			assert.Contains(t, err.Error(), path)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.True(t, bytes.Equal(c.raw, after), "what is left of the file is left alone")
			_, err = boltstore.Open(path, boltstore.Timeout(time.Second))
			assert.NotErrorIs(t, err, boltstore.ErrLocked, "the lock is not kept")
		})
	}
}

// Whatever page is overwritten, no value is ever returned that was not stored.
func TestNoDamagedPageMakesAWrongValue(t *testing.T) {
	t.Parallel()
	good, err := filled()
	require.NoError(t, err)
	const page, cut = 4096, 0x01
	for at := 0; at < len(good); at += page {
		t.Run(fmt.Sprint(at/page), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "bad.db")
			for _, b := range []byte{0x00, 0xFF, 0x41, cut} {
				raw := bytes.Clone(good)
				copy(raw[at:], bytes.Repeat([]byte{b}, page))
				if b == cut {
					raw = raw[:at]
				}
				require.NoError(t, os.WriteFile(path, raw, 0o600))
				s, err := boltstore.Open(path)
				if err != nil {
					continue
				}
				for i := range 40 {
					v, err := s.Get(t.Context(), fmt.Sprintf("key %02d", i))
					if err == nil {
						require.Equal(t, filling(i), v, "page %d filled with %#x", at/page, b)
					}
				}
				require.NoError(t, s.Close())
			}
		})
	}
}
