package pins_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/pins"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// values are the stored pins of a user.
type values struct {
	mu     sync.Mutex
	name   string
	raw    []byte
	err    error
	reads  int
	writes int
}

func (v *values) PinsKey() string { return v.name }

func (v *values) Pins(context.Context) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.reads++
	return v.raw, v.err
}

func (v *values) EditPins(_ context.Context, edit func([]byte) ([]byte, error)) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err != nil {
		return v.err
	}
	raw, err := edit(v.raw)
	if err == nil {
		v.raw, v.writes = raw, v.writes+1
	}
	return err
}

// server has the definitions of conversations.
type server struct {
	t     testing.TB
	keys  map[int64]string // the key as JSON; none for ""
	reads int
	err   error
}

// owner has a book whose definitions are on a server.
type owner struct {
	*server
	values *values
	book   *pins.Book
}

func (o *owner) Values() pins.Values { return o.values }

func (o *owner) Read(_ context.Context, id int64) (wire.Definition, error) {
	o.reads++
	if o.err != nil {
		return wire.Definition{}, o.err
	}
	o.book.Put(id, o.definition(id))
	return o.definition(id), nil
}

func (s *server) book(v *values, strict bool) *pins.Book {
	o := &owner{server: s, values: v}
	o.book = pins.New(pins.Config{Owner: o, Strict: strict, Log: slog.New(slog.DiscardHandler)})
	return o.book
}

func (s *server) definition(id int64) wire.Definition {
	if s.keys[id] == "" {
		return wire.ParseDefinition(json.RawMessage(`{"participants":["u"]}`))
	}
	return wire.ParseDefinition(json.RawMessage(`{"encryptionKey":` + s.keys[id] + `}`))
}

func key(t testing.TB, b *pins.Book, id int64) string {
	t.Helper()
	k, err := b.Key(t.Context(), id)
	require.NoError(t, err)
	return k
}

func TestTheFirstKeyIsPinned(t *testing.T) {
	t.Parallel()
	v, s := &values{name: "jo"}, &server{t: t, keys: map[int64]string{1: `"one"`, 2: `"two"`}}
	b := s.book(v, false)
	assert.Equal(t, "one", key(t, b, 1))
	assert.Equal(t, "one", key(t, b, 1))
	assert.Equal(t, 1, s.reads)
	assert.Equal(t, wire.FallbackBodyKey(3), key(t, b, 3), "it has never had one")
	b.Put(2, s.definition(2)) // seen, in passing
	s.keys[1], s.keys[2] = `"other"`, ``
	for id := range s.keys {
		b.Put(id, s.definition(id))
		_, err := b.Key(t.Context(), id)
		require.ErrorIs(t, err, pins.ErrChanged)
		assert.True(t, b.Refused(id))
		_, ok := b.AtHand(id)
		assert.False(t, ok)
	}
	assert.NotContains(t, string(v.raw), "one")
	assert.Equal(t, 3, b.Len())
	// The next process.
	b = s.book(v, false)
	_, err := b.Key(t.Context(), 1)
	require.ErrorIs(t, err, pins.ErrChanged)
	s.keys[1] = `"one"`
	b.Put(1, s.definition(1))
	require.NoError(t, b.Settle(t.Context()))
	assert.Equal(t, "one", key(t, b, 1))
	// Another user has pins of their own.
	b = s.book(&values{name: "bob"}, false)
	assert.Equal(t, wire.FallbackBodyKey(2), key(t, b, 2))
	b.Clear()
	assert.Zero(t, b.Len())
}

func TestAPinOfAnotherProcessCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, s := &values{name: "jo"}, &server{t: t, keys: map[int64]string{1: `"one"`, 2: `"two"`}}
		a, b := s.book(v, false), s.book(v, false)
		assert.Equal(t, "two", key(t, b, 2))
		assert.Equal(t, "one", key(t, a, 1))
		assert.Equal(t, "one", key(t, b, 1))
		s.keys[1] = `"rotated"`
		require.NoError(t, a.Accept(t.Context(), 1))
		assert.Equal(t, "rotated", key(t, a, 1))
		b.Put(1, s.definition(1))
		_, err := b.Key(t.Context(), 1)
		if err != nil { // it looks again after a while
			require.ErrorIs(t, err, pins.ErrChanged)
			time.Sleep(6 * time.Second)
		}
		assert.Equal(t, "rotated", key(t, b, 1))
	})
}

func TestFailuresAreRememberedForAMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, s := &values{name: "jo"}, &server{t: t, keys: map[int64]string{1: `"one"`}, err: errors.New("no server")}
		b := s.book(v, true)
		for range 50 {
			_, err := b.Key(t.Context(), 1)
			require.ErrorIs(t, err, s.err)
		}
		assert.Equal(t, 1, s.reads)
		time.Sleep(5 * time.Second)
		s.err, v.err = nil, errors.New("no disk")
		for range 50 {
			_, err := b.Key(t.Context(), 1)
			require.ErrorIs(t, err, v.err)
			require.Error(t, b.Accept(t.Context(), 1))
		}
		assert.Equal(t, 1, v.reads)
		v.err = nil
		time.Sleep(5 * time.Second)
		assert.Equal(t, "one", key(t, b, 1))
		_, err := b.Key(t.Context(), 2)
		require.ErrorContains(t, err, "MinProtection", "nothing to protect it with")

		// What cannot be read is no empty list.
		v.raw = []byte("damaged")
		_, err = s.book(v, true).Key(t.Context(), 1)
		require.ErrorContains(t, err, "damaged")
		assert.Equal(t, "one", key(t, s.book(v, false), 1))
		assert.Equal(t, "damaged", string(v.raw))
	})
}

func TestAKeyThatIsNotTextIsNone(t *testing.T) {
	t.Parallel()
	v, s := &values{name: "jo"}, &server{t: t, keys: map[int64]string{1: `7`, 2: `null`, 3: `["k"]`}}
	b := s.book(v, false)
	for _, id := range []int64{1, 3} {
		_, err := b.Key(t.Context(), id)
		require.ErrorContains(t, err, "not text")
		require.ErrorContains(t, b.Accept(t.Context(), id), "not text")
	}
	assert.Equal(t, wire.FallbackBodyKey(2), key(t, b, 2))
}

func TestAcceptingNoKeyPinsThatThereIsNone(t *testing.T) {
	t.Parallel()
	v, s := &values{name: "jo"}, &server{t: t, keys: map[int64]string{1: `"one"`}}
	b := s.book(v, false)
	key(t, b, 1)
	delete(s.keys, 1)
	require.NoError(t, b.Accept(t.Context(), 1))
	assert.Equal(t, wire.FallbackBodyKey(1), key(t, b, 1))
	assert.Equal(t, wire.FallbackBodyKey(1), key(t, s.book(v, false), 1))
	_, err := s.book(v, true).Key(t.Context(), 1)
	require.ErrorContains(t, err, "MinProtection")
	// A key out of nothing is a change.
	s.keys[1] = `"two"`
	b.Put(1, s.definition(1))
	for _, b := range []*pins.Book{b, s.book(v, false), s.book(v, true)} {
		_, err := b.Key(t.Context(), 1)
		require.ErrorIs(t, err, pins.ErrChanged)
	}
	require.NoError(t, b.Accept(t.Context(), 1))
	assert.Equal(t, "two", key(t, b, 1))
	assert.Equal(t, "two", key(t, s.book(v, true), 1))
	s.err = errors.New("no server")
	require.ErrorIs(t, b.Accept(t.Context(), 1), s.err)
}

func TestAConversationThatNeverHadAKeyMayGetOne(t *testing.T) {
	t.Parallel()
	v, s := &values{name: "jo"}, &server{t: t, keys: map[int64]string{}}
	b := s.book(v, false)
	assert.Equal(t, wire.FallbackBodyKey(1), key(t, b, 1))
	_, err := b.KeyToWrite(t.Context(), 1)
	require.NoError(t, err)
	s.keys[1] = `"one"`
	b.Put(1, s.definition(1))
	require.NoError(t, b.Settle(t.Context()))
	assert.Equal(t, "one", key(t, b, 1))
	assert.Equal(t, "one", key(t, s.book(v, false), 1))
}

// crowd makes others put the user into as many conversations as there are pins for.
func (s *server) crowd(b *pins.Book, from int64) {
	for id := from; id < from+20_050; id++ {
		s.keys[id] = fmt.Sprintf(`"key %d"`, id)
		b.Put(id, s.definition(id))
	}
}

func TestNobodyIsCrowdedOutOfTheKeysThatTheUserWritesUnder(t *testing.T) {
	t.Parallel()
	for _, strict := range []bool{false, true} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("strict %v, the conversation is newer %v", strict, late), func(t *testing.T) {
				t.Parallel()
				v, s := &values{name: "jo"}, &server{t: t, keys: map[int64]string{5e6: `"one"`}}
				b := s.book(v, strict)
				write := func() {
					k, err := b.KeyToWrite(t.Context(), 5e6)
					require.NoError(t, err)
					require.Equal(t, "one", k)
				}
				if !late {
					write()
				}
				s.crowd(b, 1e6)
				require.NoError(t, b.Settle(t.Context()))
				s.crowd(b, 9e6)
				require.NoError(t, b.Settle(t.Context()))
				write()
				writes := v.writes
				write()
				assert.Equal(t, writes, v.writes, "it is remembered already")
				assert.Less(t, len(v.raw), 1<<20)
				// The next process.
				s.keys[5e6] = `"other"`
				b = s.book(v, strict)
				_, err := b.KeyToWrite(t.Context(), 5e6)
				require.ErrorIs(t, err, pins.ErrChanged)
				_, err = b.Key(t.Context(), 5e6)
				require.ErrorIs(t, err, pins.ErrChanged)
			})
		}
	}
}

func TestAKeyThatCannotBeRememberedIsNoneWhereKeysAreRequired(t *testing.T) {
	t.Parallel()
	v, s := &values{name: "jo"}, &server{t: t, keys: map[int64]string{}}
	b := s.book(v, true)
	s.crowd(b, 1e6)
	require.NoError(t, b.Settle(t.Context()))
	s.keys[5e6], s.keys[6e6] = `"five"`, `"six"`
	for range 2 { // in the next process, too
		for _, id := range []int64{5e6, 6e6} {
			_, err := b.Key(t.Context(), id)
			require.ErrorContains(t, err, "cannot be remembered")
			require.NotErrorIs(t, err, pins.ErrChanged)
			_, ok := b.AtHand(id)
			assert.False(t, ok)
			assert.True(t, b.Refused(id))
		}
		b = s.book(v, true)
	}
	_, err := b.Key(t.Context(), 5e6)
	require.Error(t, err)
	require.NoError(t, b.Accept(t.Context(), 5e6), "somebody vouches for it")
	assert.Equal(t, "five", key(t, b, 5e6))
	k, err := b.KeyToWrite(t.Context(), 6e6)
	require.NoError(t, err)
	assert.Equal(t, "six", k)
	assert.Equal(t, "six", key(t, b, 6e6))
	assert.Equal(t, "key 1000000", key(t, b, 1e6), "the newest ones made room")
}

func TestManyPinsFitIntoAValue(t *testing.T) {
	t.Parallel()
	v, s := &values{name: "jo"}, &server{t: t, keys: map[int64]string{}}
	b := s.book(v, false)
	const many = 21_000
	for id := range int64(many) {
		s.keys[1e9+id] = fmt.Sprintf(`"key %d"`, id)
		b.Put(1e9+id, s.definition(1e9+id))
	}
	require.NoError(t, b.Settle(t.Context()))
	require.NoError(t, b.Settle(t.Context()))
	assert.Equal(t, 1, v.writes)
	assert.Less(t, len(v.raw), 1<<20)
	assert.Equal(t, 20_000, strings.Count(string(v.raw), `":"`))
	for id := range int64(many) {
		k, ok := b.AtHand(1e9 + id)
		require.True(t, ok)
		require.Equal(t, fmt.Sprintf("key %d", id), k)
	}
}

func TestManyGoroutinesSeeOneKey(t *testing.T) {
	t.Parallel()
	v, s := &values{name: "jo"}, &server{t: t, keys: map[int64]string{1: `"one"`}}
	b := s.book(v, false)
	b.Put(1, s.definition(1))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 200 {
				if i == 0 {
					b.Clear()
					b.Put(1, wire.ParseDefinition(json.RawMessage(`{"encryptionKey":"one"}`)))
				}
				if k, ok := b.AtHand(1); ok {
					assert.Equal(t, "one", k)
				}
				assert.NoError(t, b.Settle(t.Context()))
				_ = b.Refused(1)
			}
		})
	}
	wg.Wait()
}
